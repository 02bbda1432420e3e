"""Accuracy against compute: one curve a strategy, and which points are worth their cost."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from tts.errors import InputError
from tts.metrics import INDEPENDENT
from tts.results import by_outcome, current
from tts.store import read_manifest
from tts.strategies import STRATEGIES

_CURVE = re.compile(r"(pass|maj|best|weighted|filtered)@(\d+)(?::(.+))?")
NAMES = {
    "maj": "self-consistency (maj@k)",
    "best": "best of k by {0} (best@k)",
    "weighted": "best of k by {0}, weighted (weighted@k)",
    "filtered": "vote of the better half by {0} (filtered@k)",
    "pass": "any of k right (pass@k, an upper bound)",
}
SINGLE = "one sample (avg@1)"
Axis = Literal["tokens", "seconds", "flops"]
AXES: dict[Axis, str] = {
    "tokens": "generated tokens a problem",
    "seconds": "seconds a problem (the run's wall time, shared out)",
    "flops": "FLOPs a problem",
}


@dataclass(frozen=True, slots=True)
class Point:
    """Accuracy in [0, 1] with its 95 % interval, and what it costs a problem; None where that is unknown."""

    k: int
    value: float
    low: float
    high: float
    tokens: float | None
    seconds: float | None
    flops: float | None

    def cost(self, axis: Axis) -> float | None:
        """The cost on one axis; None where unknown or nothing."""
        found: float | None = getattr(self, axis)
        return found or None


@dataclass(frozen=True, slots=True)
class Curve:
    """Points of one strategy on one benchmark by growing cost. `start`: the one sample it grows from, which is a point
    of a curve of its own. `oracle`: needs the target, so no user can have it.
    """

    name: str
    points: tuple[Point, ...]
    start: Point | None = None
    oracle: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """A run's manifest and results."""

    path: Path
    manifest: Mapping[str, Any]
    results: Mapping[str, Any]

    @property
    def benchmark(self) -> str:
        return str(self.manifest["identity"]["benchmark"])

    @property
    def model(self) -> str:
        return Path(str(self.manifest["identity"]["model"] or self.manifest.get("served_model"))).name

    @property
    def strategy(self) -> str:
        """With its verifier, and the options that are not as they are by default."""
        identity = self.manifest["identity"]
        verifier = [f"verifier {identity['verifier']}"] if identity["verifier"] else []
        return " ".join([spelled(identity["strategy"], identity["options"]), *verifier])


def spelled(strategy: str, options: Mapping[str, Any]) -> str:
    """A strategy with the options that are not as they are by default, in words of the command line."""
    known = STRATEGIES.get(strategy)
    defaults = {f.name: f.default for f in fields(known)} if known else {}
    said = [strategy]
    for name, value in options.items():
        if isinstance(value, Mapping):  # a strategy inside this one
            said.append(f"{name}={spelled(value['name'], {k: v for k, v in value.items() if k != 'name'})}")
        elif value != defaults.get(name):
            said.append(f"{name}={value}")
    return " ".join(said)


def read_result(run: Path) -> Result:
    """A run for a report.

    Raises:
        RunDirectoryError: not a run, or a damaged one.
        InputError: nothing in it was scored.
    """
    manifest = read_manifest(run)
    results = current(run)
    if not results["metrics"]:
        why = "none of its records has a target to score against" if results["counts"]["records"] else "no record yet"
        raise InputError(f"{run} has nothing to report: {why}", f"tts show {run} says how its problems ended")
    return Result(run, manifest, results)


def by_benchmark(runs: Iterable[Result]) -> dict[str, list[Result]]:
    """Runs in the order given, together with those of the same benchmark."""
    grouped: dict[str, list[Result]] = {}
    for run in runs:
        grouped.setdefault(run.benchmark, []).append(run)
    return grouped


def curves(runs: Sequence[Result]) -> list[Curve]:
    """The curves of runs on one benchmark.

    Independent samples give a curve over k from one run; one that is part of another is not drawn. Any other strategy,
    and samples under a stopping rule or a budget, are a point a run, at what it spent, and runs of it with another n or
    budget join to a curve.
    """
    drawn: list[tuple[Curve, Result]] = []
    asked: dict[tuple[str, str], list[Result]] = {}
    parts = [run for run, _ in included(runs)]
    for run in runs:
        pooled = run.manifest["identity"]["strategy"] in INDEPENDENT
        if pooled and run not in parts:
            drawn += [(curve, run) for curve in _over_k(run)]
        if not pooled or run.manifest["budget"] or by_outcome(run.manifest):
            asked.setdefault((run.model, run.strategy), []).append(run)
    for (_, strategy), members in asked.items():
        points = sorted((_as_run(run) for run in members), key=lambda p: p.tokens or 0.0)
        drawn.append((Curve(f"{strategy}, as run", tuple(points)), members[0]))
    # Names say no more than is needed to tell curves apart: the model, then the run.
    several = len({run.model for run in runs}) > 1
    named = [(f"{run.model}: {c.name}" if several else c.name) for c, run in drawn]
    count = Counter(named)
    return [
        replace(c, name=f"{name}, {run.path.resolve().name}" if count[name] > 1 else name)
        for (c, run), name in zip(drawn, named, strict=True)
    ]


def included(runs: Sequence[Result]) -> list[tuple[Result, Result]]:
    """(a run of independent samples, one with more samples of the same problems): a larger n keeps the samples of a
    smaller one, so the curve of the larger is that of both.
    """

    def same(a: Result, b: Result) -> bool:
        problems = a.results["counts"]["problems"], b.results["counts"]["problems"]
        return bool(a.manifest["identity"] == b.manifest["identity"] and problems[0] == problems[1])

    found = []
    for run in runs:
        pooled = run.manifest["identity"]["strategy"] in INDEPENDENT and not run.manifest["budget"]
        kin = [r for r in runs if pooled and r.manifest["growing"]["n"] > run.manifest["growing"]["n"] and same(r, run)]
        if kin:
            found.append((run, max(kin, key=lambda r: int(r.manifest["growing"]["n"]))))
    return found


def replayed(run: Result) -> bool:
    """Whether a run was over before a mean problem of it: its samples come from a journal, and its seconds say nothing
    of what they take.
    """
    usage, records = run.results["usage"], run.results["counts"]["records"]
    return bool(usage.get("problem_seconds", 0.0) > usage["seconds"] * max(1, records))


def _over_k(run: Result) -> list[Curve]:
    """At k = 1 all curves are one: the mean accuracy of a single sample."""
    results, usage = run.results, _usage(run)
    candidates = results["counts"]["candidates"]
    found: dict[str, list[Point]] = {}
    oracles = set()
    for metric, m in results["metrics"].items():
        if match := _CURVE.fullmatch(metric):
            kind, k, scorer = match[1], int(match[2]), match[3] or ""
            name = NAMES[kind].format(scorer) if k > 1 else SINGLE
            if k > 1 or kind == "pass":
                found.setdefault(name, []).append(_point(m, k, usage, k / candidates))
            if kind == "pass" and k > 1:
                oracles.add(name)
    (start,) = found.get(SINGLE, [None])
    return [
        Curve(name, tuple(sorted(ps, key=lambda p: p.k)), None if name == SINGLE else start, name in oracles)
        for name, ps in found.items()
    ]


def _as_run(run: Result) -> Point:
    metrics = run.results["metrics"]
    share = 1 / max(1, run.results["counts"]["records"])
    return _point(metrics["accuracy"], run.manifest["growing"]["n"], _usage(run), share)


def _usage(run: Result) -> dict[str, Any]:
    return {**run.results["usage"], **({"seconds": None} if replayed(run) else {})}


def _point(metric: Mapping[str, Any], k: int, usage: Mapping[str, Any], share: float) -> Point:
    low, high = metric["ci"] or (metric["value"], metric["value"])
    cost = (None if usage[u] is None else usage[u] * share for u in ("generated_tokens", "seconds", "flops"))
    return Point(k, metric["value"], low, high, *cost)


def front(found: Sequence[Curve], axis: Axis) -> set[tuple[int, int]]:
    """(curve, point) of the Pareto front: no other point is as accurate for less, or more accurate for as much.
    What needs the target (pass@k) is left out.
    """
    points = [
        (cost, -p.value, (i, j))
        for i, curve in enumerate(found)
        for j, p in enumerate(curve.points)
        if not curve.oracle and (cost := p.cost(axis)) is not None
    ]
    best, kept, last = float("inf"), set(), None
    for cost, loss, where in sorted(points):
        if loss < best or (cost, loss) == last:
            best, last = loss, (cost, loss)
            kept.add(where)
    return kept
