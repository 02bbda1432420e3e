"""Intervals and tests: what a ± means, in one place. A question is the unit everywhere; questions written from one
template are a cluster, and then the cluster is the unit.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np

Z95 = NormalDist().inv_cdf(0.975)
RESAMPLES = 4000
"""Bootstrap resamples: the percentile ends are then stable to about a tenth of the half-width."""
Method = Literal["wilson", "wilson-effective", "wilson-clustered", "none"]
METHODS = {
    "wilson": "Wilson",
    "wilson-effective": "Wilson, effective number of questions",
    "wilson-clustered": "Wilson, effective number of clusters",
    "bonett-price": "Bonett-Price, paired",
    "t": "Student's t over questions",
    "t-clustered": "Student's t over clusters",
    "none": "",
}
"""What an interval's method is called where people read it."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over questions with its standard error and 95 % interval; None where one question gives none."""

    value: float
    stderr: float | None
    ci: tuple[float, float] | None
    method: Method


def wilson(successes: float, trials: float) -> tuple[float, float]:
    """95 % score interval of a proportion (Wilson 1927); holds where the normal one fails, near 0 and 1.

    Raises:
        ValueError: no trials.
    """
    if trials <= 0:
        raise ValueError("an interval needs at least one trial")
    share, z2 = successes / trials, Z95 * Z95
    centre = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = Z95 / (1 + z2 / trials) * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials * trials))
    return max(0.0, centre - half), min(1.0, centre + half)


def standard_error(values: Sequence[float], clusters: Sequence[Hashable] | None = None) -> tuple[float | None, int]:
    """The standard error of a mean over questions, and its degrees of freedom; None where there is one unit.

    Unclustered: the sample deviation over √n (Miller 2024, arXiv:2411.00640, section 2.1). Clustered: residuals are
    summed within a cluster first (section 2.2), with the small-sample factor G/(G-1) of G clusters.
    """
    import numpy as np

    residuals = np.asarray(values, float) - np.mean(values)
    sums = residuals if clusters is None else np.bincount(_codes(clusters), residuals)
    units = len(sums)
    if units < 2:
        return None, 0
    return float(math.sqrt(units / (units - 1) * float(sums @ sums)) / len(residuals)), units - 1


def _codes(clusters: Sequence[Hashable]) -> np.ndarray:
    import numpy as np

    seen: dict[Hashable, int] = {}
    return np.array([seen.setdefault(c, len(seen)) for c in clusters])


def t95(freedom: int) -> float:
    """The 97.5 % quantile of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.975))


def estimate(question_means: Sequence[float], clusters: Sequence[Hashable] | None = None) -> Estimate:
    """The mean of one number in [0, 1] per question; `clusters` names each question's cluster.

    Where every number is 0 or 1 and nothing is clustered, the interval is Wilson's. Else it is Wilson's with the number
    of questions that a simple sample would need for the same standard error, p(1-p)/se², reduced by (z/t)² for the few
    degrees of freedom (Korn and Graubard 1998, Survey Methodology 24; Franco et al. 2019, J. Surv. Stat. Methodol. 7):
    it stays in [0, 1] and keeps its coverage where a normal interval does not, near 0 and 1.

    Raises:
        ValueError: no questions.
    """
    if not question_means:
        raise ValueError("a mean needs at least one question")
    value, count = fmean(question_means), len(question_means)
    if clusters is not None and len(set(clusters)) == count:
        clusters = None
    stderr, freedom = standard_error(question_means, clusters)
    binary = all(x in (0.0, 1.0) for x in question_means)
    if binary and clusters is None:
        return Estimate(value, stderr, wilson(round(value * count), count), "wilson")
    if stderr is None:
        return Estimate(value, None, None, "none")
    method: Method = "wilson-effective" if clusters is None else "wilson-clustered"
    if stderr == 0.0 and 0.0 < value < 1.0:
        return Estimate(value, stderr, (value, value), method)
    # At 0 and at 1 the standard error says nothing: each unit is then one trial.
    trials = value * (1 - value) / stderr**2 if stderr > 0.0 else freedom + 1
    trials *= (Z95 / t95(freedom)) ** 2
    return Estimate(value, stderr, wilson(value * trials, trials), method)


def bootstrap(
    values: Sequence[float], clusters: Sequence[Hashable] | None = None, seed: int = 0
) -> tuple[float, float]:
    """95 % percentile interval of a mean from `RESAMPLES` resamples of whole questions, or of whole clusters
    (Efron 1979). Repeated samples of one question stay together: they are not new questions.

    Raises:
        ValueError: no questions.
    """
    import numpy as np

    if not len(values):
        raise ValueError("a mean needs at least one question")
    codes = np.arange(len(values)) if clusters is None else _codes(clusters)
    sums, sizes = np.bincount(codes, np.asarray(values, float)), np.bincount(codes)
    rng = np.random.default_rng(seed)
    units, means = len(sums), []
    # In pieces, so that ten thousand questions need no gigabyte.
    for begin in range(0, RESAMPLES, 100):
        drawn = rng.integers(0, units, (min(100, RESAMPLES - begin), units))
        means.append(sums[drawn].sum(1) / sizes[drawn].sum(1))
    low, high = np.quantile(np.concatenate(means), (0.025, 0.975))
    return float(low), float(high)
