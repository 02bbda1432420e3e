"""Two runs on the same questions: how much better one is, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean
from typing import Literal

from tts.stats import Z95, bootstrap, standard_error, t95

Z80 = NormalDist().inv_cdf(0.8)
Method = Literal["bonett-price", "t", "t-clustered", "none"]
Test = Literal["mcnemar", "t", "t-clustered", "none"]


@dataclass(frozen=True, slots=True)
class Difference:
    """B minus A over `questions` shared questions.

    `wins` and `losses` count questions where B is higher and lower. `ci` is a 95 % interval by `method`, `bootstrap`
    one from resampled questions, or clusters. `p` tests "no difference" by `test`. `detectable` is the smallest true
    difference that as many questions of this kind would show in 80 of 100 repetitions (two-sided, 5 %). None: one
    question tells nothing.
    """

    questions: int
    value: float
    stderr: float | None
    ci: tuple[float, float] | None
    method: Method
    bootstrap: tuple[float, float]
    p: float | None
    test: Test
    mcnemar: float | None
    detectable: float | None
    wins: int
    losses: int


def difference(a: Sequence[float], b: Sequence[float], clusters: Sequence[Hashable] | None = None) -> Difference:
    """Compare two numbers per question, those of run A and of run B.

    Questions answered once in each run, with no clusters, get the Bonett-Price interval (2012, J. Educ. Behav.
    Stat. 37) and McNemar's exact test; means over samples and clustered questions get Student's t over the paired
    differences (Miller 2024, arXiv:2411.00640, section 4).

    Raises:
        ValueError: no questions, or not as many in A as in B.
    """
    if not a or len(a) != len(b):
        raise ValueError("a paired comparison needs the same questions in both runs, at least one")
    if clusters is not None and len(set(clusters)) == len(a):
        clusters = None
    gaps = [y - x for x, y in zip(a, b, strict=True)]
    wins, losses = sum(g > 0 for g in gaps), sum(g < 0 for g in gaps)
    resampled = bootstrap(gaps, clusters)
    binary = all(x in (0.0, 1.0) for x in (*a, *b))
    exact = mcnemar(wins, losses) if binary else None
    value, (stderr, freedom) = fmean(gaps), standard_error(gaps, clusters)

    def found(
        ci: tuple[float, float] | None, method: Method, p: float | None, test: Test, detectable: float | None
    ) -> Difference:
        return Difference(
            len(gaps), value, stderr, ci, method, resampled, p, test, exact, detectable, wins, losses
        )  # fmt: skip

    if binary and clusters is None:
        spread, interval = bonett_price(wins, losses, len(gaps))
        return found(interval, "bonett-price", exact, "mcnemar", (Z95 + Z80) * spread)
    if stderr is None:
        return found(None, "none", None, "none", None)
    quantile = t95(freedom)
    name: Literal["t", "t-clustered"] = "t" if clusters is None else "t-clustered"
    interval = (value - quantile * stderr, value + quantile * stderr)
    return found(interval, name, _t_test(value, stderr, freedom), name, (quantile + Z80) * stderr or None)


def _t_test(value: float, stderr: float, freedom: int) -> float | None:
    from scipy.special import stdtr

    if stderr == 0.0:
        return 1.0 if value == 0.0 else None
    return min(1.0, 2.0 * float(stdtr(freedom, -abs(value) / stderr)))


def mcnemar(wins: int, losses: int) -> float:
    """Two-sided exact p-value for paired yes/no answers (McNemar 1947): under no difference each of the questions
    where the runs disagree is a fair coin. 1 where they never disagree.
    """
    from scipy.special import bdtr

    return min(1.0, 2.0 * float(bdtr(min(wins, losses), wins + losses, 0.5)))


def bonett_price(wins: int, losses: int, questions: int) -> tuple[float, tuple[float, float]]:
    """(standard error, 95 % interval) of a difference of paired proportions: a Wald interval with one win and one loss
    added, which holds for few questions and few disagreements (Bonett and Price 2012).

    Raises:
        ValueError: no questions.
    """
    if questions < 1:
        raise ValueError("a difference needs at least one question")
    up, down = (wins + 1) / (questions + 2), (losses + 1) / (questions + 2)
    stderr = math.sqrt((up + down - (up - down) ** 2) / (questions + 2))
    return stderr, (max(-1.0, up - down - Z95 * stderr), min(1.0, up - down + Z95 * stderr))


def holm(ps: Sequence[float]) -> list[float]:
    """p-values adjusted for how many there are, in the same order (Holm 1979): below 0.05 means that the chance of
    any false alarm among them all is below 5 %.
    """
    adjusted, running = [0.0] * len(ps), 0.0
    for rank, index in enumerate(sorted(range(len(ps)), key=lambda i: ps[i])):
        running = max(running, min(1.0, (len(ps) - rank) * ps[index]))
        adjusted[index] = running
    return adjusted
