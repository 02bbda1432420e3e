"""Problems longer than one window, and contexts that are known before the question.

The long ones are ledgers of one small change a day: each step is easy, the chain is not, and the state between two
steps is the day and one number, which is what a summary has to carry (InftyThink, arXiv:2503.06692). The stateful ones
have several questions a context (sleep-time compute, arXiv:2504.13171).
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from tts.nano.lexicon import ITEMS, NAMES, PLACES
from tts.nano.story import NanoProblem, Scale, Step, Story, listing

LEDGERS = {
    "savings": (
        "{who} has {start} {item} and gets {change} more each day.",
        "day",
        "How many {item} does {who} have after day {last}?",
    ),
    "tank": (
        "A tank holds {start} litres and loses {change} each hour.",
        "hour",
        "How many litres are left after hour {last}?",
    ),
    "stairs": (
        "A tower starts at {start} metres, and each floor is {change} metres higher.",
        "floor",
        "How high is floor {last}, in metres?",
    ),
}
LONGEST = 40


def ledger(kind: str, rng: Random, steps: int) -> NanoProblem:
    """A chain of `steps` equal changes to one number."""
    opening, unit, question = LEDGERS[kind]
    change, value = rng.randint(2, 60), rng.randint(10, 200)
    falls = kind == "tank"
    if falls:
        value += change * steps
    words = {"who": rng.choice(NAMES), "item": rng.choice(ITEMS), "start": value, "change": change, "last": steps}
    worked = []
    for number in range(1, steps + 1):
        after = value - change if falls else value + change
        worked.append(Step(f"{unit} {number}", f"{value}{'-' if falls else '+'}{change}", after))
        value = after
    return NanoProblem(kind, opening.format(**words), question.format(**words), tuple(worked))


def rounds(problem: NanoProblem, window: int) -> Iterator[tuple[str | None, str]]:
    """The InftyThink rounds of a solution, `window` steps each: (history or None, what to write).

    A summary of a ledger is its last step's number and value; of any other problem, all that is worked out.
    """
    history: str | None = None
    for start in range(0, len(problem.steps), window):
        done = start + window
        written = "\n\n".join(map(str, problem.steps[start:done]))
        if done >= len(problem.steps):
            yield history, f"{written}\n\nThe answer is \\boxed{{{problem.target}}}."
            return
        summary = summarise(problem, done)
        yield history, f"{written}\n\n<summary>{summary}</summary>"
        history = summary


def summarise(problem: NanoProblem, done: int) -> str:
    """What is known after the first `done` steps, in a line."""
    if problem.family in LEDGERS:
        last = problem.steps[done - 1]
        return f"after {last.label}: {last.value}"
    return "; ".join(map(str, problem.steps[:done]))


def stateful(rng: Random, scale: Scale) -> list[NanoProblem]:
    """Several questions about one context; each solution holds only the steps that its question needs.

    `asides` are the notes worth writing before any question: everything that can be worked out from the context.
    """
    s = Story(rng, scale)
    place, count = rng.choice(PLACES), max(2, min(4, scale.steps - 1))
    kinds = rng.sample(ITEMS, count)
    stock = [(item, s.multiplier(), s.factor()) for item in kinds]
    parts = listing([f"{n} {item} at {price} dollars each" for item, n, price in stock])
    fee, heads = s.addend(), rng.randint(2, 9)
    s.say(f"A {place} has {parts}.", f"In a {place} there are {parts}.")
    s.say(f"Moving them costs {fee} dollars.", f"The rent is {fee} dollars.")
    s.say(f"There are {heads} workers.", f"It has {heads} owners.")
    worth = [s.product(item, n, price) for item, n, price in stock]
    total = s.plus("worth", *worth)
    s.plus("with cost", total, fee)
    s.remainder("left", total, heads)
    s.plus("things", *(n for _, n, _ in stock))
    notes = tuple(s.steps)
    body, values = " ".join(s.sentences), notes[: count + 1]

    def ask(question: str, steps: tuple[Step, ...]) -> NanoProblem:
        return NanoProblem("stateful", body, question, steps, notes)

    return [
        ask("What is everything worth, in dollars?", values),
        ask("What are the worth and the cost together, in dollars?", notes[: count + 2]),
        ask(
            f"The worth is shared evenly in whole dollars by {heads}. How many dollars are left over?",
            (*values, notes[count + 2]),
        ),
        ask("How many things are there?", (notes[count + 3],)),
    ]
