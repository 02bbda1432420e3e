"""Twelve families of problems. Each tells one story within a `Scale` and knows its exact solution.

The scale decides the number of steps and the size of the numbers; a family may stop one step short of it where
a story has no room for another. Every step is one line of arithmetic, done in one go: long products and sums
are what the model finds hard.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from tts.nano.figures import clock, discount, expression, sequence, units
from tts.nano.lexicon import DAYS, PLACES, VEHICLES
from tts.nano.story import CEILING, NanoProblem, Noise, Scale, Story, listing


def shopping(s: Story) -> NanoProblem:
    """Things at a price each, the bill, and what follows from it."""
    (who,) = s.names(1)
    kinds = s.items(max(1, min(4, s.scale.steps - 1)))
    bought = [(item, s.multiplier(), s.factor()) for item in kinds]
    parts = listing([f"{n} {item} at {price} dollars each" for item, n, price in bought])
    s.say(f"{who} buys {parts}.", f"At the shop {who} takes {parts}.", f"{who} pays for {parts}.")
    costs = [s.product(item, n, price) for item, n, price in bought]
    bill = s.plus("bill", *costs) if len(costs) > 1 else costs[0]
    _aftermath(s, bill, "dollars")
    return s.end("shopping", f"How much is that for {who}, in dollars?", f"How many dollars does {who} pay in the end?")


def _aftermath(s: Story, value: int, unit: str) -> None:
    """Fill the steps that are left with things that happen to one running value."""
    while s.left:
        kind = s.rng.choice(("more", "less", "times", "less"))
        if kind == "times" and value * 2 < CEILING:
            n = s.multiplier(value)
            s.say(f"Then it all becomes {n} times as much.", f"Now the amount is multiplied by {n}.")
            value = s.product("times", value, n)
        elif kind == "less" and value > 2:
            x = s.below(value)
            if odd := s.odd():
                s.say(f"It was {x} {unit} more than it is now.")
            else:
                s.say(f"Then {x} {unit} are taken off.", f"Now there are {x} {unit} less.")
            value = s.minus("now" if odd else "less", value, x, odd=odd)
        else:
            x = s.addend()
            if odd := s.odd():
                s.say(f"It was {x} {unit} less than it is now.")
            else:
                s.say(f"Then {x} {unit} are added.", f"Now there are {x} {unit} more.")
            value = s.plus("now" if odd else "more", value, x, odd=odd)


def chain(s: Story) -> NanoProblem:
    """A number that is changed again and again."""
    value = s.addend()
    s.say(f"Think of the number {value}.", f"Start with {value}.", f"Take {value}.")
    while s.left:
        kind = s.rng.choice(("add", "subtract", "multiply"))
        if kind == "multiply" and value * 2 < CEILING:
            n = s.multiplier(value)
            s.say(f"Multiply by {n}.", f"Take it {n} times.")
            value = s.product("", value, n)
        elif kind == "subtract" and value > 2:
            x = s.below(value)
            if odd := s.odd():
                s.say(f"It is {x} more than the next number.")
            else:
                s.say(f"Subtract {x}.", f"Take away {x}.")
            value = s.minus("", value, x, odd=odd)
        else:
            x = s.addend()
            if odd := s.odd():
                s.say(f"It is {x} less than the next number.")
            else:
                s.say(f"Add {x}.", f"Put {x} more to it.")
            value = s.plus("", value, x, odd=odd)
    return s.end("chain", "What is the result?", "Which number comes out?")


def comparison(s: Story) -> NanoProblem:
    """Who has how many more, fewer or times as many as whom: not always the one named last."""
    total = s.scale.steps >= 3 and s.rng.random() < 0.5
    links = min(s.scale.steps - total, 7)
    people, (item,) = s.names(links + 1), s.items(1)
    has = [s.addend()]
    s.say(f"{people[0]} has {has[0]} {item}.", f"{people[0]} owns {has[0]} {item}.")
    for i, who in enumerate(people[1:], 1):
        other = i - 1 if s.rng.random() < 0.6 else s.rng.randrange(i)
        base, whom = has[other], people[other]
        kind = s.rng.choice(("more", "fewer", "times"))
        if kind == "times" and base * 2 < CEILING:
            n = s.multiplier(base)
            s.say(f"{who} has {n} times as many as {whom}.", f"{who} owns {n} times what {whom} has.")
            has.append(s.product(who, base, n))
        elif kind == "fewer" and base > 2:
            x = s.below(base)
            if odd := s.odd():
                s.say(f"{whom} has {x} more than {who}.")
            else:
                s.say(f"{who} has {x} fewer than {whom}.", f"{who} owns {x} less than {whom}.")
            has.append(s.minus(who, base, x, odd=odd))
        else:
            x = s.addend()
            if odd := s.odd():
                s.say(f"{whom} has {x} fewer than {who}.")
            else:
                s.say(f"{who} has {x} more than {whom}.", f"{who} owns {x} beyond what {whom} has.")
            has.append(s.plus(who, base, x, odd=odd))
    if total:
        s.plus("together", *has[-4:])
        last = listing(people[-4:])
        return s.end("comparison", f"How many {item} do {last} have together?")
    return s.end("comparison", f"How many {item} does {people[-1]} have?", f"Count the {item} of {people[-1]}.")


def inventory(s: Story) -> NanoProblem:
    """A stock that comes and goes by the day, singly or by the crate."""
    (item,), place = s.items(1), s.rng.choice(PLACES)
    stock = s.addend() + s.factor()
    s.say(f"A {place} has {stock} {item}.", f"There are {stock} {item} in a {place}.")
    for i in range(s.scale.steps):
        day = DAYS[i % 7]
        if s.left >= 2 and s.rng.random() < 0.6:
            crates, each = s.multiplier(), s.factor()
            much = crates * each
            if much < stock and s.rng.random() < 0.5:
                s.say(f"On {day} it sells {crates} crates of {each}.", f"On {day} {crates} boxes of {each} leave.")
                stock = s.minus(day, stock, s.product("crates", crates, each))
            else:
                s.say(f"On {day} it gets {crates} crates of {each}.", f"On {day} {crates} boxes of {each} come.")
                stock = s.plus(day, stock, s.product("crates", crates, each))
        elif s.left and stock > 2 and s.rng.random() < 0.5:
            x = s.below(stock)
            if odd := s.odd():
                s.say(f"Before {day} it had {x} more than then.")
            else:
                s.say(f"On {day} it sells {x}.", f"On {day} {x} of them leave.")
            stock = s.minus(day, stock, x, odd=odd)
        elif s.left:
            x = s.addend()
            if odd := s.odd():
                s.say(f"Before {day} it had {x} less than then.")
            else:
                s.say(f"On {day} it gets {x}.", f"On {day} {x} more come.")
            stock = s.plus(day, stock, x, odd=odd)
    return s.end("inventory", f"How many {item} are there now?", f"How many {item} does it have in the end?")


def travel(s: Story) -> NanoProblem:
    """Legs of a trip at different speeds."""
    what = s.rng.choice(VEHICLES)
    legs = [(s.multiplier(), s.factor()) for _ in range(max(1, min(4, s.scale.steps - 1)))]
    parts = ", then ".join(f"{hours} hours at {speed} km per hour" for hours, speed in legs)
    s.say(f"A {what} goes {parts}.", f"A {what} travels {parts}.")
    lengths = [s.product(f"leg {i}", hours, speed) for i, (hours, speed) in enumerate(legs, 1)]
    way = s.plus("way", *lengths) if len(lengths) > 1 else lengths[0]
    _aftermath(s, way, "km")
    return s.end("travel", f"How many km is that for the {what}?", f"How far is it for the {what} in the end, in km?")


def fields_and_fences(s: Story) -> NanoProblem:
    """Areas of rectangles, and what grows on them."""
    plots = [(s.multiplier(), s.factor()) for _ in range(max(1, min(4, s.scale.steps - 1)))]
    parts = listing([f"one of {a} by {b} metres" for a, b in plots])
    s.say(f"A farm has these fields: {parts}.", f"Someone ploughs these fields: {parts}.")
    areas = [s.product(f"field {i}", a, b) for i, (a, b) in enumerate(plots, 1)]
    area = s.plus("area", *areas) if len(areas) > 1 else areas[0]
    _aftermath(s, area, "square metres")
    return s.end("fields", "How many square metres is it in the end?", "What is the area in the end, in square metres?")


def sharing(s: Story) -> NanoProblem:
    """Parts that are put together and divided evenly."""
    people, (item,) = s.names(3), s.items(1)
    heads, each = s.rng.randint(2, max(3, min(s.scale.times, 30))), s.factor()
    whole = heads * each
    cuts = sorted(s.rng.sample(range(1, whole), min(whole - 1, 2 if s.scale.steps > 1 else 0)))
    piles = [b - a for a, b in zip([0, *cuts], [*cuts, whole], strict=True)]
    parts = listing([f"{who} brings {pile} {item}" for who, pile in zip(people, piles, strict=False)])
    s.say(f"{parts}.")
    if len(piles) > 1:
        whole = s.plus("all", *piles)
    s.say(f"They are shared evenly by {heads} people.", f"They go into {heads} equal heaps.")
    share = s.ratio("share", whole, heads)
    _aftermath(s, share, item)
    return s.end("sharing", f"How many {item} are in one share now?", f"How many {item} does each get in the end?")


Family = Callable[[Story], NanoProblem]
FAMILIES: dict[str, Family] = {
    "shopping": shopping,
    "chain": chain,
    "comparison": comparison,
    "inventory": inventory,
    "travel": travel,
    "discount": discount,
    "units": units,
    "sequence": sequence,
    "clock": clock,
    "expression": expression,
    "fields": fields_and_fences,
    "sharing": sharing,
}


ODD_FAMILIES = ("shopping", "chain", "comparison", "inventory", "travel", "units", "fields", "sharing")
"""Those in which a change can be put the other way round."""


def tell(family: str, rng: Random, scale: Scale, noise: Noise | None = None) -> NanoProblem:
    """A problem of this family and scale, with a fallible attempt at it if there is noise."""
    return FAMILIES[family](Story(rng, scale, noise=noise))
