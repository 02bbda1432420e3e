"""How often 95 % intervals hold the truth, in simulation: for means, clustered means and paired differences.

    python tests/perf/coverage.py [--repetitions 4000]

Questions' chances of a right answer are Beta(a, b), so that the truth is a/(a+b); each is sampled k times. The other
run of a pair is right with chance p + 0.3 p(1-p) instead of p. Wanted: 93 to 97 %.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tts import stats
from tts.paired import difference
from tts.stats import bootstrap, estimate, standard_error

SHAPES = ((0.3, 0.3), (0.5, 1.5), (0.3, 2.7), (2.0, 2.0))
Interval = tuple[float, float] | None


def coverage(repetitions: int, draw: Callable[[], tuple[list[Interval], float]]) -> list[float]:
    hits = np.zeros(0)
    for _ in range(repetitions):
        intervals, truth = draw()
        now = np.array([c is not None and c[0] - 1e-12 <= truth <= c[1] + 1e-12 for c in intervals], float)
        hits = now if not len(hits) else hits + now
    return list(hits / repetitions)


def mean(rng: np.random.Generator, questions: int, a: float, b: float, k: int) -> tuple[list[Interval], float]:
    values = (rng.binomial(k, rng.beta(a, b, questions)) / k).tolist()
    return [estimate(values).ci, normal(values), bootstrap(values)], a / (a + b)


def normal(values: list[float], clusters: list[int] | None = None) -> Interval:
    """What is usually done, for comparison."""
    error = standard_error(values, clusters)[0] or 0.0
    centre = sum(values) / len(values)
    return centre - 1.96 * error, centre + 1.96 * error


def clustered(rng: np.random.Generator, groups: int, size: int, a: float, b: float) -> tuple[list[Interval], float]:
    level = np.repeat(rng.beta(a, b, groups), size)
    values = (rng.binomial(4, rng.beta(3 * level + 1e-9, 3 * (1 - level) + 1e-9)) / 4).tolist()
    names = np.repeat(np.arange(groups), size).tolist()
    return [estimate(values, names).ci, estimate(values).ci, bootstrap(values, names)], a / (a + b)


def paired(rng: np.random.Generator, questions: int, a: float, b: float, k: int) -> tuple[list[Interval], float]:
    p = rng.beta(a, b, questions)
    first, second = (rng.binomial(k, q) / k for q in (p, p + 0.3 * p * (1 - p)))
    found = difference(first.tolist(), second.tolist())
    return [found.ci, found.bootstrap], 0.3 * a * b / ((a + b) * (a + b + 1))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repetitions", type=int, default=4000)
    repetitions = parser.parse_args().repetitions
    rng = np.random.default_rng(0)
    # A bootstrap of a few hundred resamples is as good for counting hits as one of thousands.
    stats.RESAMPLES = 400
    noise = 196 * math.sqrt(0.05 * 0.95 / repetitions)
    print(f"{repetitions} repetitions: each figure ± {noise:.1f} points\n")
    print("mean of n questions               tts   normal  bootstrap")
    for questions in (30, 100, 500):
        for a, b in SHAPES:
            for k in (1, 8):
                found = coverage(repetitions, lambda n=questions, a=a, b=b, k=k: mean(rng, n, a, b, k))  # type: ignore[misc]
                print(
                    f"n={questions:<4} mean {a / (a + b):.2f} Beta({a}, {b}) k={k:<2} ",
                    *(f"{100 * x:6.1f} " for x in found),
                )
    print("\nmean of clusters                  tts   unclustered  bootstrap of clusters")
    for groups, size in ((20, 5), (50, 3), (100, 10)):
        for a, b in SHAPES[:2]:
            found = coverage(repetitions, lambda g=groups, s=size, a=a, b=b: clustered(rng, g, s, a, b))  # type: ignore[misc]
            print(f"{groups:>3} of {size:<2} Beta({a}, {b})        ", *(f"{100 * x:6.1f} " for x in found))
    print("\npaired difference                 tts   bootstrap")
    for questions in (30, 100, 500):
        for a, b in SHAPES:
            for k in (1, 8):
                found = coverage(repetitions, lambda n=questions, a=a, b=b, k=k: paired(rng, n, a, b, k))  # type: ignore[misc]
                print(f"n={questions:<4} Beta({a}, {b}) k={k:<2}          ", *(f"{100 * x:6.1f} " for x in found))


if __name__ == "__main__":
    main()
