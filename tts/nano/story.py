"""What a problem is made of: sentences that give quantities, a question, and steps with exact arithmetic.

A `Story` is a problem being told: every family of `families.py` says sentences and takes steps on one. A
`NanoProblem` is the finished thing. Problems are split by a hash of their body, so that no problem of the
test split, whatever seed made it, is ever seen in training.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Literal

from tts.nano.lexicon import ITEMS, NAMES, invented

Split = Literal["train", "test"]
TEST_SHARE = 10
"""One body in so many belongs to the test split."""
CEILING = 50_000
"""Products stay below this, so that long problems do not drift to ever larger numbers."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How hard a problem is: how many steps, and how large its numbers may be."""

    steps: int
    addend: int
    factor: int
    times: int
    odd: float = 0.0
    """The share of changes that are put the other way round: "it was 5 less than now" for "5 more come"."""


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a solution: what is worked out, how, and its exact value."""

    label: str
    expression: str
    value: int

    def __str__(self) -> str:
        equation = f"{self.expression}={self.value}"
        return f"{self.label}: {equation}" if self.label else equation


@dataclass(frozen=True, slots=True)
class NanoProblem:
    """A problem with its solution.

    `asides` are facts worth noting before a question is known (stateful only); `attempt` is a fallible solution,
    where one was asked for.
    """

    family: str
    body: str
    question: str
    steps: tuple[Step, ...]
    asides: tuple[Step, ...] = ()
    attempt: tuple[Step, ...] = ()

    @property
    def target(self) -> str:
        return str(self.steps[-1].value)

    @property
    def statement(self) -> str:
        return f"{self.body} {self.question}"

    @property
    def solution(self) -> str:
        """The reference response to the chain-of-thought prompt: steps apart by a blank line, then the answer."""
        return response(self.steps)


def response(steps: Sequence[Step]) -> str:
    """Steps apart by a blank line, then what they come to."""
    return "\n\n".join([*map(str, steps), conclusion(str(steps[-1].value))])


def conclusion(answer: str) -> str:
    """The last line of a response."""
    return f"The answer is \\boxed{{{answer}}}."


def split_of(body: str) -> Split:
    """The split that a problem's body belongs to, by a hash of its text."""
    digest = hashlib.blake2b(body.encode(), digest_size=4).digest()
    return "test" if int.from_bytes(digest, "big") % TEST_SHARE == 0 else "train"


class Quantity(int):
    """A step's true value, together with what a fallible solver takes it for."""

    told: int

    def __new__(cls, value: int, told: int) -> Quantity:
        quantity = super().__new__(cls, value)
        quantity.told = told
        return quantity


SLIPS = (0.012, 0.05, 0.33, 0.68, 0.75)
"""How often a number gets a wrong digit, by its digits; sampling at temperature 0.8 leaves about two thirds of it."""


@dataclass(frozen=True, slots=True)
class Noise:
    """How a fallible solver errs: slips of one digit, the more the longer the number, and misreadings.

    People misread a change that is put the other way round about half the time (the consistency hypothesis of
    Lewis and Mayer 1987, doi:10.1037/0022-0663.79.4.363), and all in the same way, which no vote can mend.
    """

    rng: Random
    slips: tuple[float, ...] = SLIPS
    misreading: float = 0.55

    def misreads(self) -> bool:
        return self.rng.random() < self.misreading

    def slip(self, value: int) -> int:
        """The value, or one with a digit that is off by one."""
        digits = len(str(abs(value)))
        if self.rng.random() >= self.slips[min(digits, len(self.slips)) - 1]:
            return value
        place = int(10 ** self.rng.randrange(digits))
        return value + place if value < place or self.rng.random() < 0.5 else value - place


@dataclass(slots=True)
class Story:
    """A problem being told. Methods that take a step return its value."""

    rng: Random
    scale: Scale
    sentences: list[str] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    noise: Noise | None = None
    attempt: list[Step] = field(default_factory=list)

    @property
    def left(self) -> int:
        """How many steps the scale still allows."""
        return self.scale.steps - len(self.steps)

    def say(self, *variants: str) -> None:
        """One of several ways to put a sentence."""
        self.sentences.append(self.rng.choice(variants))

    def end(self, family: str, *questions: str) -> NanoProblem:
        """The finished problem, with one of several ways to ask."""
        return NanoProblem(
            family, " ".join(self.sentences), self.rng.choice(questions), tuple(self.steps), (), tuple(self.attempt)
        )

    def names(self, count: int) -> list[str]:
        """Distinct names of people; now and then one that no other problem has."""
        chosen = self.rng.sample(NAMES, count)
        if self.rng.random() < 0.1:
            chosen[0] = invented(self.rng).capitalize()
        return chosen

    def items(self, count: int) -> list[str]:
        """Distinct plural nouns; now and then one that no other problem has."""
        chosen = self.rng.sample(ITEMS, count)
        if self.rng.random() < 0.1:
            chosen[0] = invented(self.rng) + "s"
        return chosen

    def addend(self) -> int:
        return self.rng.randint(max(2, self.scale.addend // 10), self.scale.addend)

    def factor(self) -> int:
        return self.rng.randint(max(2, self.scale.factor // 10), self.scale.factor)

    def multiplier(self, value: int = 1) -> int:
        """A number to multiply `value` by, within the scale and the ceiling."""
        most = max(2, min(self.scale.times, CEILING // max(1, value)))
        return self.rng.randint(max(2, most // 10), most)

    def below(self, value: int) -> int:
        """A number to take away from `value`, which stays positive."""
        return self.rng.randint(1, max(1, min(self.scale.addend, value - 1)))

    def odd(self) -> bool:
        """Whether to put the next change the other way round."""
        return self.rng.random() < self.scale.odd

    def _step(self, label: str, operator: str, terms: tuple[int, ...], odd: bool = False) -> int:
        value = OPERATIONS[operator](terms)
        self.steps.append(Step(label, written(operator, terms), value))
        if self.noise is None:
            return value
        told = tuple(term.told if isinstance(term, Quantity) else term for term in terms)
        if odd and self.noise.misreads():
            operator = "-" if operator == "+" else "+"
        result = self.noise.slip(OPERATIONS[operator](told))
        self.attempt.append(Step(label, written(operator, told), result))
        return Quantity(value, result)

    def plus(self, label: str, *terms: int, odd: bool = False) -> int:
        return self._step(label, "+", terms, odd)

    def minus(self, label: str, a: int, b: int, odd: bool = False) -> int:
        return self._step(label, "-", (a, b), odd)

    def product(self, label: str, *factors: int) -> int:
        return self._step(label, "*", factors)

    def ratio(self, label: str, a: int, b: int) -> int:
        """A division that comes out whole."""
        return self._step(label, "/", (a, b))

    def percentage(self, label: str, value: int, percent: int) -> int:
        """`percent` % of `value`, which comes out whole."""
        return self._step(label, "percent", (value, percent))

    def remainder(self, label: str, a: int, b: int) -> int:
        return self._step(label, "%", (a, b))


OPERATIONS: dict[str, Callable[[tuple[int, ...]], int]] = {
    "+": sum,
    "-": lambda terms: terms[0] - terms[1],
    "*": math.prod,
    "/": lambda terms: terms[0] // terms[1],
    "%": lambda terms: terms[0] % terms[1],
    "percent": lambda terms: terms[0] * terms[1] // 100,
}


def written(operator: str, terms: tuple[int, ...]) -> str:
    """The left side of a step's equation."""
    if operator == "percent":
        return f"{terms[0]}*{terms[1]}/100"
    return operator.join(map(str, terms))


def listing(parts: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
