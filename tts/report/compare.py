"""Pairs of runs, question by question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from tts.errors import InputError
from tts.paired import Difference, difference, holm
from tts.report.questions import clusters, read_questions, values
from tts.stats import METHODS
from tts.store import read_manifest


@dataclass(frozen=True, slots=True)
class Comparison:
    """Run B against run A on the questions both have scored. `notes` are what a reader must know."""

    a: Path
    b: Path
    benchmark: str
    metric: str
    values: tuple[float, float]
    tokens: tuple[float, float]
    found: Difference
    only: tuple[int, int]
    notes: tuple[str, ...]


def compare(a: Path, b: Path, metric: str) -> Comparison:
    """Pair two runs of one benchmark by problem id.

    Raises:
        RunDirectoryError: not a run, or a damaged one.
        InputError: different benchmarks, no shared question, a question that differs under one id, a metric that the
            samples do not allow.
    """
    first, second = (read_manifest(run)["identity"] for run in (a, b))
    if first["benchmark"] != second["benchmark"]:
        raise InputError(
            f"{a} is a run of {first['benchmark']}, {b} one of {second['benchmark']}: nothing to pair",
            "compare runs of one benchmark",
        )
    left, right = ({q.id: q for q in read_questions(run)} for run in (a, b))
    shared = [name for name in left if name in right]
    if not shared:
        raise InputError(f"{a} and {b} share no scored question", "run both with the same --limit")
    for name in shared:
        if left[name].text != right[name].text:
            raise InputError(
                f"question {name!r} of {a} is another one in {b}: their data differ", "compare runs over the same file"
            )
    notes = []
    if first["revision"] != second["revision"]:
        notes.append("the runs read different revisions of the data; the questions compared are the same")
    if any(
        q.pool.metadata.get("cluster") != right[q.id].pool.metadata.get("cluster") for q in (left[s] for s in shared)
    ):
        notes.append("the runs name other clusters; those of the first are used")
    mine, theirs = [left[s] for s in shared], [right[s] for s in shared]
    x, y = values(mine, metric), values(theirs, metric)
    return Comparison(
        a, b, first["benchmark"], metric, (fmean(x), fmean(y)),
        (fmean(q.generated for q in mine), fmean(q.generated for q in theirs)),
        difference(x, y, clusters(mine)), (len(left) - len(shared), len(right) - len(shared)), tuple(notes),
    )  # fmt: skip


def compare_all(runs: Sequence[Path], metric: str) -> tuple[list[Comparison], list[float] | None]:
    """Compare runs pair after pair, and adjust the p-values for their number (None where one of them has none).

    Raises:
        InputError: an odd number of runs; and as `compare`.
    """
    if len(runs) < 2 or len(runs) % 2:
        raise InputError(f"{len(runs)} runs make no pairs", "tts compare A B [C D …]")
    found = [compare(a, b, metric) for a, b in zip(runs[::2], runs[1::2], strict=True)]
    ps = [c.found.p for c in found if c.found.p is not None]
    return found, holm(ps) if len(ps) == len(found) else None


def as_json(found: Sequence[Comparison], adjusted: Sequence[float] | None) -> list[dict[str, Any]]:
    """Plain values for `--json`."""
    return [
        {
            "a": str(c.a), "b": str(c.b), "benchmark": c.benchmark, "metric": c.metric,
            "value_a": c.values[0], "value_b": c.values[1], "tokens_a": c.tokens[0], "tokens_b": c.tokens[1],
            "difference": {**asdict(c.found), "p_holm": adjusted[i] if adjusted else None},
            "questions_only_in_a": c.only[0], "questions_only_in_b": c.only[1], "notes": list(c.notes),
        }
        for i, c in enumerate(found)
    ]  # fmt: skip


def lines(c: Comparison, adjusted: float | None, pairs: int) -> list[tuple[str, str]]:
    """(what, value) rows that say everything about one comparison, each interval by its name."""
    d, points = c.found, c.metric != "tokens"

    def say(x: float) -> str:
        return f"{100 * x:.1f} %" if points else f"{x:,.1f}"

    def gap(x: float) -> str:
        return f"{100 * x:+.1f}" if points else f"{x:+,.1f}"

    unit = "points" if points else "tokens"
    resampled = "clusters" if d.method == "t-clustered" else "questions"
    only = f" ({c.only[0]} only in A, {c.only[1]} only in B are left out)" if any(c.only) else ""
    rows = [
        ("questions in both", f"{d.questions}{only}"),
        (f"{c.metric}, A", f"{say(c.values[0])}, {c.tokens[0]:,.0f} tokens a question"),
        (f"{c.metric}, B", f"{say(c.values[1])}, {c.tokens[1]:,.0f} tokens a question"),
        ("B − A", f"{gap(d.value)} {unit}"),
    ]
    if d.ci is not None:
        rows.append(("95 % interval", f"[{gap(d.ci[0])}, {gap(d.ci[1])}] {unit}: {METHODS[d.method]}"))
    rows.append(("95 % bootstrap", f"[{gap(d.bootstrap[0])}, {gap(d.bootstrap[1])}] {unit}: {resampled} resampled"))
    if d.stderr is not None and d.method != "bonett-price":
        rows.append(("standard error", f"{gap(d.stderr)[1:]} {unit}, over paired questions"))
    rows.append(("B higher / lower / same", f"{d.wins} / {d.losses} / {d.questions - d.wins - d.losses}"))
    if d.p is not None:
        test = "McNemar, exact" if d.test == "mcnemar" else f"paired {METHODS[d.test]}"
        rows.append(("p", f"{d.p:.3g}: {test}"))
        if d.mcnemar is not None and d.test != "mcnemar":
            rows.append(("p, were questions no clusters", f"{d.mcnemar:.3g}: McNemar, exact"))
    if adjusted is not None and pairs > 1:
        rows.append(("p, adjusted", f"{adjusted:.3g}: Holm over {pairs} comparisons"))
    if d.detectable is not None:
        rows.append(("smallest difference to be seen", f"{gap(d.detectable)[1:]} {unit}, with 80 % power at p < 0.05"))
    return rows + [("note", note) for note in c.notes]
