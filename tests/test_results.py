"""What results.json says beyond the metrics: costs, what is absent, coverage."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import write_lines

from tts.evaluate import usage_columns
from tts.results import by_outcome, summary
from tts.types import Usage


def run(folder: Path, outcomes: list[tuple[bool | None, str]], flops: float | None = 10.0) -> dict[str, Any]:
    rows = []
    for i, (correct, status) in enumerate(outcomes):
        candidate = {"answer": "1", "finish": "stop", "scores": {}, "correct": bool(correct), "class": 0}
        rows.append(
            {
                "problem_id": str(i), "attempt": 0, "status": status,
                "solution": {"answer": "1", "candidates": [] if status == "error" else [candidate] * 2},
                "grade": {"correct": correct, "status": "ok"},
                "usage": usage_columns(Usage(generated_tokens=100, flops=flops)),
            }
        )  # fmt: skip
    folder.mkdir()
    write_lines(folder / "records.jsonl", rows)
    (folder / "manifest.json").write_text(json.dumps({"run_id": "r", "identity": {}, "lives": [{"seconds": 3.0}]}))
    return summary(folder)


def test_what_a_right_answer_cost_counts_all_that_was_spent(tmp_path: Path) -> None:
    found = run(tmp_path / "a", [(True, "ok"), (True, "ok"), (False, "ok"), (None, "error")])
    values = {name: m["value"] for name, m in found["metrics"].items()}
    assert values["tokens_per_correct"] == 200
    assert values["flops_per_correct"] == 20
    assert values["seconds_per_correct"] == 1.5
    assert values["error_rate"] == 0.25
    assert values["accuracy"] == pytest.approx(2 / 3)
    assert found["counts"]["scored"] == 3


def test_an_unknown_cost_is_absent_with_the_reason(tmp_path: Path) -> None:
    found = run(tmp_path / "a", [(True, "ok")], flops=None)
    assert "flops_per_correct" not in found["metrics"]
    assert found["absent"] == {"flops_per_correct": "the flops of this model are not known"}
    none = run(tmp_path / "b", [(False, "ok")])
    assert set(none["absent"].values()) == {"nothing was right"}


def test_the_terminal_says_coverage_and_cost(tmp_path: Path) -> None:
    run(tmp_path / "a", [(True, "ok"), (True, "ok"), (None, "error")])
    code = (
        "import sys; from pathlib import Path; from tts import console, results; "
        "console.results(results.summary(Path(sys.argv[1])), 'somewhere')"
    )
    words = [sys.executable, "-c", code, str(tmp_path / "a")]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert "2 of 3 scored (66.7 %)" in said
    assert "a right answer cost 150 tokens, 15 FLOPs, 1.5 s" in said
    assert "pass^2" in said
    assert "pass^1" not in said
    assert "error_rate" not in said


@pytest.mark.parametrize(
    ("strategy", "options", "budget", "found"),
    [
        ("self-consistency", {"stop": "never"}, "", False),
        ("self-consistency", {"stop": "beta"}, "", True),
        ("sleep-time", {"inner": {"name": "self-consistency", "stop": "likely"}}, "", True),
        ("sleep-time", {"inner": {"name": "self-consistency", "stop": "never"}}, "", False),
        ("compute-optimal", {"policy": "p.json"}, "", True),
        ("self-consistency", {}, "tokens=9 adaptive", True),
    ],
)
def test_samples_that_decide_how_many_follow_are_known(
    strategy: str, options: dict[str, Any], budget: str, found: bool
) -> None:
    assert by_outcome({"identity": {"strategy": strategy, "options": options}, "budget": budget}) is found
