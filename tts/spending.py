"""Two ways of spending the same budget, side by side."""

from __future__ import annotations

import math
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from tts.results import current
from tts.stats import Z95
from tts.store import read_records


def by_problem(run: Path) -> dict[str, float]:
    """The share of a problem's attempts that were right, for problems that were graded."""
    right: dict[str, list[bool]] = {}
    for record in read_records(run):
        if record["status"] != "error" and record["grade"]["correct"] is not None:
            right.setdefault(record["problem_id"], []).append(record["grade"]["correct"])
    return {name: fmean(marks) for name, marks in right.items()}


def paired(a: Path, b: Path) -> tuple[float, float | None, int]:
    """(mean difference a - b, half width of its 95 % interval, problems) over the problems that both runs have.

    The interval is that of the mean of paired differences (Miller 2024, arXiv:2411.00640, section 4.2).
    """
    first, second = by_problem(a), by_problem(b)
    differences = [first[name] - second[name] for name in first.keys() & second.keys()]
    if len(differences) < 2:
        return (differences[0] if differences else math.nan), None, len(differences)
    return fmean(differences), Z95 * stdev(differences) / math.sqrt(len(differences)), len(differences)


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
    mean, half, problems = paired(adaptive, uniform)
    interval = "" if half is None else f" ± {100 * half:.1f}"
    return rows, f"adaptive - uniform: {100 * mean:+.1f}{interval} points over {problems} problems (paired, 95 %)"
