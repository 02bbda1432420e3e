"""With a verifier or without: both on the same axes, and how heterogeneous correct traces are.

Setlur et al. 2025 (arXiv:2502.12118): choosing with a verifier gains on cloning or voting where correct traces to one
problem differ widely, and where a fair share of them is clearly better than the mean. Tokens are generated and
verifier tokens.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

from tts.calibration import Pool, read_pools
from tts.errors import InputError
from tts.metrics import best_at_k, ladder, maj_at_k, weighted_at_k
from tts.report.sections import Line, Mark, Plot, Section, Table, percent
from tts.results import current
from tts.store import read_manifest


@dataclass(frozen=True, slots=True)
class Trace:
    """One problem: the spread of its correct traces' lengths (tokens) and of its traces' rewards, the share of traces
    whose reward is at least one spread above the mean, and the gain of the verifier over the vote, in accuracy.
    """

    problem_id: str
    correct: int
    length_spread: float | None
    reward_spread: float | None
    above: float | None
    gain: float


def verified(runs: Sequence[Path]) -> dict[str, Any]:
    """Curves by kind (`verifier`, `no verifier`), heterogeneity of each problem, and its correlation with the gain.

    The first run is a pool of independent samples with a verifier's scores; any other (budget forcing, search) gives a
    point.

    Raises:
        InputError: the first run is not such a pool.
    """
    pools, verifier = read_pools(runs[0])
    if verifier is None or not pools:
        raise InputError(f"{runs[0]} has no verifier's scores", "the first RUN is of -s best-of-n --verifier NAME")
    n = min(len(p.samples) for p in pools.values())
    curves: dict[str, dict[str, list[dict[str, float]]]] = {
        "no verifier": {
            "majority": _curve(pools, n, False, lambda p, k: maj_at_k(p.classes, p.correct, k)),
            "longest chain": _curve(pools, n, False, lambda p, k: best_at_k(_lengths(p), p.correct, p.classes, k)),
        },
        "verifier": {
            "best of k": _curve(pools, n, True, lambda p, k: best_at_k(p.scores, p.correct, p.classes, k)),
            "weighted": _curve(pools, n, True, lambda p, k: weighted_at_k(p.scores, p.classes, p.correct, k)),
        },
    }
    for run in runs[1:]:
        identity, results = read_manifest(run)["identity"], current(run)
        spent = (results["usage"]["generated_tokens"] + results["usage"]["verifier_tokens"]) / results["counts"][
            "records"
        ]
        kind = "verifier" if identity["verifier"] else "no verifier"
        point = {"tokens": spent, "accuracy": results["metrics"]["accuracy"]["value"]}
        curves[kind].setdefault(identity["strategy"], []).append(point)
    traces = [_trace(name, pool, n) for name, pool in pools.items()]
    measures = {name: correlation(traces, name) for name in ("length_spread", "reward_spread", "above")}
    return {"curves": curves, "problems": traces, "correlation_with_gain": measures}


def _lengths(pool: Pool) -> list[float]:
    return [float(s.tokens) for s in pool.samples]


def _curve(pools: Mapping[str, Pool], n: int, scored: bool, choosing: Any) -> list[dict[str, float]]:
    each = fmean(p.each + (p.verifier_tokens if scored else 0.0) for p in pools.values())
    return [
        {"k": float(k), "tokens": k * each, "accuracy": fmean(choosing(p, k) for p in pools.values())}
        for k in ladder(n)
    ]


def _trace(name: str, pool: Pool, n: int) -> Trace:
    lengths = [s.tokens for s in pool.samples if s.correct]
    rewards = [s.score for s in pool.samples if s.score is not None]
    spread = pstdev(rewards) if len(rewards) > 1 else None
    above = fmean(r >= fmean(rewards) + spread for r in rewards) if spread else None
    gain = weighted_at_k(pool.scores, pool.classes, pool.correct, n) - maj_at_k(pool.classes, pool.correct, n)
    return Trace(name, len(lengths), pstdev(lengths) if len(lengths) > 1 else None, spread, above, gain)


def correlation(traces: Sequence[Trace], measure: str) -> float | None:
    """Pearson's correlation of a measure with the gain, over problems that have it; None where one is constant."""
    pairs = [(value, t.gain) for t in traces if (value := getattr(t, measure)) is not None]
    if len(pairs) < 3:
        return None
    xs, ys = zip(*pairs, strict=True)
    mx, my = fmean(xs), fmean(ys)
    spread = math.sqrt(math.fsum((x - mx) ** 2 for x in xs) * math.fsum((y - my) ** 2 for y in ys))
    return math.fsum((x - mx) * (y - my) for x, y in pairs) / spread if spread else None


def section(found: Mapping[str, Any]) -> Section:
    """What `verified` found, as a report's tables and plot."""
    lines, rows = [], []
    for kind, curves in found["curves"].items():
        for name, points in curves.items():
            marks = (Mark(p["tokens"], y := 100 * p["accuracy"], y, y) for p in points)
            lines.append(Line(f"{name} ({kind})", tuple(marks), dashed=kind == "verifier"))
            rows += [(kind, name, f"{p['tokens']:,.0f}", percent(p["accuracy"])) for p in points]
    spreads = {
        "length_spread": "spread of correct traces' lengths",
        "reward_spread": "spread of rewards",
        "above": "share of traces a spread above the mean reward",
    }
    measures = []
    for name, words in spreads.items():
        values = [v for t in found["problems"] if (v := getattr(t, name)) is not None]
        r = found["correlation_with_gain"][name]
        measures.append(
            (words, len(values), f"{fmean(values):.3g}" if values else "", "" if r is None else f"{r:+.2f}")
        )
    return Section(
        "with a verifier and without",
        (
            Table(("kind", "choice", "generated and verifier tokens a problem", "accuracy"), tuple(rows)),
            Table(
                ("per problem", "problems", "mean", "correlation with what the verifier gains"),
                tuple(measures),
                "how different the traces of a problem are",
            ),
        ),
        (Plot("tokens a problem, the verifier's among them", tuple(lines)),),
    )
