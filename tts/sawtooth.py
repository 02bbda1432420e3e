"""A run of InftyThink by round: how far its chains went, their contexts, and what stopping there would give."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from tts.metrics import clusters
from tts.stats import estimate


@dataclass(slots=True)
class ByRound:
    """One round over all chains of a run. `accuracy` is that of all chains if each had stopped after this round, or
    before where it had ended, with a 95 % interval over questions; None where nothing is scored. Contexts and tokens
    are of the chains that wrote it.
    """

    round: int
    chains: int = 0
    context: float = 0.0
    most_context: int = 0
    tokens: float = 0.0
    ends: dict[str, int] = field(default_factory=dict)
    accuracy: float | None = None
    ci: tuple[float, float] | None = None


def by_round(records: Iterable[Mapping[str, Any]]) -> list[ByRound]:
    """From the records of a run, one row a round, 1 to the deepest; empty where there are no rounds."""
    rows: list[ByRound] = []
    verdicts: dict[str, list[dict[int, bool]]] = {}  # by question, a chain's verdict by round, where it changes
    metadata: dict[str, Mapping[str, Any]] = {}
    for record in records:
        solution = record["solution"]
        chains: dict[int, dict[int, bool]] = {}
        for r in solution.get("rounds", ()):
            while len(rows) < r["round"]:
                rows.append(ByRound(len(rows) + 1))
            row = rows[r["round"] - 1]
            row.chains += r["finish"] != "malformed"
            row.ends[r["finish"]] = row.ends.get(r["finish"], 0) + 1
            row.context += r["context"]
            row.tokens += r["tokens"]
            row.most_context = max(row.most_context, r["context"])
            chains.setdefault(r["chain"], {})[r["round"]] = r["correct"] is True
        if chains and record["grade"]["correct"] is not None:
            verdicts.setdefault(record["problem_id"], []).extend(chains.values())
            metadata[record["problem_id"]] = record.get("metadata") or {}
    groups = clusters(metadata.values())
    for row in rows:
        written = sum(row.ends.values())
        row.context, row.tokens = row.context / written, row.tokens / max(row.chains, 1)
        if verdicts:
            last = [fmean(v[max(k for k in v if k <= row.round)] for v in chains) for chains in verdicts.values()]
            found = estimate(last, groups)
            row.accuracy, row.ci = found.value, found.ci
    return rows
