"""Metrics from stored candidates, as expectations over every subset of k of the n that were drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tts import estimators
from tts.estimators import Bools, Floats
from tts.stats import Estimate, estimate, standard_error


@dataclass(frozen=True, slots=True)
class Pool:
    """One problem's candidates over all attempts.

    `solved` and `unanswered`: per scored attempt, whether the strategy's answer was right, and whether it had none.
    `correct`, `classes`, `truncated` and `scores` run over the candidates; class -1 is no answer.
    `metadata` is what the benchmark says of the problem: cluster, level, subject.
    """

    solved: tuple[bool, ...]
    correct: tuple[bool, ...]
    classes: tuple[int, ...]
    scores: Mapping[str, tuple[float | None, ...]]
    unanswered: tuple[bool, ...] = ()
    truncated: tuple[bool, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    drawn: int = 0
    """How many candidates there are with those that were left out to be level with other problems."""


@dataclass(frozen=True, slots=True)
class Summary:
    """Metrics with intervals at the k of `ladder`; `curves` has every k: {name: {k, value, stderr}}; `absent` says why
    there is no metric at a k that some problems have candidates for.
    """

    metrics: Mapping[str, Estimate] = field(default_factory=dict)
    curves: Mapping[str, Mapping[str, list[Any]]] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)


def pools(records: Iterable[Mapping[str, Any]], level: bool = False) -> list[Pool]:
    """Group records by problem. Unscored and failed attempts are left out; so is a problem with no other.

    `level`: of every attempt only as many candidates as the shortest has, the first ones. Where the candidates decided
    how many more were drawn, as under a stopping rule, all together are no fair sample: problems on which the first
    few agree count with few, and shares over them are biased.

    Of each record only numbers are kept, so that a million candidates fit in memory.
    """
    grouped: dict[str, list[_Attempt]] = {}
    for record in records:
        if record["status"] != "error" and record["grade"]["correct"] is not None:
            grouped.setdefault(record["problem_id"], []).append(_attempt(record))
    least = min((len(a.correct) for attempts in grouped.values() for a in attempts), default=0) if level else None
    return [_joined(attempts, least) for attempts in grouped.values()]


@dataclass(frozen=True, slots=True)
class _Attempt:
    solved: bool
    unanswered: bool
    correct: list[bool]
    classes: list[int]
    truncated: list[bool]
    scores: dict[str, list[float | None]]
    metadata: Mapping[str, Any]


def _attempt(record: Mapping[str, Any]) -> _Attempt:
    solution = record["solution"]
    candidates = solution["candidates"]
    scores = [c["scores"] or {} for c in candidates]
    names = sorted({name for s in scores for name, value in s.items() if isinstance(value, (int, float))})
    return _Attempt(
        bool(record["grade"]["correct"]),
        solution.get("answer", "") is None,
        [bool(c["correct"]) for c in candidates],
        [c["class"] for c in candidates],
        [c.get("finish") == "length" for c in candidates],
        {name: [s.get(name) for s in scores] for name in names},
        record.get("metadata") or {},
    )


def _joined(attempts: Sequence[_Attempt], first: int | None) -> Pool:
    """The first so many candidates of each attempt, or all. Attempts number their classes separately. Right answers are
    one class; wrong ones of two attempts are told apart by attempt, so pooling never makes a wrong majority.
    """
    classes: list[int] = []
    scores: dict[str, list[float | None]] = {name: [] for name in sorted({n for a in attempts for n in a.scores})}
    for a in attempts:
        for name, values in scores.items():
            values += a.scores.get(name, [None] * len(a.correct))[:first]
        offset, kept = len(classes) + 1, zip(a.classes[:first], a.correct[:first], strict=True)
        classes += [-1 if g < 0 else 0 if right else g + offset for g, right in kept]
    return Pool(
        tuple(a.solved for a in attempts),
        tuple(right for a in attempts for right in a.correct[:first]),
        tuple(classes),
        {name: tuple(values) for name, values in scores.items()},
        tuple(a.unanswered for a in attempts),
        tuple(cut for a in attempts for cut in a.truncated[:first]),
        attempts[0].metadata,
        sum(len(a.correct) for a in attempts),
    )


INDEPENDENT = ("single", "self-consistency", "best-of-n")
"""Strategies whose candidates are independent samples, so that k of them are what a smaller run would have drawn."""


def ladder(n: int) -> list[int]:
    """The k at which curves have intervals: powers of two up to n, and n."""
    return sorted({2**i for i in range(n.bit_length()) if 2**i <= n} | {n})


def summarise(problems: Sequence[Pool]) -> Summary:
    """Every metric that the pools allow, with its interval over questions.

    accuracy, no_answer_rate (of attempts), truncated_rate (of candidates), avg@n, and along the ladder pass@k, pass^k,
    maj@k, oracle_gap@k (pass@k - maj@k); for each score NAME best@k:NAME, oracle_gap@k:NAME (pass@k - best@k:NAME),
    filtered@k:NAME, and weighted@k:NAME where no score is negative. k goes as far as the problem with the fewest
    candidates.
    """
    if not problems:
        return Summary()
    units = clusters(p.metadata for p in problems)

    def over(values: Iterable[Any]) -> Estimate:
        return estimate([float(v) for v in values], units)

    metrics = {"accuracy": over(fmean(p.solved) for p in problems)}
    if all(p.unanswered for p in problems):
        metrics["no_answer_rate"] = over(fmean(p.unanswered) for p in problems)
    absent = _absent([p.drawn or len(p.correct) for p in problems])
    n = min(len(p.correct) for p in problems)
    if n < 1:
        return Summary(metrics, {}, absent)
    if all(p.truncated for p in problems):
        metrics["truncated_rate"] = over(fmean(p.truncated) for p in problems)
    metrics[f"avg@{n}"] = over(fmean(p.correct) for p in problems)
    curves: dict[str, dict[str, list[Any]]] = {}
    for name, ks, values in _families(problems, n):
        curves[name.format("k")] = _curve(ks, values, units)
        for k in ladder(n):
            if k > 1 or name.startswith("pass"):
                metrics[name.format(k)] = over(values[:, ks.index(k)])
    return Summary(metrics, curves, absent)


def clusters(metadata: Iterable[Mapping[str, Any]]) -> list[str] | None:
    """Each question's cluster where the benchmark's card names one; None where no question has any."""
    named = [m.get("cluster") for m in metadata]
    if all(c is None for c in named):
        return None
    return [f"question {i}" if c is None else f"cluster {c}" for i, c in enumerate(named)]


def _curve(ks: list[int], values: Floats, units: Sequence[str] | None) -> dict[str, list[Any]]:
    """Means and standard errors over questions or their clusters, for every k that is known."""
    errors = (standard_error(column, units)[0] for column in values.T)
    stderr = [None if e is None else round(e, 6) for e in errors]
    return {"k": ks, "value": values.mean(axis=0).round(6).tolist(), "stderr": stderr}


def _absent(counts: Sequence[int]) -> dict[str, str]:
    """Why there is no metric at a k that some problems have candidates for."""
    least = min(counts)
    return {
        f"@{k}": f"nothing at k = {k}: {sum(c < k for c in counts)} of {len(counts)} scored problems have fewer "
        f"candidates, the least {least}"
        for k in ladder(max(counts))
        if k > least
    }


@dataclass(frozen=True, slots=True)
class _Group:
    """The problems that have the same number of candidates, stacked; `rows` are their places."""

    rows: list[int]
    correct: Bools
    classes: NDArray[Any]
    scores: Mapping[str, Floats]

    @property
    def answered(self) -> Bools:
        return self.classes >= 0


def _groups(problems: Sequence[Pool]) -> list[_Group]:
    by_size: dict[int, list[int]] = {}
    for row, pool in enumerate(problems):
        by_size.setdefault(len(pool.correct), []).append(row)
    shared = sorted(set.intersection(*(set(p.scores) for p in problems)))
    found = []
    for rows in by_size.values():
        chosen = [problems[row] for row in rows]
        scores = {name: np.array([p.scores[name] for p in chosen], float) for name in shared}
        correct, classes = np.array([p.correct for p in chosen], bool), np.array([p.classes for p in chosen])
        found.append(_Group(rows, correct, classes, scores))
    return found


def _families(problems: Sequence[Pool], n: int) -> Iterator[tuple[str, list[int], Floats]]:
    """(name with {} for k, the k at which it is known, values of shape (problems, those k))."""
    groups = _groups(problems)
    every, few = list(range(1, n + 1)), ladder(n)

    def each(curve: Callable[[_Group], Floats], columns: int = n) -> Floats:
        return _each(groups, curve, len(problems), columns)

    passed = each(_passed)
    yield "pass@{}", every, passed
    yield "pass^{}", every, each(lambda g: estimators.all_curves(g.correct.sum(axis=1), g.correct.shape[1]))
    if n == 1:
        return
    majority = each(_majority)
    yield "maj@{}", every, majority
    yield "oracle_gap@{}", every, (passed - majority).round(12)
    for name in groups[0].scores:
        best = each(partial(_best, name=name))
        yield f"best@{{}}:{name}", every, best
        yield f"oracle_gap@{{}}:{name}", every, (passed - best).round(12)
        yield f"filtered@{{}}:{name}", few, each(partial(_filtered, name=name, ks=few), len(few))
        if all(np.nanmin(g.scores[name], initial=0.0) >= 0.0 for g in groups):
            yield f"weighted@{{}}:{name}", every, each(partial(_weighted, name=name))


def _each(groups: Sequence[_Group], curve: Callable[[_Group], Floats], problems: int, columns: int) -> Floats:
    out = np.empty((problems, columns))
    for group in groups:
        out[group.rows] = curve(group)[:, :columns]
    return out.round(12)  # what is certain is exactly 0 or 1: its interval is another


def per_question(problems: Sequence[Pool], kind: str, score: str = "") -> Floats:
    """(problems, n): pass@k, maj@k, best@k or weighted@k of each at column k-1; n is the fewest candidates."""
    curves: dict[str, Callable[[_Group], Floats]] = {
        "pass": _passed, "maj": _majority, "best": partial(_best, name=score),
        "weighted": partial(_weighted, name=score),
    }  # fmt: skip
    return _each(_groups(problems), curves[kind], len(problems), min(len(p.correct) for p in problems))


def _passed(group: _Group) -> Floats:
    return estimators.pass_curves(group.correct.sum(axis=1), group.correct.shape[1])


def _best(group: _Group, name: str) -> Floats:
    return estimators.best_curves(group.scores[name], group.correct, group.answered)


def _filtered(group: _Group, name: str, ks: Sequence[int]) -> Floats:
    return estimators.filtered_at(group.scores[name], group.classes, group.correct, ks)


def _weighted(group: _Group, name: str) -> Floats:
    return estimators.weighted_curves(np.nan_to_num(group.scores[name]), group.classes, group.correct)


def _majority(group: _Group) -> Floats:
    if group.correct.shape[1] <= estimators.EXACT:
        return estimators.majority_curves(group.classes, group.correct)
    return estimators.weighted_curves(np.ones(group.correct.shape), group.classes, group.correct)


def pass_at_k(n: int, correct: int, k: int) -> float:
    """P(at least one of k is right), from `correct` of n (`estimators.pass_curves`).

    Raises:
        ValueError: k > n.
    """
    if not 1 <= k <= n:
        raise ValueError(f"pass@{k} needs at least {k} samples, there are {n}")
    return float(estimators.pass_curves(np.array([correct]), n)[0, k - 1])


def maj_at_k(classes: Sequence[int], correct: Sequence[bool], k: int) -> float:
    """P(the plurality answer of a random k of one problem's candidates is right); exact up to `estimators.EXACT`."""
    return float(_majority(_alone(classes, correct))[0, k - 1])


def best_at_k(scores: Sequence[float | None], correct: Sequence[bool], classes: Sequence[int], k: int) -> float:
    """P(the highest-scored of a random k is right). Answerless and unscored candidates rank last; ties by order."""
    return float(_best(_alone(classes, correct, scores), "")[0, k - 1])


def weighted_at_k(scores: Sequence[float | None], classes: Sequence[int], correct: Sequence[bool], k: int) -> float:
    """P(the answer with the largest sum of scores among a random k is right); no score weighs nothing."""
    return float(_weighted(_alone(classes, correct, scores), "")[0, k - 1])


def filtered_at_k(scores: Sequence[float | None], classes: Sequence[int], correct: Sequence[bool], k: int) -> float:
    """P(the plurality among the better half, rounded up, of a random k is right)."""
    return float(_filtered(_alone(classes, correct, scores), "", [k])[0, 0])


def _alone(classes: Sequence[int], correct: Sequence[bool], scores: Sequence[float | None] = ()) -> _Group:
    return _Group([0], np.array([correct], bool), np.array([classes]), {"": np.array([scores], float)})
