"""Do longer samples go wrong more often, and is it their length?

After Ballon et al. 2025 (arXiv:2502.15631), whose plots stratify by difficulty; the regressions within difficulty and
within question are ours.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from tts.errors import InputError
from tts.report.difficulty import assign, default_how
from tts.report.questions import Question, samples
from tts.report.regression import Slope, conditional_logit, logistic, within
from tts.stats import Estimate, estimate

TILES = 10


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample: its length, its outcome, whose it is, and how hard that is (None: unknown)."""

    tokens: int
    right: bool
    truncated: bool
    question: str
    unit: Hashable
    bin: str | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """Mean and median tokens of samples that are right, or wrong."""

    samples: int
    mean: float | None
    median: float | None


@dataclass(frozen=True, slots=True)
class Stratum:
    """Lengths by outcome among questions of like difficulty, and the effect of length among them."""

    name: str
    samples: int
    truncated: int
    accuracy: float
    right: Outcome
    wrong: Outcome


@dataclass(frozen=True, slots=True)
class Tile:
    """Samples of like length. `beyond` is P(wrong) of all samples at least as long as the shortest here."""

    low: int
    high: int
    samples: int
    accuracy: Estimate
    beyond: float


@dataclass(frozen=True, slots=True)
class Effect:
    """What 1,000 more tokens go with: log-odds of being right, and probability; None where not determined."""

    name: str
    samples: int
    log_odds: Slope | None
    probability: Slope | None


@dataclass(frozen=True, slots=True)
class Length:
    """All of it. `how`: what the strata are by; None where nothing tells difficulty (one sample, no levels)."""

    how: str | None
    strata: tuple[Stratum, ...]
    tiles: tuple[Tile, ...]
    effects: tuple[Effect, ...]


def length(questions: Sequence[Question], how: str | None = None) -> Length:
    """Analyse a run's samples.

    Raises:
        InputError: no samples, or bins that cannot be made.
    """
    if not any(q.tokens for q in questions):
        raise InputError("no samples: there is nothing to measure the length of", "runs with candidates")
    if how is None:
        how = default_how(questions)
        if how == "oracle" and samples(questions) < 2:
            how = None
    drawn = _samples(questions, how)
    names = list(dict.fromkeys(s.bin for s in drawn if s.bin is not None))
    strata = [_stratum("all", drawn)]
    strata += [_stratum(name, [s for s in drawn if s.bin == name]) for name in sorted(names)]
    whole = [s for s in drawn if not s.truncated]
    effects = [*_effects(drawn, "")]
    if 0 < len(whole) < len(drawn):
        effects += _effects(whole, ", without truncated samples")
    return Length(how, tuple(strata), tuple(_tiles(drawn)), tuple(effects))


def _samples(questions: Sequence[Question], how: str | None) -> list[Sample]:
    # Halves of a question may lie in two bins, each told by the other half.
    parts = [(q, None) for q in questions] if how is None else [(i.question, i.bin) for i in assign(questions, how)]
    return [
        Sample(tokens, bool(right), cut, q.id, q.pool.metadata.get("cluster") or q.id, name)
        for q, name in parts
        for tokens, right, cut in zip(q.tokens, q.pool.correct, q.pool.truncated, strict=True)
    ]


def _stratum(name: str, drawn: Sequence[Sample]) -> Stratum:
    return Stratum(
        name, len(drawn), sum(s.truncated for s in drawn), fmean(s.right for s in drawn),
        _outcome([s.tokens for s in drawn if s.right]), _outcome([s.tokens for s in drawn if not s.right]),
    )  # fmt: skip


def _outcome(tokens: Sequence[int]) -> Outcome:
    return Outcome(len(tokens), fmean(tokens) if tokens else None, median(tokens) if tokens else None)


def _tiles(drawn: Sequence[Sample]) -> list[Tile]:
    """Ten tiles of as many samples each, equal lengths together; intervals over questions."""
    ordered = sorted(drawn, key=lambda s: s.tokens)
    found: list[Tile] = []
    start = 0
    for i in range(1, TILES + 1):
        end = round(i * len(ordered) / TILES)
        while 0 < end < len(ordered) and ordered[end].tokens == ordered[end - 1].tokens:
            end += 1
        if end <= start:
            continue
        part, beyond = ordered[start:end], ordered[start:]
        accuracy = estimate([float(s.right) for s in part], [s.unit for s in part])
        wrong = fmean(not s.right for s in beyond)
        found.append(Tile(part[0].tokens, part[-1].tokens, len(part), accuracy, wrong))
        start = end
    return found


def _effects(drawn: Sequence[Sample], suffix: str) -> list[Effect]:
    import numpy as np

    x = np.array([s.tokens / 1000 for s in drawn])
    y = np.array([float(s.right) for s in drawn])
    units, ids = [s.unit for s in drawn], [s.question for s in drawn]
    found = [Effect(f"all together{suffix}", len(drawn), *(logistic(x[:, None], y, units) or (None, None)))]
    names = sorted({s.bin for s in drawn if s.bin is not None})
    if len(names) > 1:
        held = np.array([[float(s.bin == name) for name in names[1:]] for s in drawn])
        fitted = logistic(np.column_stack([x, held]), y, units)
        found.append(Effect(f"at equal difficulty{suffix}", len(drawn), *(fitted or (None, None))))
    if len(set(ids)) < len(ids):
        slope, points = conditional_logit(x, y, ids, units), within(x, y, ids, units)
        found.append(Effect(f"within a question{suffix}", len(drawn), slope, points))
    return found
