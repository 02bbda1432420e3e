"""Two ways of spending the same budget, side by side."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean
from typing import Any

from tts.errors import InputError
from tts.report.compare import compare
from tts.report.sections import interval
from tts.results import current
from tts.stats import METHODS
from tts.store import read_records


def by_problem(run: Path) -> dict[str, float]:
    """The share of a problem's attempts that were right, for problems that were graded."""
    right: dict[str, list[bool]] = {}
    for record in read_records(run):
        if record["status"] != "error" and record["grade"]["correct"] is not None:
            right.setdefault(record["problem_id"], []).append(record["grade"]["correct"])
    return {name: fmean(marks) for name, marks in right.items()}


def side_by_side(adaptive: Path, uniform: Path) -> tuple[list[dict[str, Any]], str]:
    """Rows of a table, and the paired difference in words."""
    rows = []
    for name, run in (("adaptive", adaptive), ("uniform", uniform)):
        results = current(run)
        accuracy, usage = results["metrics"].get("accuracy"), results["usage"]
        rows.append(
            {
                "allocation": name,
                "accuracy": f"{100 * accuracy['value']:.1f} %" if accuracy else "",
                "generated tokens": f"{usage['generated_tokens']:,}",
                "samples": results["counts"]["candidates"],
                "run": str(run),
            }
        )
    return rows, _paired(uniform, adaptive)


def _paired(a: Path, b: Path) -> str:
    """The difference as `tts compare` finds it, in words."""
    try:
        found = compare(a, b, "accuracy").found
    except InputError as error:
        return f"not compared: {error.message}"
    ends = f" {interval(found.ci, '+')} (95 %, {METHODS[found.method]})" if found.ci else ""
    return f"adaptive - uniform: {100 * found.value:+.1f} points{ends}, over {found.questions} paired problems"
