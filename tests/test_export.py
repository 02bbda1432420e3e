"""Tables out of a run and back into pandas, with what is awkward in texts, ids and missing values."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, tts, write_lines

from tts.evaluate import usage_columns
from tts.export import PROBLEMS, SAMPLES, TABLES, rows, write_table
from tts.results import COLUMNS
from tts.types import Usage

TEXTS = [
    "a,b",
    'say "x"',
    "two\nlines",
    "cr\rhere",
    "crlf\r\nhere",
    " spaces ",
    "NA",
    "None",
    "",
    "é 漢 🙂",
    "=1+1",
    "\\boxed{½}",
]


def candidate(index: int, **more: Any) -> dict[str, Any]:
    return {
        "text": TEXTS[index % len(TEXTS)], "answer": None, "finish": "stop", "generated_tokens": index,
        "seed": 2**31 - 1, "scores": {}, "logprob_mean": None, "correct": False, "class": -1, **more,
    }  # fmt: skip


def record(problem_id: str, candidates: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    usage = Usage(prompt_tokens=5, cached_tokens=None, generated_tokens=7, flops=None, calls=len(candidates))
    return {
        "run_id": "r", "problem_id": problem_id, "attempt": 0, "status": "ok", "question": "q",
        "solution": {"answer": None, "candidates": candidates},
        "grade": {"correct": None, "answer": None, "target": "007", "status": "target_unparsed"},
        "usage": usage_columns(usage), "error": None, "metadata": {}, **more,
    }  # fmt: skip


def write_run(folder: Path, records: list[dict[str, Any]], run_id: str = "r") -> Path:
    folder.mkdir()
    write_lines(folder / "records.jsonl", [{**r, "run_id": run_id} for r in records])
    identity = dict.fromkeys(("benchmark", "revision", "model", "strategy", "verifier", "seed"), "x") | {"seed": 0}
    manifest = {
        "run_id": run_id, "date": "d", "identity": identity, "growing": {"n": 2}, "budget": "", "dataset": "d",
        "served_model": "m", "tts_version": "0", "vllm_version": None, "lives": [{"seconds": 1.5}],
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    scored = candidate(
        3, answer="007", correct=True, scores={"prm": 0.5, "prm:steps": [0.5], "b": 1}, logprob_mean=-0.25
    )
    return write_run(
        tmp_path / "run",
        [
            record("007", [candidate(i) for i in range(len(TEXTS))]),
            record("1e5", [scored], metadata={"level": 5, "subject": ["A -> B", "C"], "cluster": 10}),
            {**record("none", []), "status": "error", "error": "it broke"},
        ],
    )


# The lines of docs/data.md; a test sees that they stand there.
READ = {
    "csv": "pandas.read_csv(file, dtype={'problem_id': str, 'answer': str, 'target': str}, "
    "keep_default_na=False, na_values=[''], dtype_backend='numpy_nullable')",
    "jsonl": "pandas.read_json(file, lines=True, dtype={'problem_id': str, 'answer': str, 'target': str}, "
    "dtype_backend='numpy_nullable')",
    "parquet": "pandas.read_parquet(file, dtype_backend='numpy_nullable')",
}


def read_back(form: str, file: Path) -> Any:
    import pandas

    return {
        "csv": lambda: pandas.read_csv(
            file, dtype={"problem_id": str, "answer": str, "target": str},
            keep_default_na=False, na_values=[""], dtype_backend="numpy_nullable",
        ),
        "jsonl": lambda: pandas.read_json(
            file, lines=True, dtype={"problem_id": str, "answer": str, "target": str}, dtype_backend="numpy_nullable"
        ),
        "parquet": lambda: pandas.read_parquet(file, dtype_backend="numpy_nullable"),
    }[form]()  # fmt: skip


def test_the_lines_are_in_the_documentation() -> None:
    page = (ROOT / "docs" / "data.md").read_text()
    for line in READ.values():
        assert line in page


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_samples_come_back_as_they_went(run: Path, tmp_path: Path, form: Any) -> None:
    file = tmp_path / f"t.{form}"
    write_table(rows(run, "samples"), "samples", form, file)
    frame = read_back(form, file)
    assert list(frame.columns) == list(SAMPLES)
    assert len(frame) == len(TEXTS) + 1
    texts = [
        None if t != t or t is None else str(t) for t in frame["text"].astype(object).where(frame["text"].notna(), None)
    ]
    expected = [*TEXTS, TEXTS[3]]
    # An empty text and none are the same in a CSV, as everywhere.
    assert [t or "" for t in texts] == expected
    assert frame["problem_id"].tolist() == ["007"] * len(TEXTS) + ["1e5"]
    last = frame.iloc[-1]
    assert (last["answer"], last["score"], last["logprob_mean"], bool(last["correct"])) == ("007", 0.5, -0.25, True)
    assert json.loads(last["scores"]) == {"prm": 0.5, "b": 1}
    assert frame["answer"].isna().sum() == frame["score"].isna().sum() == len(TEXTS)
    assert frame["logprob_mean"].isna().sum() == len(TEXTS)
    assert frame["generated_tokens"].tolist() == [*range(len(TEXTS)), 3]
    assert frame["seed"].tolist() == [2**31 - 1] * (len(TEXTS) + 1)
    assert {str(frame[c].dtype) for c in ("generated_tokens", "seed", "index", "class")} == {"Int64"}
    assert str(frame["correct"].dtype) == "boolean"


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_what_is_unknown_stays_missing_and_is_no_zero(run: Path, tmp_path: Path, form: Any) -> None:
    file = tmp_path / f"t.{form}"
    write_table(rows(run, "problems"), "problems", form, file)
    frame = read_back(form, file)
    assert list(frame.columns) == list(PROBLEMS)
    assert frame["problem_id"].tolist() == ["007", "1e5", "none"]
    assert frame["target"].tolist() == ["007"] * 3
    for column in ("cached_tokens", "flops", "correct", "answer"):
        assert frame[column].isna().all(), column
    assert frame["prompt_tokens"].tolist() == [5] * 3
    assert str(frame["level"].iloc[1]) in ("5", "5.0")
    assert frame["subject"].iloc[1] == "A -> B; C"
    assert frame["level"].isna().tolist() == [True, False, True]


def test_several_runs_follow_one_another(run: Path, tmp_path: Path) -> None:
    other = write_run(tmp_path / "other", [record("x", [candidate(0)])], "other")
    for table, count in (("samples", len(TEXTS) + 2), ("problems", 4)):
        done = tts("export", run, other, "--table", table, "--format", "jsonl")
        assert done.returncode == 0, done.stderr
        found = [json.loads(line) for line in done.stdout.split("\n")[:-1]]
        assert len(found) == count
        assert [r["run_id"] for r in found] == ["r"] * (count - 1) + ["other"]
    results = tts("export", run, other).stdout
    assert {row["run_id"] for row in csv.DictReader(results.splitlines())} == {"r", "other"}
    assert tts("export", run, tmp_path / "nothing", "--table", "samples", "-o", tmp_path / "t.csv").returncode == 2
    assert not (tmp_path / "t.csv").exists()


def test_results_have_the_columns_of_the_contract(run: Path, tmp_path: Path) -> None:
    write_table(rows(run, "results"), "results", "parquet", tmp_path / "r.parquet")
    frame = read_back("parquet", tmp_path / "r.parquet")
    assert list(frame.columns) == list(COLUMNS) == list(TABLES["results"])
    assert frame.set_index("metric")["value"].to_dict() == {"error_rate": pytest.approx(1 / 3)}


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_memory_is_flat_over_a_long_table(tmp_path: Path, form: str) -> None:
    """Twenty times the rows in a process of its own take hardly more memory."""
    code = (
        "import resource, sys; from pathlib import Path; from tts.export import SAMPLES, write_table\n"
        "row = dict.fromkeys(SAMPLES) | {'run_id': 'r', 'problem_id': 'p', 'text': 'some words ' * 20}\n"
        "table = (row | {'index': i} for i in range(int(sys.argv[2])))\n"
        f"write_table(table, 'samples', '{form}', Path(sys.argv[1]))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )

    def peaks() -> Iterator[int]:
        for count in (20_000, 400_000):
            words = [sys.executable, "-c", code, str(tmp_path / "t"), str(count)]
            yield int(subprocess.run(words, capture_output=True, text=True, check=True).stdout)

    short, long = peaks()
    assert long < short + 60 * 1024  # KiB; the rows are some 100 MiB of text
