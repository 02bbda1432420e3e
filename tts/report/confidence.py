"""How sure a model is by its own votes, how often that is right, and when more samples stop paying.

After Chen et al. 2025 (arXiv:2502.07154): a model that is sure and wrong gains nothing from sampling more.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from tts.errors import InputError
from tts.metrics import ladder
from tts.paired import difference
from tts.report.difficulty import WORTH
from tts.report.questions import Question, clusters, curve, samples
from tts.stats import Estimate, estimate

TILES = 10
SURE = 0.8
"""A majority share from which a model is called confident."""
DRAWS = 1000


@dataclass(frozen=True, slots=True)
class Tile:
    """Questions whose majority has a share in (low, high]; the answerless count in the denominator."""

    low: float
    high: float
    questions: int
    share: float
    accuracy: Estimate
    passes: dict[int, float]


@dataclass(frozen=True, slots=True)
class Growth:
    """pass@k, and its gain over half as many samples with a 95 % interval; both in [0, 1]."""

    k: int
    value: Estimate
    gain: float | None
    ci: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Confidence:
    """`ece` is the expected calibration error of the majority's share in ten equal bins (Guo et al. 2017,
    arXiv:1706.04599), `ece_calibrated` what a perfectly calibrated model would show on as many questions, `brier` the
    mean squared error of the share. `over` is mean share minus accuracy with a 95 % interval. `sure_wrong` is the part
    of all questions with a share of at least `SURE` and a wrong majority. `stops` is the k after which no doubling
    gains `WORTH`; None where pass@k still grows at n.
    """

    n: int
    questions: int
    share: float
    accuracy: Estimate
    ece: float
    ece_calibrated: float
    brier: float
    over: float
    over_ci: tuple[float, float] | None
    sure: int
    sure_wrong: Estimate
    tiles: tuple[Tile, ...]
    growth: tuple[Growth, ...]
    stops: int | None


def confidence(questions: Sequence[Question]) -> Confidence:
    """Analyse the votes of a run.

    Raises:
        InputError: fewer than two samples a question.
    """
    n = samples(questions)
    if n < 2:
        raise InputError("the share of a majority needs two samples of each question", "raise -n, or --repeats")
    groups = clusters(questions)
    shares = [majority_share(q) for q in questions]
    right = [curve([q], "maj", [len(q.pool.correct)])[0][0] for q in questions]
    gap = difference(right, shares, groups)
    wrong = [(1.0 - r) * (s >= SURE) for s, r in zip(shares, right, strict=True)]
    growth = _growth(questions, n)
    return Confidence(
        n=n,
        questions=len(questions),
        share=fmean(shares),
        accuracy=estimate(right, groups),
        ece=calibration_error(shares, right),
        ece_calibrated=_calibrated(shares),
        brier=fmean((s - r) ** 2 for s, r in zip(shares, right, strict=True)),
        over=gap.value,
        over_ci=gap.ci,
        sure=sum(s >= SURE for s in shares),
        sure_wrong=estimate(wrong, groups),
        tiles=tuple(_tiles(questions, shares, right, n)),
        growth=growth,
        stops=_stops(growth),
    )


def majority_share(question: Question) -> float:
    """The share of the samples that the most common answer has; 0 where there is no answer."""
    classes = question.pool.classes
    return max(Counter(c for c in classes if c >= 0).values(), default=0) / len(classes)


def _tile_of(share: float) -> int:
    return max(0, math.ceil(share * TILES - 1e-9) - 1)


def calibration_error(shares: Sequence[float], right: Sequence[float]) -> float:
    """Mean over questions of |accuracy − share| of their bin."""
    gaps: dict[int, float] = {}
    for share, r in zip(shares, right, strict=True):
        gaps[_tile_of(share)] = gaps.get(_tile_of(share), 0.0) + r - share
    return sum(map(abs, gaps.values())) / len(shares)


def _calibrated(shares: Sequence[float]) -> float:
    """The calibration error that chance alone leaves: outcomes drawn with the shares as their probabilities."""
    import numpy as np

    rng, p = np.random.default_rng(0), np.array(shares)
    tiles = np.array([_tile_of(s) for s in shares])
    total = 0.0
    for _ in range(DRAWS):
        gaps = np.bincount(tiles, (rng.random(len(p)) < p) - p, TILES)
        total += float(abs(gaps).sum()) / len(p)
    return total / DRAWS


def _tiles(questions: Sequence[Question], shares: Sequence[float], right: Sequence[float], n: int) -> list[Tile]:
    found = []
    groups = clusters(questions)
    for tile in range(TILES):
        members = [i for i, share in enumerate(shares) if _tile_of(share) == tile]
        if members:
            passes = curve([questions[i] for i in members], "pass", ladder(n))
            found.append(
                Tile(
                    tile / TILES, (tile + 1) / TILES, len(members), fmean(shares[i] for i in members),
                    estimate([right[i] for i in members], groups and [groups[i] for i in members]),
                    dict(zip(ladder(n), map(fmean, passes), strict=True)),
                )
            )  # fmt: skip
    return found


def _growth(questions: Sequence[Question], n: int) -> tuple[Growth, ...]:
    groups = clusters(questions)
    found: list[Growth] = []
    before: list[float] | None = None
    for k, row in zip(ladder(n), curve(questions, "pass", ladder(n)), strict=True):
        gap = None if before is None else difference(before, row, groups)
        found.append(Growth(k, estimate(row, groups), gap.value if gap else None, gap.ci if gap else None))
        before = row
    return tuple(found)


def _stops(growth: Sequence[Growth]) -> int | None:
    """The k after which every step of the ladder gains less than `WORTH`."""
    stop = None
    for before, after in pairwise(growth):
        if after.gain is not None and after.gain >= WORTH:
            stop = None
        elif stop is None:
            stop = before.k
    return stop
