"""Runs with notes and without: accuracy against test tokens and amortised cost, when notes pay and when they do not.

Lin et al. 2025 (arXiv:2504.13171), section 5.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tts.amortise import QUERIES, Cost, Crossing, Spending, crossing, frontier, rival, spending
from tts.errors import InputError
from tts.report.curves import Result
from tts.report.sections import Cell, Line, Mark, Plot, Section, Table, count, interval, percent
from tts.stats import METHODS
from tts.store import read_manifest, read_records


@dataclass(frozen=True, slots=True)
class Asked:
    """One run: what was asked of it, and what it spent. `ablated`: something was left out of its prompts."""

    run: str
    how: str
    ablated: bool
    spent: Spending


@dataclass(frozen=True, slots=True)
class Sleep:
    """Runs on one benchmark by one model, at t tokens for one that somebody waits for."""

    t: float
    runs: tuple[Asked, ...]

    def side(self, notes: bool) -> dict[str, Spending]:
        """The runs with notes or without, by path; ablations are neither."""
        return {a.run: a.spent for a in self.runs if not a.ablated and bool(a.spent.sleep) is notes}

    def how(self, run: str) -> str:
        """What was asked of a run."""
        return next(a.how for a in self.runs if a.run == run)

    def costs(self) -> dict[str, Cost]:
        """What a question costs, by name: in test tokens; amortised over the questions that its context has here, and
        over as many as the paper gives.
        """
        return {
            "test tokens": lambda s: s.test,
            "cost": lambda s: s.cost(self.t),
            **{f"cost at {q}": _at(self.t, q) for q in QUERIES},
        }


def _at(t: float, queries: int) -> Cost:
    return lambda s: s.cost(t, queries)


def sleeps(result: Result) -> bool:
    """Whether a run's strategy is sleep-time, so that it belongs beside others in `section`."""
    return bool(result.manifest["identity"]["strategy"] == "sleep-time")


def read_sleep(runs: Iterable[Path], t: float, prefill: float) -> Sleep:
    """What runs spent.

    Raises:
        RunDirectoryError: not a run, or a damaged one.
        InputError: nothing in one of them was scored.
    """
    found = []
    for run in runs:
        try:
            spent = spending(read_records(run), prefill)
        except ValueError as error:
            raise InputError(f"{run}: {error}", "a run with graded problems") from error
        manifest = read_manifest(run)
        ablated = manifest["identity"]["options"].get("ablate", "nothing") != "nothing"
        found.append(Asked(str(run), _how(manifest), ablated, spent))
    return Sleep(t, tuple(found))


def _how(manifest: Mapping[str, Any]) -> str:
    """The strategy that answered, n, and how its notes were made and used."""
    identity, n = manifest["identity"], manifest["growing"]["n"]
    options = identity["options"]
    inner = options.get("inner", identity["strategy"])
    parts = [str(inner["name"] if isinstance(inner, Mapping) else inner)]
    parts += [f"n = {n}"] if n > 1 else []
    parts += [f"verbosity {options['verbosity']}"] if "verbosity" in options else []
    if (notes := options.get("notes", 1)) != 1:
        parts.append(f"{notes} notes" if notes else "no notes")
    parts += [f"{options['rethinks']} rethinks"] if options.get("rethinks") else []
    if options.get("ablate", "nothing") != "nothing":
        parts.append(f"without the {options['ablate']}")
    return ", ".join(parts)


def rows(found: Sleep) -> list[dict[str, Any]]:
    """A row a run, with the cheapest one without notes that is no less accurate, and the questions a context from which
    notes cost no more than it (infinite: never; None: there is no such run).
    """
    plain = found.side(notes=False)
    made = []
    for a in found.runs:
        s = a.spent
        beside = rival(s, plain) if a.run in found.side(notes=True) else None
        made.append(
            {
                "run": a.run, "how": a.how, "accuracy": s.accuracy.value, "ci": s.accuracy.ci, "questions": s.problems,
                "test tokens": s.test, "test seconds": s.test_seconds, "sleep tokens": s.sleep,
                "questions a context": s.queries, "cost": s.cost(found.t),
                **{f"at {q}": s.cost(found.t, q) for q in QUERIES},
                "as good without notes": beside,
                "pays from": None if beside is None else s.break_even(plain[beside], found.t),
            }
        )  # fmt: skip
    return made


def crossings(found: Sleep) -> dict[str, Crossing | None]:
    """By each cost, where thinking only at test time begins to win; empty where one side has no run."""
    slept, plain = found.side(notes=True), found.side(notes=False)
    return {name: crossing(slept, plain, cost) for name, cost in found.costs().items()} if slept and plain else {}


def as_json(found: Sleep) -> dict[str, Any]:
    """Plain values."""
    from dataclasses import asdict

    told = [{k: None if v == math.inf else v for k, v in row.items()} for row in rows(found)]
    where = {name: c and asdict(c) for name, c in crossings(found).items()}
    return {"t": found.t, "runs": told, "test_time_wins_from": where}


def section(title: str, found: Sleep) -> Section:
    """Curves, costs, break-even and cross-over."""
    tables = [_costs(found)]
    if crossed := crossings(found):
        tables += [_break_even(found), _crossed(found, crossed)]
    notes = [
        f"Cost a question = t × test tokens + sleep tokens ÷ questions on its context, t = {found.t:g}; sleep tokens "
        "are those of a context.",
        "A line goes through the runs that no cheaper one of their kind equals in accuracy.",
    ]
    if not crossed:
        notes.append("Break-even and cross-over need runs with notes and runs without.")
    plots = (
        _plot(found, lambda s: s.test, "test tokens a question"),
        _plot(found, lambda s: s.cost(found.t), "amortised cost a question"),
    )
    return Section(title, tuple(tables), plots, tuple(notes))


def _costs(found: Sleep) -> Table:
    columns = (
        "run", "notes", "accuracy", "95 % interval", "questions", "test tokens", "test seconds", "sleep tokens",
        "questions a context", "cost", *(f"at {q}" for q in QUERIES),
    )  # fmt: skip
    shown = [
        (
            a.how, "yes" if a.spent.sleep else "no", percent(s.accuracy.value), interval(s.accuracy.ci), s.problems,
            count(s.test), count(s.test_seconds), count(s.sleep), count(s.queries), count(s.cost(found.t)),
            *(count(s.cost(found.t, q)) for q in QUERIES),
        )
        for a in found.runs
        for s in [a.spent]
    ]  # fmt: skip
    return Table(columns, tuple(shown), "what a question costs, in tokens")


def _break_even(found: Sleep) -> Table:
    slept = found.side(notes=True)
    shown: list[tuple[Cell, ...]] = []
    for row in rows(found):
        if row["run"] in slept:
            beside = row["as good without notes"]
            said = "never" if row["pays from"] == math.inf else None
            pays = said or (None if row["pays from"] is None else f"{row['pays from']:.2f}")
            shown.append((row["how"], percent(row["accuracy"]), beside and found.how(beside), pays))
    columns = ("with notes", "accuracy", "cheapest without that is as good", "pays from questions a context")
    return Table(columns, tuple(shown), "break-even")


def _crossed(found: Sleep, crossed: Mapping[str, Crossing | None]) -> Table:
    def row(name: str, c: Crossing | None) -> tuple[Cell, ...]:
        if c is None:
            return name, "not up to the most that was spent", None, None, None, None
        start = "the cheapest run on" if c.cheapest else count(c.budget)
        gain, ends = (None, None) if c.gain is None else (f"{100 * c.gain.value:+.1f}", interval(c.gain.ci, "+"))
        return name, start, found.how(c.plain), c.slept and found.how(c.slept), gain, ends

    columns = ("budget a question in", "test time alone wins from", "by", "over", "points", "95 % interval")
    by = {c.gain.method for c in crossed.values() if c and c.gain}
    how = f" ({', '.join(METHODS[m] for m in sorted(by))})" if by else ""
    title = f"cross-over: where thinking only at test time wins; points at the largest budget, paired{how}"
    return Table(columns, tuple(row(name, c) for name, c in crossed.items()), title)


def _plot(found: Sleep, cost: Cost, x: str) -> Plot:
    lines = []
    for name, notes in (("with notes", True), ("without notes", False)):
        side = found.side(notes)
        best = {run for run, _ in frontier(side, cost)}
        marks = [_mark(found.how(run), s, cost, run in best) for run, s in side.items() if cost(s) > 0]
        lines.append(Line(name, tuple(sorted(marks, key=lambda m: m.x)), dashed=not notes, by_front=True))
    return Plot(x, tuple(line for line in lines if line.marks))


def _mark(how: str, s: Spending, cost: Callable[[Spending], float], front: bool) -> Mark:
    low, high = s.accuracy.ci or (s.accuracy.value, s.accuracy.value)
    return Mark(cost(s), 100 * s.accuracy.value, 100 * low, 100 * high, how, front)


def grouped(results: Sequence[Result]) -> dict[str, list[Path]]:
    """Runs that belong side by side, by a title: those of one benchmark and model, if one of them sleeps."""
    groups: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        groups.setdefault((result.benchmark, result.model), []).append(result)
    models = len({model for _, model in groups}) > 1
    return {
        f"{benchmark}{f', {model}' if models else ''}": [r.path for r in members]
        for (benchmark, model), members in groups.items()
        if any(map(sleeps, members))
    }
