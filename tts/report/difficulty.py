"""Accuracy by difficulty: where more samples help, and where they are wasted."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from statistics import fmean

from tts.errors import InputError
from tts.metrics import ladder
from tts.paired import difference
from tts.report.questions import Question, clusters, curve, finite, halves, samples, scores
from tts.stats import Estimate, estimate

BINS = 5
WORTH = 0.01
"""A gain below one point is called none."""
HOW = {
    "levels": "the benchmark's own levels",
    "oracle": "five quantiles of pass@1, easiest first (Snell et al. 2024, arXiv:2408.03314, section 3.2)",
    "votes": "five quantiles of the entropy of the votes, no target needed, easiest first",
    "score": "five quantiles of the mean score {0}, no target needed, easiest first (Snell et al. 2024, section 3.2)",
}


@dataclass(frozen=True, slots=True)
class Step:
    """Accuracy of one way of choosing among k samples."""

    k: int
    tokens: float
    accuracy: Estimate


@dataclass(frozen=True, slots=True)
class Trend:
    """What a way of choosing gains from one sample to the most: points in [-1, 1] with a 95 % interval.

    `last` is the gain of the last step of the ladder; `enough` the least k that is within `WORTH` of the best.
    """

    steps: tuple[Step, ...]
    gain: float
    ci: tuple[float, float] | None
    last: float
    enough: int

    @property
    def verdict(self) -> str:
        """In words, and only what the interval supports."""
        if self.ci is None:
            return "too few questions to tell"
        if self.ci[0] > 0:
            return "more samples help" if self.last >= WORTH else f"helps up to {self.enough}, wasted beyond"
        if self.ci[1] < 0:
            return "more samples hurt"
        return "no gain seen"


@dataclass(frozen=True, slots=True)
class Bin:
    """Questions of like difficulty. `accuracy` is of the answers the run gave; `tokens` are a sample's."""

    name: str
    questions: int
    accuracy: Estimate
    tokens: float
    trends: dict[str, Trend]


@dataclass(frozen=True, slots=True)
class Item:
    """A question, or half of its samples where the other half told its difficulty."""

    question: Question
    bin: str


def default_how(questions: Sequence[Question]) -> str:
    """Levels where the benchmark has them, else the oracle's."""
    return "levels" if all(q.pool.metadata.get("level") is not None for q in questions) else "oracle"


def assign(questions: Sequence[Question], how: str) -> list[Item]:
    """Put questions into bins, `how`: levels, oracle, votes, or the name of a score.

    All but levels are told from one half of a question's samples and put the other half into the bin, both ways
    round, so that luck with some samples does not make a question easy and solved at once.

    Raises:
        InputError: no levels, fewer than two samples, or an unknown score.
    """
    if how == "levels":
        levels = [q.pool.metadata.get("level") for q in questions]
        if any(level is None for level in levels):
            raise InputError("this benchmark's records carry no level", "--bins oracle, votes or the name of a score")
        return [Item(q, name) for q, name in zip(questions, _named_levels(levels), strict=True)]
    if how not in ("oracle", "votes") and how not in (known := scores(questions)):
        raise InputError(f"no bins by {how!r}", f"there are {', '.join(['levels', 'oracle', 'votes', *known])}")
    if samples(questions) < 2:
        raise InputError(f"bins by {how} need two samples of each question: half judge, half are scored", "raise -n")
    pairs = [pair for q in questions for pair in halves(q)]
    places = _quantiles([_ease(judge, how) for judge, _ in pairs])
    return [Item(scored, f"quantile {place}") for (_, scored), place in zip(pairs, places, strict=True)]


def _named_levels(levels: Sequence[object]) -> list[str]:
    numbers = [x for x in levels if isinstance(x, int | float)]
    if len(set(levels)) <= 10 or len(numbers) < len(levels):
        return [f"level {x}" for x in levels]
    places = _quantiles([-x for x in numbers])
    ends: dict[int, list[float]] = {}
    for place, x in zip(places, numbers, strict=True):
        ends.setdefault(place, []).append(x)
    return [f"level {min(ends[p]):g} to {max(ends[p]):g}" for p in places]


def _quantiles(ease: Sequence[float]) -> list[int]:
    """1 (easiest) to `BINS` by rank; equals share their middle rank, so that ties are never split by chance."""
    count = Counter(ease)
    places, seen = {}, 0
    for x in sorted(count, reverse=True):
        places[x] = 1 + min(BINS - 1, int(BINS * (seen + count[x] / 2) / len(ease)))
        seen += count[x]
    return [places[x] for x in ease]


def _ease(judge: Question, how: str) -> float:
    if how == "oracle":
        return judge.share
    if how == "votes":
        return -entropy(judge)
    found = finite(judge.pool.scores[how])
    return fmean(found) if found else -math.inf


def entropy(question: Question) -> float:
    """Entropy in nats of the answers' classes; every answerless sample is a class of its own."""
    classes = list(question.pool.classes)
    sizes = list(Counter(c for c in classes if c >= 0).values()) + [1] * sum(c < 0 for c in classes)
    return -math.fsum(s / len(classes) * math.log(s / len(classes)) for s in sizes)


def bins(questions: Sequence[Question], how: str) -> list[Bin]:
    """Accuracy and curves of each bin, easiest first.

    Raises:
        InputError: as `assign`.
    """
    items = assign(questions, how)
    grouped: dict[str, list[Question]] = {}
    for item in items:
        grouped.setdefault(item.bin, []).append(item.question)
    k = samples([item.question for item in items])
    return [_bin(name, grouped[name], k) for name in sorted(grouped, key=_natural)]


def _natural(name: str) -> tuple[float, str]:
    try:
        return float(name.split()[1]), name
    except ValueError:
        return math.inf, name


def _bin(name: str, members: Sequence[Question], n: int) -> Bin:
    groups = units(members)
    trends = {}
    for choice, score in choices(members) if n > 1 else ():
        label = f"{choice}@k" + (f":{score}" if score else "")
        trends[label] = _trend(members, groups, choice, score, n)
    tokens = [t for q in members for t in q.tokens]
    return Bin(
        name,
        len({q.id for q in members}),
        estimate([fmean(q.pool.solved) for q in members], groups),
        fmean(tokens) if tokens else 0.0,
        trends,
    )


def units(members: Sequence[Question]) -> list[Hashable]:
    """What is independent: the card's clusters, else questions (of which two halves may be members)."""
    return list(clusters(members) or [q.id for q in members])


def choices(questions: Sequence[Question]) -> list[tuple[str, str]]:
    """(way of choosing, score): the majority, and for each score its best and, where it is never negative, its vote."""
    found = [("maj", "")]
    for name in scores(questions):
        found.append(("best", name))
        if all(min(finite(q.pool.scores[name]), default=0.0) >= 0.0 for q in questions):
            found.append(("weighted", name))
    return found


def _trend(members: Sequence[Question], groups: Sequence[Hashable], choice: str, score: str, n: int) -> Trend:
    each = fmean(fmean(q.tokens) for q in members)
    ks = ladder(n)
    rows = {1: [q.share for q in members]}
    rows |= dict(zip(ks[1:], curve(members, choice, ks[1:], score), strict=True))
    steps = tuple(Step(k, k * each, estimate(row, groups)) for k, row in rows.items())
    total = difference(rows[1], rows[n], groups)
    ci = total.ci and (max(-1.0, total.ci[0]), min(1.0, total.ci[1]))
    best = max(step.accuracy.value for step in steps)
    before = steps[-2].accuracy.value
    enough = next(step.k for step in steps if step.accuracy.value >= best - WORTH)
    return Trend(steps, total.value, ci, steps[-1].accuracy.value - before, enough)
