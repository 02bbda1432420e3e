"""Problems longer than one window, and contexts that are known before the question.

The long ones are ledgers of one small change a day: each step is easy, the chain is not, and the state between two
steps is the day and one number, which is what a summary has to carry (InftyThink, arXiv:2503.06692). The stateful ones
have several questions a context (sleep-time compute, arXiv:2504.13171).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

from tts.nano.lexicon import ITEMS, NAMES, PLACES
from tts.nano.story import NanoProblem, Noise, Scale, Step, Story, conclusion, listing

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


def ledger(kind: str, rng: Random, steps: int, noise: Noise | None = None) -> NanoProblem:
    """A chain of `steps` equal changes to one number. Each step says where in the chain it is, and how long that is."""
    opening, unit, question = LEDGERS[kind]
    change, value = rng.randint(2, 60), rng.randint(10, 200)
    falls = kind == "tank"
    if falls:
        value += change * steps
    words = {"who": rng.choice(NAMES), "item": rng.choice(ITEMS), "start": value, "change": change, "last": steps}
    s = Story(rng, Scale(steps, 0, 0, 0), noise=noise)
    for number in range(1, steps + 1):
        label = f"{unit} {number}/{steps}"
        value = s.minus(label, value, change) if falls else s.plus(label, value, change)
    return NanoProblem(kind, opening.format(**words), question.format(**words), tuple(s.steps), (), tuple(s.attempt))


def rounds(problem: NanoProblem, window: int) -> Iterator[tuple[str | None, str]]:
    """The InftyThink rounds of a solution, `window` steps each: (history or None, what to write).

    A summary of a ledger is its last step's place and value; of any other problem, all that is worked out.
    """
    for start in range(0, len(problem.steps), window):
        yield one_round(problem, problem.steps, start, window)


def one_round(problem: NanoProblem, taken: Sequence[Step], start: int, window: int) -> tuple[str | None, str]:
    """The round that goes on after `start` right steps with those of `taken`: (history or None, what to write)."""
    history = summarise(problem, problem.steps[:start]) if start else None
    done = start + window
    if done >= len(taken):
        end = conclusion(str(taken[-1].value))
    else:
        end = f"<summary>{summarise(problem, taken[:done])}</summary>"
    return history, "\n\n".join([*map(str, taken[start:done]), end])


def summarise(problem: NanoProblem, taken: Sequence[Step]) -> str:
    """What is known after the steps taken, in a line."""
    if problem.family in LEDGERS:
        return f"{taken[-1].label}: {taken[-1].value}"
    return "; ".join(map(str, taken))


def stateful(rng: Random, scale: Scale, noise: Noise | None = None) -> list[NanoProblem]:
    """Several questions about one context; each solution holds only the steps that its question needs.

    `asides` are the notes worth writing before any question: everything that can be worked out from the context.
    """
    s = Story(rng, scale, noise=noise)
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
    body, values = " ".join(s.sentences), range(count + 1)

    def ask(question: str, needed: Sequence[int]) -> NanoProblem:
        steps, attempt = (tuple(made[i] for i in needed) if made else () for made in (s.steps, s.attempt))
        return NanoProblem("stateful", body, question, steps, tuple(s.steps), attempt)

    return [
        ask("What is everything worth, in dollars?", values),
        ask("What are the worth and the cost together, in dollars?", range(count + 2)),
        ask(
            f"The worth is shared evenly in whole dollars by {heads}. How many dollars are left over?",
            (*values, count + 2),
        ),
        ask("How many things are there?", (count + 3,)),
    ]
