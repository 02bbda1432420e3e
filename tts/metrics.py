"""Metrics from stored candidates, as expectations over every subset of k of the n that were drawn."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from statistics import fmean
from typing import Any

from tts.stats import Estimate, estimate

EXACT = 32
"""Candidates up to which a majority's expectation is computed exactly: beyond, that takes too long."""
SUBSETS = 256
"""Subsets that a Monte Carlo estimate looks at, per problem."""


@dataclass(frozen=True, slots=True)
class Pool:
    """One problem's candidates over all attempts.

    `solved`: per scored attempt, whether the strategy's answer was right. `correct`, `classes` and `scores`
    run over the candidates; class -1 is no answer.
    """

    solved: tuple[bool, ...]
    correct: tuple[bool, ...]
    classes: tuple[int, ...]
    scores: Mapping[str, tuple[float | None, ...]]


def pools(records: Iterable[Mapping[str, Any]]) -> list[Pool]:
    """Group records by problem. Unscored and failed attempts are left out; so is a problem with no other."""
    grouped: dict[str, list[Mapping[str, Any]]] = {}
    for record in records:
        if record["status"] != "error" and record["grade"]["correct"] is not None:
            grouped.setdefault(record["problem_id"], []).append(_slim(record))
    return [_pool(attempts) for attempts in grouped.values()]


def _slim(record: Mapping[str, Any]) -> dict[str, Any]:
    """What metrics need of a record: no texts, so that a long run fits in memory."""
    keep = ("correct", "class", "scores")
    candidates = [{name: c.get(name) for name in keep} for c in record["solution"]["candidates"]]
    return {"solved": bool(record["grade"]["correct"]), "candidates": candidates}


def _pool(attempts: Sequence[Mapping[str, Any]]) -> Pool:
    correct: list[bool] = []
    classes: list[int] = []
    scores: list[Mapping[str, Any]] = []
    offset = 0
    for attempt in attempts:
        # Attempts number their classes separately. Right answers are one class; wrong ones of two attempts
        # are told apart by attempt, so pooling over attempts never makes a wrong majority.
        for c in attempt["candidates"]:
            correct.append(bool(c["correct"]))
            group = c["class"]
            classes.append(-1 if group < 0 else 0 if c["correct"] else 1 + offset + group)
            scores.append(c["scores"] or {})
        offset += len(attempt["candidates"])
    names = {name for s in scores for name, value in s.items() if isinstance(value, int | float)}
    by_name = {name: tuple(s.get(name) for s in scores) for name in sorted(names)}
    return Pool(tuple(a["solved"] for a in attempts), tuple(correct), tuple(classes), by_name)


def ladder(n: int) -> list[int]:
    """The k at which curves are drawn: powers of two up to n, and n."""
    return sorted({2**i for i in range(n.bit_length()) if 2**i <= n} | {n})


def summarise(problems: Sequence[Pool]) -> dict[str, Estimate]:
    """Every metric that the pools allow: accuracy, avg@n, and along the ladder pass@k, maj@k, best@k:SCORE, and for
    scores that are never negative weighted@k:SCORE.
    """
    if not problems:
        return {}
    found = {"accuracy": estimate([fmean(p.solved) for p in problems])}
    n = min(len(p.correct) for p in problems)
    if n < 1:
        return found
    found[f"avg@{n}"] = estimate([fmean(p.correct) for p in problems])
    for k in ladder(n):
        found[f"pass@{k}"] = estimate([pass_at_k(len(p.correct), sum(p.correct), k) for p in problems])
    if n > 1:
        for k in ladder(n)[1:]:
            found[f"maj@{k}"] = estimate([maj_at_k(p.classes, p.correct, k) for p in problems])
    for name in sorted(set.intersection(*(set(p.scores) for p in problems))):
        weights = all((score or 0.0) >= 0.0 for p in problems for score in p.scores[name])
        for k in ladder(n)[1:]:
            found[f"best@{k}:{name}"] = estimate([best_at_k(p.scores[name], p.correct, p.classes, k) for p in problems])
            if weights:
                found[f"weighted@{k}:{name}"] = estimate(
                    [weighted_at_k(p.scores[name], p.classes, p.correct, k) for p in problems]
                )
    return found


def weighted_at_k(scores: Sequence[float | None], classes: Sequence[int], correct: Sequence[bool], k: int) -> float:
    """P(the answer with the largest sum of scores among a random k is right): over all subsets where there are at
    most `SUBSETS`, else over that many drawn with a fixed seed. Ties count their share.
    """
    n = len(scores)
    if math.comb(n, k) <= SUBSETS:
        subsets: Iterable[Sequence[int]] = combinations(range(n), k)
    else:
        rng = random.Random(0)
        subsets = (rng.sample(range(n), k) for _ in range(SUBSETS))
    return fmean(_weighted_vote(subset, scores, classes, correct) for subset in subsets)


def _weighted_vote(
    subset: Sequence[int], scores: Sequence[float | None], classes: Sequence[int], correct: Sequence[bool]
) -> float:
    totals: dict[int, list[float]] = {}
    for i in subset:
        if classes[i] >= 0:
            totals.setdefault(classes[i], []).append(scores[i] or 0.0)
    sums = {group: math.fsum(parts) for group, parts in totals.items()}
    most = max(sums.values(), default=None)
    leaders = [group for group, total in sums.items() if total == most]
    right = {classes[i] for i in subset if correct[i]}
    return sum(group in right for group in leaders) / len(leaders) if leaders else 0.0


def pass_at_k(n: int, correct: int, k: int) -> float:
    """P(at least one of k is right), unbiased from n samples (Chen et al. 2021, arXiv:2107.03374, eq. 1).

    Raises:
        ValueError: k > n.
    """
    if not 1 <= k <= n:
        raise ValueError(f"pass@{k} needs at least {k} samples, there are {n}")
    return 1.0 - math.comb(n - correct, k) / math.comb(n, k)


def best_at_k(scores: Sequence[float | None], correct: Sequence[bool], classes: Sequence[int], k: int) -> float:
    """P(the highest-scored of a random k is right). Answerless and unscored candidates rank last; ties by order."""
    n = len(scores)
    rank = sorted(range(n), key=lambda i: (classes[i] >= 0, _or_lowest(scores[i]), -i))
    return math.fsum(math.comb(below, k - 1) for below, i in enumerate(rank) if correct[i]) / math.comb(n, k)


def _or_lowest(score: float | None) -> float:
    return -math.inf if score is None or math.isnan(score) else score


def maj_at_k(classes: Sequence[int], correct: Sequence[bool], k: int) -> float:
    """P(the plurality answer of a random k of these candidates is right); a tie counts its share.

    Exact up to `EXACT` candidates; beyond, over `SUBSETS` random subsets. Answerless candidates take places and have
    no vote; k that are all answerless are wrong.
    """
    if len(classes) > EXACT:
        return weighted_at_k([1.0] * len(classes), classes, correct, k)
    sizes = Counter(group for group in classes if group >= 0)
    right = {group for group, ok in zip(classes, correct, strict=True) if ok and group >= 0}
    wrong_sizes = tuple(sorted(size for group, size in sizes.items() if group not in right))
    right_sizes = tuple(sorted(sizes[group] for group in right))
    return _plurality(right_sizes, wrong_sizes, sum(1 for group in classes if group < 0), k)


@lru_cache(maxsize=65536)
def _plurality(right: tuple[int, ...], wrong: tuple[int, ...], blank: int, k: int) -> float:
    """Sum over the winning count w: subsets where w is the largest count, weighted by the right share of the tie."""
    sizes = [(size, True) for size in right] + [(size, False) for size in wrong]
    ways = 0.0
    for w in range(1, min(k, max((size for size, _ in sizes), default=0)) + 1):
        # (drawn, right leaders, wrong leaders) → number of subsets; leaders are classes with exactly w.
        table = {(drawn, 0, 0): math.comb(blank, drawn) for drawn in range(min(blank, k) + 1)}
        for size, is_right in sizes:
            grown: dict[tuple[int, int, int], int] = {}
            for (drawn, good, bad), count in table.items():
                for taken in range(min(size, w, k - drawn) + 1):
                    leads = taken == w
                    state = (drawn + taken, good + (leads and is_right), bad + (leads and not is_right))
                    grown[state] = grown.get(state, 0) + count * math.comb(size, taken)
            table = grown
        ways += math.fsum(
            count * good / (good + bad) for (drawn, good, bad), count in table.items() if drawn == k and good
        )
    total = math.comb(sum(right) + sum(wrong) + blank, k)
    return ways / total
