"""results.json and results.csv: what a run's records add up to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tts.evaluate import usage_columns
from tts.metrics import pools, summarise
from tts.stats import Estimate, estimate
from tts.stopping import stops_early
from tts.store import read_json, read_manifest, read_records
from tts.types import Usage

COLUMNS = (
    *("run_id", "date", "benchmark", "dataset", "revision", "model", "strategy", "n", "verifier", "budget"),
    *("problems", "metric", "value", "stderr", "ci_low", "ci_high", "ci_method"),
    *("truncated", "no_answer", "errors"),
    *("prompt_tokens", "cached_tokens", "generated_tokens", "wasted_tokens", "verifier_tokens"),
    *("tokens_per_problem", "flops", "seconds", "seed", "tts_version", "vllm_version"),
)
"""The columns of results.csv, one row a metric."""


def current(run: Path) -> dict[str, Any]:
    """results.json, or the same computed now where records have come since (a run that was killed)."""
    written, records = run / "results.json", run / "records.jsonl"
    if written.exists() and (not records.exists() or written.stat().st_mtime >= records.stat().st_mtime):
        return read_json(written)
    return summary(run)


def summary(run: Path) -> dict[str, Any]:
    """The content of results.json, from the records.

    `seconds` of the usage is the run's wall time over its lives, not the sum over problems that overlapped.
    """
    tally = Tally()

    def counted() -> Any:
        for record in read_records(run):
            tally.add(record)
            yield record

    manifest = read_manifest(run)
    found = summarise(pools(counted(), level=by_outcome(manifest)))
    usage = usage_columns(tally.usage)
    usage["problem_seconds"] = usage["seconds"]
    usage["seconds"] = round(sum(life["seconds"] for life in manifest.get("lives", [])), 3)
    problems = len(tally.problems)
    metrics = {name: _metric(e) for name, e in found.metrics.items()}
    if problems:
        metrics["error_rate"] = _metric(tally.error_rate())
    costs, missing = _per_correct(usage, tally.counts["correct"])
    return {
        "run_id": manifest["run_id"],
        "metrics": metrics | costs,
        "absent": {**found.absent, **missing},
        "curves": found.curves,
        "usage": {
            **usage,
            "tokens_per_problem": round(usage["generated_tokens"] / problems, 3) if problems else None,
        },
        "counts": {"problems": problems, **tally.counts},
    }


def by_outcome(manifest: Mapping[str, Any]) -> bool:
    """Whether a problem's samples decided how many more were drawn: by a stopping rule, a policy or an allocation."""
    identity = manifest.get("identity", {})
    policy = identity.get("strategy") == "compute-optimal"
    return policy or stops_early(identity.get("options", {})) or "adaptive" in manifest.get("budget", "").split()


PER_CORRECT = {"tokens": "generated_tokens", "flops": "flops", "seconds": "seconds"}


def _per_correct(usage: Mapping[str, Any], correct: int) -> tuple[dict[str, Any], dict[str, str]]:
    """What a right answer cost: all that the run spent, over the attempts that were right; and why it is not known."""
    found, missing = {}, {}
    for unit, column in PER_CORRECT.items():
        name, spent = f"{unit}_per_correct", usage[column]
        if spent is None:
            missing[name] = f"the {unit} of this model are not known"
        elif not correct:
            missing[name] = "nothing was right"
        else:
            found[name] = _metric(Estimate(round(spent / correct, 6), None, None, "none"))
    return found, missing


def _metric(e: Estimate) -> dict[str, Any]:
    return {"value": e.value, "stderr": e.stderr, "ci": list(e.ci) if e.ci else None, "ci_method": e.method}


def result_rows(manifest: Mapping[str, Any], results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of results.csv. A run with nothing scored has one row, without a metric, so its cost is kept."""
    identity, usage, counts = manifest["identity"], results["usage"], results["counts"]
    same = {
        "run_id": manifest["run_id"],
        "date": manifest["date"],
        "benchmark": identity["benchmark"],
        "dataset": manifest["dataset"],
        "revision": identity["revision"],
        "model": identity["model"] or manifest["served_model"],
        "strategy": identity["strategy"],
        "n": manifest["growing"]["n"],
        "verifier": identity["verifier"],
        "budget": manifest["budget"],
        "problems": counts["problems"],
        "truncated": counts["truncated"],
        "no_answer": counts["no_answer"],
        "errors": counts["errors"],
        "seed": identity["seed"],
        "tts_version": manifest["tts_version"],
        "vllm_version": manifest["vllm_version"],
        **{name: usage[name] for name in COLUMNS if name in usage},
    }
    rows = []
    for name, metric in results["metrics"].items():
        low, high = metric["ci"] or (None, None)
        estimate = {"metric": name, "value": metric["value"], "stderr": metric["stderr"]}
        rows.append({**same, **estimate, "ci_low": low, "ci_high": high, "ci_method": metric["ci_method"]})
    return [{column: row.get(column) for column in COLUMNS} for row in rows or [same]]


COUNTS = (
    *("records", "scored", "correct", "wrong", "unscored", "no_answer", "checker_timeouts"),
    *("errors", "over_budget", "candidates", "truncated", "aborted", "unanswered_candidates"),
)
"""How attempts at problems ended; then how many candidates they drew, and how many of those were cut,
aborted, or had no answer."""


class Tally:
    """Counts over records: what was spent and how problems ended. Holds numbers only, however long the run."""

    def __init__(self) -> None:
        self.usage = Usage()
        self.counts: dict[str, int] = dict.fromkeys(COUNTS, 0)
        self.problems: dict[str, list[int]] = {}
        """Per problem: its attempts, and those that failed."""

    def add(self, record: Mapping[str, Any]) -> None:
        """Count one record."""
        self.usage.add(Usage(**record["usage"]))
        grade, candidates = record["grade"], record["solution"]["candidates"]
        failed, correct = record["status"] == "error", grade["correct"]
        attempts = self.problems.setdefault(record["problem_id"], [0, 0])
        attempts[0] += 1
        attempts[1] += failed
        happened = {
            "records": True,
            "errors": failed,
            "over_budget": record["status"] == "over_budget",
            "scored": correct is not None and not failed,
            "correct": correct is True,
            "wrong": correct is False and grade["status"] == "ok",
            "unscored": correct is None and not failed,
            "no_answer": not failed and record["solution"]["answer"] is None,
            "checker_timeouts": grade["status"] == "timeout",
        }
        for name, yes in happened.items():
            self.counts[name] += bool(yes)
        self.counts["candidates"] += len(candidates)
        for candidate in candidates:
            self.counts["truncated"] += candidate["finish"] == "length"
            self.counts["aborted"] += candidate["finish"] == "abort"
            self.counts["unanswered_candidates"] += candidate["answer"] is None

    def error_rate(self) -> Estimate:
        """Attempts that failed, of all that were made: the one rate whose denominator is not what was scored.

        Raises:
            ValueError: no problems.
        """
        return estimate([failed / attempts for attempts, failed in self.problems.values()])
