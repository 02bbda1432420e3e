"""Choosing one answer from many: pure functions over candidates.

`classes` holds the equivalence class of each candidate's answer, -1 for no answer; an answerless candidate
votes for nothing and is chosen by nothing.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeGuard

from tts.errors import InputError
from tts.types import Candidate

Score = Callable[[Candidate], float | None]


def majority(candidates: Sequence[Candidate], classes: Sequence[int]) -> Candidate | None:
    """The most common answer's best-liked candidate (Wang et al. 2022, arXiv:2203.11171).

    Ties between answers are broken by the mean log-probability of their candidates, then by which came
    first. None when no candidate has an answer.
    """
    return weighted(candidates, classes, [1.0] * len(candidates))


def weighted(candidates: Sequence[Candidate], classes: Sequence[int], weights: Sequence[float]) -> Candidate | None:
    """The answer with the largest sum of weights; ties and absences as in `majority`."""
    members: defaultdict[int, list[int]] = defaultdict(list)
    for index, group in enumerate(classes):
        if group >= 0:
            members[group].append(index)
    if not members:
        return None
    winner = max(
        members.values(),
        key=lambda m: (math.fsum(weights[i] for i in m), _mean_likelihood([candidates[i] for i in m]), -m[0]),
    )
    return candidates[max(winner, key=lambda i: (_likelihood(candidates[i]), -i))]


def highest(candidates: Sequence[Candidate], score: Score) -> Candidate | None:
    """The candidate with the highest score among those with an answer; unscored ones come last, ties by order."""
    answered = [c for c in candidates if c.answer is not None]
    return max(answered, key=lambda c: _or_lowest(score(c)), default=None)


def filtered(
    candidates: Sequence[Candidate], classes: Sequence[int], scores: Sequence[float], keep: float
) -> Candidate | None:
    """The majority among the best-scored share `keep` of the candidates with an answer, at least one of them (Fu et al.
    2025, arXiv:2508.15260, filter by confidence and vote).
    """
    answered = [i for i, group in enumerate(classes) if group >= 0]
    ranked = sorted(answered, key=lambda i: (-scores[i], i))
    kept = set(ranked[: max(1, math.ceil(keep * len(ranked) - 1e-9))])
    return majority(candidates, [group if i in kept else -1 for i, group in enumerate(classes)])


def product(candidates: Sequence[Candidate], classes: Sequence[int], scores: Sequence[float]) -> Candidate | None:
    """The candidate whose score times its answer's share of the votes is largest; ties by order."""
    answered = [i for i, group in enumerate(classes) if group >= 0]
    votes = Counter(classes[i] for i in answered)
    best = max(answered, key=lambda i: (scores[i] * votes[classes[i]], -i), default=None)
    return None if best is None else candidates[best]


ByVerifier = Literal["highest", "weighted", "filtered", "product"]
BY_VERIFIER: tuple[ByVerifier, ...] = ("highest", "weighted", "filtered", "product")
"""Selectors that go by a verifier's scores."""


def goes_by_verifier(select: str) -> TypeGuard[ByVerifier]:
    """Whether a selector does."""
    return select in BY_VERIFIER


def demand_verifier(select: str, verifier: str | None) -> None:
    """Raises InputError where a selector goes by a verifier's scores and there is none."""
    if verifier is None and select in (*BY_VERIFIER, "hierarchical"):
        raise InputError(f"-o select={select} goes by a verifier's scores", "--verifier NAME")


def choose(
    how: ByVerifier, candidates: Sequence[Candidate], classes: Sequence[int], score: Score, keep: float = 1.0
) -> Candidate | None:
    """What a selector chooses by scores that are not negative. One without a score weighs nothing; where no answer has
    one, as when the budget ended before any was scored, the most common is chosen.
    """
    if all(score(c) is None for c in candidates if c.answer is not None):
        return majority(candidates, classes)
    scores = [score(c) or 0.0 for c in candidates]
    match how:
        case "highest":
            return highest(candidates, score)
        case "weighted":
            return weighted(candidates, classes, scores)
        case "filtered":
            return filtered(candidates, classes, scores, keep)
        case "product":
            return product(candidates, classes, scores)


def logprob_mean(candidate: Candidate) -> float | None:
    """Mean log-probability per token, in nats. Perplexity is its monotone transform exp(-x)."""
    return candidate.completion.logprob_mean


def perplexity(candidate: Candidate) -> float | None:
    """exp of the mean negative log-probability, negated so that the least perplexed is highest."""
    mean = candidate.completion.logprob_mean
    return None if mean is None else -math.exp(-mean)


def logprob_sum(candidate: Candidate) -> float | None:
    """Log-likelihood of the whole completion, in nats: favours short ones."""
    return candidate.completion.logprob_sum


def self_certainty(candidate: Candidate) -> float | None:
    """Mean divergence of the next-token distribution from uniform (Kang et al. 2025, arXiv:2502.18581)."""
    return candidate.completion.self_certainty


def group_confidence(candidate: Candidate) -> float | None:
    """Confidence of the least confident group of tokens (Fu et al. 2025, arXiv:2508.15260, section 3.1)."""
    return candidate.completion.group_confidence


def tail_confidence(candidate: Candidate) -> float | None:
    """Confidence of the last group of tokens (Fu et al. 2025, arXiv:2508.15260, section 3.1)."""
    return candidate.completion.tail_confidence


def top_share(values: Sequence[float], percent: float) -> float:
    """The value that the best `percent` of `values` reach: their (100 - percent)-th percentile, between two by
    proportion.

    Raises:
        ValueError: no values.
    """
    if not values:
        raise ValueError("a percentile needs values")
    ordered = sorted(values)
    place = (len(ordered) - 1) * (1 - percent / 100)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


Aggregation = Literal["last", "min", "mean", "prod"]


def aggregate(steps: Sequence[float], how: Aggregation) -> float:
    """What step scores come to: the last (Snell et al. 2024, arXiv:2408.03314), the least or the product (Lightman
    et al. 2023, arXiv:2305.20050), or the mean.

    Raises:
        ValueError: no steps.
    """
    if not steps:
        raise ValueError("a completion without steps has no score")
    match how:
        case "last":
            return steps[-1]
        case "min":
            return min(steps)
        case "mean":
            return math.fsum(steps) / len(steps)
        case "prod":
            return math.prod(steps)


def by_verifier(name: str) -> Score:
    """The score that the verifier called `name` has given."""

    def score(candidate: Candidate) -> float | None:
        value = candidate.scores.get(name)
        return value if isinstance(value, int | float) else None

    return score


SCORERS: Mapping[str, Score] = {
    "logprob-mean": logprob_mean,
    "perplexity": perplexity,
    "logprob-sum": logprob_sum,
    "self-certainty": self_certainty,
    "group-confidence": group_confidence,
    "tail-confidence": tail_confidence,
}
"""Scores that need no verifier: computed from the policy's own log-probabilities."""


def _or_lowest(value: float | None) -> float:
    return -math.inf if value is None or math.isnan(value) else value


def _likelihood(candidate: Candidate) -> float:
    return _or_lowest(candidate.completion.logprob_mean)


def _mean_likelihood(candidates: Sequence[Candidate]) -> float:
    return math.fsum(map(_likelihood, candidates)) / len(candidates)
