"""A row of figures for each cell, as JSON and as a line to read."""

from __future__ import annotations

from typing import Any

from cells import Cell

HEAD = (
    "cell                       problems  accuracy % [95 %]   tokens/problem  seconds  tokens/s  s/problem  occupancy\n"
    "(* samples of earlier cells taken over: its seconds and tokens/s say nothing)"
)


def row(cell: Cell, results: dict[str, Any], lives: list[dict[str, Any]], occupied: dict[str, float]) -> dict[str, Any]:
    """Time and tokens are those of all lives of a run that was taken up again."""
    engine = {name: sum(life.get("engine", {}).get(name, 0) for life in lives) for name in lives[-1]["engine"]}
    seconds, generated = sum(life["seconds"] for life in lives), engine["generated_tokens"]
    problems = results["counts"]["problems"]
    return {
        "benchmark": cell.benchmark, "strategy": cell.strategy, "n": cell.n, "options": dict(cell.options),
        "reuse": cell.reuse, "problems": problems, "counts": results["counts"], "metrics": results["metrics"],
        "usage": results["usage"], "seconds": seconds, "ended": lives[-1]["ended"], "engine": engine,
        "tokens_per_second": generated / seconds if seconds else None,
        "seconds_per_problem": seconds / problems if problems else None, "occupancy": occupied,
    }  # fmt: skip


def line(name: str, row: dict[str, Any]) -> str:
    if "failed" in row:
        return f"{name:26} failed: {row['failed'][:100]}"
    accuracy, usage = row["metrics"].get("accuracy") or {}, row["usage"]
    low, high = accuracy.get("ci") or (float("nan"),) * 2
    said = f"{100 * accuracy.get('value', float('nan')):5.1f} [{100 * low:4.1f}, {100 * high:5.1f}]"
    shared = "*" if row["reuse"] else " "
    return (
        f"{name:26} {row['problems']:8}  {said} {usage['tokens_per_problem'] or 0:14.0f}  {row['seconds']:7.1f}{shared}"
        f" {row['tokens_per_second'] or 0:8.0f}  {row['seconds_per_problem'] or 0:9.3f}"
        f"  {100 * row['occupancy']['middle']:8.0f} %"
    )
