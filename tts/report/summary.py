"""The table that goes into a paper: a row a run."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tts.report.curves import Result
from tts.report.sections import Section, Table

COLUMNS = ("Benchmark", "Model", "Strategy", "n", "Accuracy", "pass@1 [avg-of-k]", "majority@k", "pass@k", "Tokens")
NOTES = (
    "Percent ± one standard error over questions, or over the clusters that the benchmark's card names; [k] samples.",
    "Accuracy: the answers that the strategy gave. majority@k and pass@k: expectations over the samples drawn. "
    "Tokens: generated per problem and attempt, all samples together.",
)


def summary(runs: Sequence[Result]) -> Section:
    """Accuracy, pass@1 as the mean of k samples, majority@k and pass@k at the largest k, and tokens."""
    return Section("Summary", (Table(COLUMNS, tuple(_row(run) for run in runs)),), (), NOTES)


def markdown(runs: Sequence[Result]) -> str:
    """The summary as a GitHub table, with what the ± is."""
    (table,) = summary(runs).tables
    rule = ["---:" if i >= COLUMNS.index("n") else "---" for i in range(len(COLUMNS))]
    rows = [[str(cell).replace("|", "\\|") for cell in row] for row in table.rows]
    lines = [f"| {' | '.join(cells)} |" for cells in (COLUMNS, rule, *rows)]
    return "\n".join([*lines, "", *NOTES])


def _row(run: Result) -> tuple[str, ...]:
    metrics = run.results["metrics"]
    tokens = run.results["usage"]["generated_tokens"] / max(1, run.results["counts"]["records"])
    found = {kind: _largest(metrics, kind) for kind in ("avg", "maj", "pass")}
    pooled = ("–" if at is None else f"{_cell(metrics[f'{kind}@{at}'])} [{at}]" for kind, at in found.items())
    n = str(run.manifest["growing"]["n"])
    return (run.benchmark, run.model, run.strategy, n, _cell(metrics["accuracy"]), *pooled, f"{tokens:,.0f}")


def _largest(metrics: Mapping[str, Any], kind: str) -> int | None:
    return max((int(m[1]) for name in metrics if (m := re.fullmatch(rf"{kind}@(\d+)", name))), default=None)


def _cell(metric: Mapping[str, Any]) -> str:
    spread = "" if metric["stderr"] is None else f" ± {100 * metric['stderr']:.1f}"
    return f"{100 * metric['value']:.1f}{spread}"
