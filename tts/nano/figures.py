"""Families of problems about figures rather than people: percentages, units, recurrences, remainders, sums."""

from __future__ import annotations

from tts.nano.story import CEILING, NanoProblem, Story, listing


def discount(s: Story) -> NanoProblem:
    """Percentages off and on again."""
    (item,) = s.items(1)
    value = 20 * s.rng.randint(2, max(3, s.scale.factor // 2))
    s.say(f"A box of {item} costs {value} dollars.", f"The price of some {item} is {value} dollars.")
    while s.left >= 2:
        percent = s.rng.choice([p for p in range(5, 100, 5) if value * p % 100 == 0] or [100])
        if s.rng.random() < 0.5 and percent < 100:
            s.say(f"It gets {percent} percent cheaper.", f"Then {percent} percent is taken off.")
            value = s.minus("price", value, s.percentage("part", value, percent))
        else:
            s.say(f"It gets {percent} percent dearer.", f"Then {percent} percent is put on.")
            value = s.plus("price", value, s.percentage("part", value, percent))
    if s.left:
        n = s.multiplier(value)
        s.say(f"Now {n} such boxes are ordered.", f"A school wants {n} of these.")
        s.product("cost", n, value)
        return s.end("discount", "How much is the order?", "What does that cost?")
    return s.end("discount", "What is the price now?", "How much does it cost in the end?")


def units(s: Story) -> NanoProblem:
    """Hours, minutes, weeks, metres and dozens, in mixed pieces."""
    big, small, size = s.rng.choice(
        (
            ("hours", "minutes", 60),
            ("weeks", "days", 7),
            ("days", "hours", 24),
            ("metres", "centimetres", 100),
            ("dozens", "pieces", 12),
            ("feet", "inches", 12),
            ("minutes", "seconds", 60),
        )
    )
    a, b = s.multiplier(), s.rng.randint(1, size - 1)
    s.say(f"A job takes {a} {big} and {b} {small}.", f"Something measures {a} {big} and {b} {small}.")
    value = s.product(small, a, size)
    if s.left:
        value = s.plus("all", value, b)
    else:
        s.sentences[:] = [f"A job takes {a} {big}."]
    while s.left:
        if s.left >= 2 and s.rng.random() < 0.5:
            more = s.multiplier()
            s.say(f"Then come {more} {big} more.", f"Another {more} {big} follow.")
            value = s.plus("all", value, s.product(small, more, size))
        elif s.rng.random() < 0.4 and value * 2 < CEILING:
            n = s.multiplier(value)
            s.say(f"All this is done {n} times.", f"It is repeated until there are {n} of it.")
            value = s.product("times", value, n)
        else:
            x = s.addend()
            if odd := s.odd():
                s.say(f"It was {x} {small} less than it is now.")
            else:
                s.say(f"Then come {x} {small}.", f"Another {x} {small} follow.")
            value = s.plus("all", value, x, odd=odd)
    return s.end("units", f"How many {small} is that?", f"What is it in {small}?")


def sequence(s: Story) -> NanoProblem:
    """A linear recurrence."""
    ratio = s.rng.randint(2, max(2, min(5, s.scale.times))) if s.scale.steps < 7 else 2
    shift, term = s.addend(), s.rng.randint(2, max(3, min(s.scale.addend, 60)))
    grows = s.rng.random() < 0.5 or term * ratio - shift <= term
    rule = f"{ratio} times the one before"
    if s.scale.steps > 1:
        rule += f", {'plus' if grows else 'minus'} {shift}"
    s.say(
        f"The first term is {term}, and each next one is {rule}.", f"A row begins with {term}; each next one is {rule}."
    )
    n = 1
    while s.left >= 2 or n == 1:
        n += 1
        term = s.product(f"term {n}", term, ratio)
        if s.left:
            term = s.plus(f"term {n}", term, shift) if grows else s.minus(f"term {n}", term, shift)
    return s.end("sequence", f"What is term {n}?", f"Which number is term {n}?")


def clock(s: Story) -> NanoProblem:
    """Remainders: what is left over after packing or going round."""
    (item,) = s.items(1)
    kinds = max(1, min(4, s.scale.steps - 2))
    loads = [(s.multiplier(), s.factor()) for _ in range(kinds)]
    parts = listing([f"{a} boxes of {b} {item}" for a, b in loads])
    s.say(f"There are {parts}.", f"A van brings {parts}.")
    counts = [s.product(f"load {i}", a, b) for i, (a, b) in enumerate(loads, 1)]
    value = s.plus("all", *counts) if kinds > 1 else counts[0]
    while s.left >= 2:
        x = s.addend()
        s.say(f"Then {x} more come.", f"Another {x} are found.")
        value = s.plus("all", value, x)
    if s.left:
        size = s.rng.randint(3, max(4, min(s.scale.times, 40)))
        s.say(f"They are packed anew in bags of {size}.", f"They are shared evenly among {size} people.")
        s.remainder("left", value, size)
        return s.end("clock", f"How many {item} are left over?", f"How many {item} remain?")
    return s.end("clock", f"How many {item} are there?", f"Count the {item}.")


def expression(s: Story) -> NanoProblem:
    """Order of operations."""
    products = max(1, s.scale.steps // 2)
    shape = [True] * products + [False] * (s.scale.steps + 1 - 2 * products)
    s.rng.shuffle(shape)
    parts: list[tuple[str, int]] = []
    for is_product in shape:
        a, b = s.multiplier(), s.factor()
        parts.append((f"{a}*{b}", s.product("", a, b)) if is_product else (str(x := s.addend()), x))
    text, value = parts[0]
    for part, x in parts[1:]:
        if x < value and s.rng.random() < 0.5:
            text, value = f"{text}-{part}", s.minus("", value, x)
        else:
            text, value = f"{text}+{part}", s.plus("", value, x)
    s.say(f"Look at {text}.", f"Here is a sum: {text}.", f"Work out {text}.")
    return s.end("expression", "What is its value?", "How much is it?")
