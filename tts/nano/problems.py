"""Problems by difficulty and split, and the benchmarks made of them.

    python -m tts.nano.problems nano-3 --count 400 > nano-3.jsonl

The n-th problem of a benchmark depends on its name and n alone. Benchmarks are drawn from the test split,
training from the other: `story.split_of` says which a problem belongs to.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import sys
from collections.abc import Iterator
from random import Random

from tts.nano.families import FAMILIES, tell
from tts.nano.long import LEDGERS, LONGEST, ledger, stateful
from tts.nano.story import NanoProblem, Noise, Scale, Split, split_of

STEPS_PER_WINDOW = 4
DIFFICULTIES: dict[int, tuple[Scale, Scale]] = {
    1: (Scale(1, 10, 6, 3), Scale(2, 18, 8, 4)),
    2: (Scale(2, 40, 15, 5), Scale(3, 80, 30, 8, odd=0.1)),
    3: (Scale(3, 100, 30, 8, odd=0.2), Scale(4, 180, 50, 10, odd=0.4)),
    4: (Scale(4, 120, 40, 8, odd=0.3), Scale(5, 250, 70, 12, odd=0.5)),
    5: (Scale(6, 150, 40, 8, odd=0.3), Scale(7, 300, 80, 15, odd=0.5)),
}
"""The smallest and largest scale of each difficulty."""
TRAINING = (Scale(1, 10, 6, 3), Scale(8, 600, 200, 30, odd=0.6))
"""Training covers everything between these."""
STATEFUL = (Scale(4, 30, 10, 5), Scale(5, 100, 30, 12))
"""Contexts that are known before the question."""


def draw_scale(rng: Random, low: Scale, high: Scale) -> Scale:
    """A scale between two others: steps evenly, sizes evenly in their logarithm."""

    def size(a: int, b: int) -> int:
        return round(a * math.pow(b / a, rng.random()))

    return Scale(
        rng.randint(low.steps, high.steps),
        size(low.addend, high.addend),
        size(low.factor, high.factor),
        size(low.times, high.times),
        low.odd + (high.odd - low.odd) * rng.random(),
    )


def draw(
    rng: Random, low: Scale, high: Scale, split: Split, family: str | None = None, noise: Noise | None = None
) -> NanoProblem:
    """A problem of the split, of any family unless one is named."""
    while True:
        chosen = family or rng.choice(list(FAMILIES))
        problem = tell(chosen, rng, draw_scale(rng, low, high), noise)
        if split_of(problem.body) == split:
            return problem


def by_difficulty(difficulty: int, index: int, split: Split = "test", family: str | None = None) -> NanoProblem:
    """The `index`-th problem of a difficulty from 1 to 5."""
    low, high = DIFFICULTIES[difficulty]
    return draw(Random(f"nano-{difficulty}/{split}/{family}/{index}"), low, high, split, family)


def draw_ledger(rng: Random, low: int, high: int, split: Split, noise: Noise | None = None) -> NanoProblem:
    """A long chain of `low` to `high` small steps."""
    while True:
        problem = ledger(rng.choice(list(LEDGERS)), rng, rng.randint(low, high), noise)
        if split_of(problem.body) == split:
            return problem


def draw_stateful(rng: Random, low: Scale, high: Scale, split: Split, noise: Noise | None = None) -> list[NanoProblem]:
    """All questions about one context."""
    while True:
        problems = stateful(rng, draw_scale(rng, low, high), noise)
        if split_of(problems[0].body) == split:
            return problems


def benchmark_problems(name: str, count: int) -> list[NanoProblem]:
    """The first problems of `nano-1` to `nano-5`, `nano-long` or `nano-stateful` (several a context)."""
    kind = name.removeprefix("nano-")
    if kind == "long":
        shortest = 2 * STEPS_PER_WINDOW + 1
        return [draw_ledger(Random(f"{name}/{index}"), shortest, LONGEST, "test") for index in range(count)]
    if kind == "stateful":
        contexts = (draw_stateful(Random(f"{name}/{index}"), *STATEFUL, "test") for index in itertools.count())
        return list(itertools.islice(itertools.chain.from_iterable(contexts), count))
    return [by_difficulty(int(kind), index) for index in range(count)]


def benchmark(name: str, count: int) -> Iterator[dict[str, str]]:
    """A benchmark's rows, as `tts eval` reads them."""
    for number, problem in enumerate(benchmark_problems(name, count), 1):
        row = {"id": f"{name}-{number}", "family": problem.family}
        if problem.asides:
            row |= {"context": problem.body, "question": problem.question}
        else:
            row |= {"question": problem.statement}
        yield row | {"answer": problem.target}


def main(arguments: list[str] | None = None) -> None:
    """Write a benchmark's rows as JSONL."""
    parser = argparse.ArgumentParser(prog="python -m tts.nano.problems", description=main.__doc__)
    parser.add_argument("name", help="nano-1 to nano-5, nano-long or nano-stateful")
    parser.add_argument("--count", type=int, default=400)
    options = parser.parse_args(arguments)
    for row in benchmark(options.name, options.count):
        sys.stdout.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
