"""A run of InftyThink: its sawtooth, what stopping earlier would give, what its contexts cost beside one long chain.

Yan et al. 2025 (arXiv:2503.06692); the comparison of costs after Yan et al. 2026 (arXiv:2602.06960).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from tts.report.curves import Result
from tts.report.sections import Cell, Line, Mark, Plot, Section, Table, bare, count, interval, memory, percent
from tts.sawtooth import ByRound, by_round
from tts.store import read_records

SHOWN = 3
"""Chains whose contexts are drawn: of the fewest rounds, of the middle number, of the most."""


@dataclass(frozen=True, slots=True)
class Way:
    """What a chain costs, the mean over chains: generated tokens, the largest context, Σ context² over rounds, and the
    bytes of keys and values of the largest context (None where a token's are unknown). `most_context` and `most_kv` are
    the largest of all chains.
    """

    tokens: float
    peak_context: float
    most_context: int
    context_squared: float
    kv_bytes: float | None
    most_kv: int | None


@dataclass(frozen=True, slots=True)
class Depth:
    """The chains that took as many rounds: in rounds, and as one long chain with the same reasoning."""

    rounds: int
    chains: int
    ours: Way
    one: Way


@dataclass(frozen=True, slots=True)
class Rounds:
    """`drawn` are single chains as (label, their rounds in order, their account as the record has it)."""

    mode: str
    chains: int
    ours: Way
    one: Way
    depths: tuple[Depth, ...]
    by_round: tuple[ByRound, ...]
    drawn: tuple[tuple[str, tuple[Mapping[str, Any], ...], Mapping[str, Any]], ...]


def has_rounds(result: Result) -> bool:
    """Whether the run's strategy, or the one inside it, is infty-think."""
    identity = result.manifest["identity"]
    inner = identity["options"].get("inner")
    return "infty-think" in (identity["strategy"], inner["name"] if isinstance(inner, Mapping) else inner)


def rounds(records: Iterable[Mapping[str, Any]]) -> Rounds | None:
    """Read a run's rounds; None where no record has any."""
    kept = [_slim(r) for r in records if r["solution"].get("rounds") and r["solution"].get("chains")]
    if not kept:
        return None
    chains = [chain for r in kept for chain in r["solution"]["chains"]]
    depths = []
    for depth in sorted({c["rounds"] for c in chains}):
        those = [c for c in chains if c["rounds"] == depth]
        depths.append(Depth(depth, len(those), _way(those), _way([c["one_chain"] for c in those])))
    modes = sorted({r["solution"]["mode"] for r in kept})
    return Rounds(
        " and ".join(modes), len(chains), _way(chains), _way([c["one_chain"] for c in chains]), tuple(depths),
        tuple(by_round(kept)), tuple(_drawn(kept)),
    )  # fmt: skip


def _slim(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record's rounds without their texts."""
    solution = record["solution"]
    teeth = [{k: v for k, v in r.items() if k not in ("text", "summary")} for r in solution["rounds"]]
    return {
        "problem_id": record["problem_id"],
        "attempt": record["attempt"],
        "grade": record["grade"],
        "metadata": record.get("metadata"),
        "solution": {"mode": solution["mode"], "rounds": teeth, "chains": solution["chains"]},
    }


def _way(chains: Sequence[Mapping[str, Any]]) -> Way:
    def mean(name: str) -> float:
        return fmean(c[name] for c in chains)

    known = all(c["kv_bytes"] is not None for c in chains)
    return Way(
        mean("tokens"), mean("peak_context"), max(c["peak_context"] for c in chains), mean("context_squared"),
        mean("kv_bytes") if known else None, max(c["kv_bytes"] for c in chains) if known else None,
    )  # fmt: skip


def _drawn(records: Sequence[Mapping[str, Any]]) -> list[tuple[str, tuple[Mapping[str, Any], ...], Mapping[str, Any]]]:
    every = [(r, c) for r in records for c in r["solution"]["chains"]]
    every.sort(key=lambda pair: pair[1]["rounds"])
    places = sorted({0, len(every) // 2, len(every) - 1})[-SHOWN:]
    found = []
    for record, chain in (every[i] for i in places):
        teeth = tuple(r for r in record["solution"]["rounds"] if r["chain"] == chain["chain"])
        name = record["problem_id"] + (f"#{record['attempt']}" if record["attempt"] else "")
        label = f"{name}, chain {chain['chain']}" if len(record["solution"]["chains"]) > 1 else name
        found.append((f"{label}: {chain['rounds']} rounds", teeth, chain))
    return found


def as_json(found: Rounds) -> dict[str, Any]:
    """Plain values; the single chains are left to `tts show`."""
    plain = asdict(found)
    del plain["drawn"]
    return plain


def read_rounds(result: Result) -> Rounds | None:
    """The rounds of a run; None where it has none."""
    return rounds(read_records(result.path)) if has_rounds(result) else None


def section(run: str, found: Rounds) -> Section:
    """The sawtooth, accuracy by round, and costs beside those of one long chain."""
    return Section(
        f"{run}: rounds of infty-think",
        (_costs(found), by_round_table(found.by_round)),
        (_sawtooth(found), _accuracy(found), _peaks(found), _squares(found)),
        (
            f"Mode: {found.mode}. One long chain: the question with all the reasoning of the rounds behind it, without "
            "the summaries. It was not run; its tokens and contexts follow from the rounds.",
            "Tokens are what a chain generated, repeated rounds included. Σ context² is what attention costs go by: "
            "over rounds the sum of their squares. Memory is that of the keys and values of the largest context.",
            "Accuracy by round: of all chains, had each stopped after this round, or before where it had ended.",
        ),
    )


def _costs(found: Rounds) -> Table:
    ours, one = found.ours, found.one

    def row(name: str, a: float | None, b: float | None, said: Any = count) -> tuple[Cell, ...]:
        if a is None or b is None:
            return name, "unknown", "unknown", None
        return name, said(a), said(b), f"{a / b:.2f}" if b else None

    return Table(
        ("mean over chains", "in rounds", "one long chain", "ratio"),
        (
            row("Σ tokens", ours.tokens, one.tokens),
            row("peak context", ours.peak_context, one.peak_context),
            row("peak context, largest", ours.most_context, one.most_context),
            row("memory at the peak", ours.kv_bytes, one.kv_bytes, memory),
            row("memory at the peak, largest", ours.most_kv, one.most_kv, memory),
            row("Σ context²", ours.context_squared, one.context_squared),
        ),
        f"{found.chains} chains beside one long chain each",
    )


def by_round_table(rows: Sequence[ByRound]) -> Table:
    """A row a round."""
    return Table(
        ("round", "chains", "mean context", "largest", "tokens", "ends", "accuracy if stopped here", "95 % interval"),
        tuple(
            (
                r.round, r.chains, count(r.context), r.most_context, count(r.tokens),
                ", ".join(f"{end} {n}" for end, n in sorted(r.ends.items(), key=lambda e: -e[1])),
                None if r.accuracy is None else percent(r.accuracy), interval(r.ci),
            )
            for r in rows
        ),
        "by round",
    )  # fmt: skip


def _sawtooth(found: Rounds) -> Plot:
    """Up as a round is written, down as the next begins with the summary alone."""
    lines = []
    for label, teeth, _ in found.drawn:
        marks, spent = list[Mark](), 0
        for r in teeth:
            marks.append(bare(spent, r["prompt_tokens"], f"round {r['round']} begins"))
            spent += r["tokens"]
            marks.append(bare(spent, r["context"], f"round {r['round']} ends: {r['finish']}"))
        lines.append(Line(label, tuple(marks)))
    label, teeth, deepest = found.drawn[-1]
    one = deepest["one_chain"]
    ends = bare(0, teeth[0]["prompt_tokens"], "begins"), bare(one["tokens"], one["peak_context"], "ends")
    lines.append(Line(f"{label.split(':')[0]} as one long chain", ends, dashed=True))
    return Plot("tokens generated so far", tuple(lines), log=False, y="context, tokens", percent=False)


def _accuracy(found: Rounds) -> Plot:
    marks = []
    for r in found.by_round:
        if r.accuracy is not None:
            low, high = r.ci or (r.accuracy, r.accuracy)
            marks.append(Mark(r.round, 100 * r.accuracy, 100 * low, 100 * high, f"round {r.round}"))
    lines = (Line("all chains, if stopped there", tuple(marks)),) if marks else ()
    return Plot("round", lines, log=False)


def _peaks(found: Rounds) -> Plot:
    def marks(side: str) -> tuple[Mark, ...]:
        made = []
        for d in found.depths:
            way: Way = getattr(d, side)
            held = "" if way.kv_bytes is None else f", {memory(way.kv_bytes)} of keys and values"
            made.append(bare(way.tokens, way.peak_context, f"{d.chains} chains of {d.rounds} rounds{held}"))
        return tuple(sorted(made, key=lambda m: m.x))

    lines = Line("in rounds", marks("ours")), Line("one long chain", marks("one"), dashed=True)
    return Plot("Σ tokens of a chain", lines, log=False, y="peak context, tokens", percent=False)


def _squares(found: Rounds) -> Plot:
    def marks(side: str) -> tuple[Mark, ...]:
        ways = [(d, getattr(d, side)) for d in found.depths]
        made = [bare(w.tokens, w.context_squared, f"{d.chains} chains of {d.rounds} rounds") for d, w in ways]
        return tuple(sorted(made, key=lambda m: m.x))

    lines = Line("in rounds", marks("ours")), Line("one long chain", marks("one"), dashed=True)
    return Plot("Σ tokens of a chain", lines, log=False, y="Σ context²", percent=False)
