"""Intervals: what a ± means, in one place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, stdev
from typing import Literal

Z95 = NormalDist().inv_cdf(0.975)
Method = Literal["wilson", "normal", "none"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over questions with its standard error and 95 % interval; None where one question gives none."""

    value: float
    stderr: float | None
    ci: tuple[float, float] | None
    method: Method


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """95 % score interval of a proportion (Wilson 1927); holds where the normal one fails, near 0 and 1.

    Raises:
        ValueError: no trials.
    """
    if trials < 1:
        raise ValueError("an interval needs at least one trial")
    share, z2 = successes / trials, Z95 * Z95
    centre = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = Z95 / (1 + z2 / trials) * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials * trials))
    return max(0.0, centre - half), min(1.0, centre + half)


def estimate(question_means: Sequence[float]) -> Estimate:
    """The mean of one number in [0, 1] per question.

    The standard error is over questions (Miller 2024, arXiv:2411.00640, section 2.1). Where every number is 0
    or 1 the interval is Wilson's, else the normal one cut to [0, 1].

    Raises:
        ValueError: no questions.
    """
    if not question_means:
        raise ValueError("a mean needs at least one question")
    value, count = fmean(question_means), len(question_means)
    stderr = stdev(question_means) / math.sqrt(count) if count > 1 else None
    if all(x in (0.0, 1.0) for x in question_means):
        return Estimate(value, stderr, wilson(round(value * count), count), "wilson")
    if stderr is None:
        return Estimate(value, None, None, "none")
    return Estimate(value, stderr, (max(0.0, value - Z95 * stderr), min(1.0, value + Z95 * stderr)), "normal")
