"""A run as questions: the pool of samples of each, what they cost, and what the benchmark says about it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from tts import metrics
from tts.errors import InputError
from tts.metrics import Pool, per_question, pools
from tts.store import read_manifest, read_records

_METRIC = re.compile(r"(avg|pass|maj|best|weighted)@(\d+)(?::(.+))?")
METRICS = "accuracy, tokens, avg@K, pass@K, maj@K, best@K:SCORE, weighted@K:SCORE"


@dataclass(frozen=True, slots=True)
class Question:
    """One question of a run with its scored attempts.

    `tokens` run over the samples in the order of `pool`: those of the reasoning where the record tells them apart, else
    all that was generated. `generated` is what an attempt cost on average.
    """

    id: str
    text: str
    pool: Pool
    tokens: tuple[int, ...]
    generated: float

    @property
    def share(self) -> float:
        """Samples that are right, of all: the estimate of pass@1."""
        return fmean(map(bool, self.pool.correct)) if len(self.pool.correct) else fmean(self.pool.solved)


def read_questions(run: Path) -> list[Question]:
    """The scored questions of a run, in the order of their first record.

    Raises:
        RunDirectoryError: no run, or a damaged one.
        InputError: it has no record, or nothing in it was scored.
    """
    read_manifest(run)
    grouped: dict[str, list[dict[str, Any]]] = {}
    seen = 0
    for record in read_records(run):
        seen += 1
        if record["status"] != "error" and record["grade"]["correct"] is not None:
            grouped.setdefault(record["problem_id"], []).append(_slim(record))
    if not grouped:
        why = "none of its records has a target to score against" if seen else "it has no record yet"
        raise InputError(f"{run} has nothing to report: {why}", f"tts show {run} says how its problems ended")
    return [_question(name, attempts) for name, attempts in grouped.items()]


def _slim(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record without its texts: a long run fits in memory."""
    candidates = record["solution"]["candidates"]
    return {
        **{name: record[name] for name in ("problem_id", "attempt", "status", "question", "grade")},
        "solution": {
            "answer": record["solution"]["answer"],
            "candidates": [{k: v for k, v in c.items() if k != "text"} for c in candidates],
        },
        "metadata": record.get("metadata") or {},
        "generated": record["usage"]["generated_tokens"],
    }


def _question(name: str, attempts: Sequence[Mapping[str, Any]]) -> Question:
    candidates = [c for a in attempts for c in a["solution"]["candidates"]]
    (pool,) = pools(attempts)
    return Question(
        name,
        attempts[0]["question"],
        pool,
        tuple(c.get("reasoning_tokens") or c["generated_tokens"] for c in candidates),
        fmean(a["generated"] for a in attempts),
    )


def clusters(questions: Iterable[Question]) -> list[str] | None:
    """Each question's cluster where the benchmark's card names one; None where no question has any."""
    return metrics.clusters(q.pool.metadata for q in questions)


def samples(questions: Sequence[Question]) -> int:
    """Samples that every question has."""
    return min(len(q.pool.correct) for q in questions)


def scores(questions: Sequence[Question]) -> list[str]:
    """Scores that every question's samples carry."""
    return sorted(set.intersection(*(set(q.pool.scores) for q in questions)))


def values(questions: Sequence[Question], metric: str) -> list[float]:
    """The metric's value on each question.

    Raises:
        InputError: no such metric, more samples asked for than there are, or an unknown score.
    """
    if metric == "accuracy":
        return [fmean(q.pool.solved) for q in questions]
    if metric == "tokens":
        return [q.generated for q in questions]
    parts = _METRIC.fullmatch(metric)
    if parts is None or (parts[1] in ("best", "weighted")) != bool(parts[3]) or int(parts[2]) < 1:
        raise InputError(f"no metric {metric!r}", f"there are {METRICS}")
    kind, k, score = parts[1], int(parts[2]), parts[3] or ""
    if k > (n := samples(questions)):
        raise InputError(
            f"{metric} needs {k} samples of each question, there are {n}",
            f"a k of {n} at most, or a run with a larger -n",
        )
    if score and score not in (known := scores(questions)):
        raise InputError(f"no score {score!r} on the samples", f"they carry {', '.join(known) or 'none'}")
    return curve(questions, kind, [k], score)[0]


def curve(questions: Sequence[Question], kind: str, ks: Sequence[int], score: str = "") -> list[list[float]]:
    """For each k, each question's expectation over subsets of k of its samples; `avg` is over all of them."""
    if kind == "avg":
        return [[q.share for q in questions]] * len(ks)
    found = per_question([q.pool for q in questions], kind, score)
    return [found[:, k - 1].tolist() for k in ks]


def finite(scores: Iterable[float | None]) -> list[float]:
    """Scores that are there."""
    return [float(s) for s in scores if s is not None and not math.isnan(s)]


def halves(question: Question) -> Iterator[tuple[Question, Question]]:
    """(the even samples, the odd ones) and the other way round: one half tells about the question, the other is
    scored, so that no sample is its own judge.
    """
    n = len(question.pool.correct)
    even, odd = (_part(question, range(start, n - n % 2, 2)) for start in (0, 1))
    yield even, odd
    yield odd, even


def _part(question: Question, chosen: range) -> Question:
    pool = question.pool

    def pick(xs: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(xs[i] for i in chosen)

    scores = {name: pick(scores) for name, scores in pool.scores.items()}
    part = replace(
        pool, correct=pick(pool.correct), classes=pick(pool.classes), truncated=pick(pool.truncated), scores=scores
    )  # fmt: skip
    return replace(question, pool=part, tokens=pick(question.tokens))
