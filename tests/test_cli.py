"""The command line as a user has it: a process, its exit code, its two streams."""

from __future__ import annotations

import csv
import io
import json
import os
import resource
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from conftest import records, tts, write_lines

SCRIPTED = ("--engine", "scripted")


def evaluate(where: Path, output: Path, *more: object, code: int = 0, **environment: str) -> Any:
    done = tts("eval", where, *SCRIPTED, "--output", output, *more, **environment)
    assert done.returncode == code, done.stderr
    return done


# -- run -----------------------------------------------------------------------------------------------------


def test_run_puts_the_answer_alone_on_stdout() -> None:
    done = tts("run", "What is 20 + 22?", *SCRIPTED, "-n", 16)
    assert (done.returncode, done.stdout) == (0, "42\n")
    assert "42 ×" in done.stderr


def test_run_json_is_one_document() -> None:
    done = tts("run", "What is 20 + 22?", *SCRIPTED, "-s", "best-of-n", "-n", 3, "--json")
    told = json.loads(done.stdout)
    assert told["status"] == "ok"
    assert len(told["solution"]["candidates"]) == 3
    assert told["usage"]["generated_tokens"] == sum(c["generated_tokens"] for c in told["solution"]["candidates"])


def test_run_reads_a_file_and_stdin(tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "q.jsonl", [{"id": "a", "question": "What is 1 + 1?"}, {"id": "b", "question": "2 + 2?"}]
    )
    done = tts("run", "--input", path, *SCRIPTED, "-n", 8)
    assert done.stdout.splitlines() == ["a\t2", "b\t4"]
    assert [r["problem_id"] for r in json.loads(tts("run", "--input", path, *SCRIPTED, "--json").stdout)] == ["a", "b"]
    assert tts("run", "-", *SCRIPTED, "-n", 8, stdin="What is 3 + 4?\n").stdout == "7\n"


def test_run_without_an_answer_says_so(tmp_path: Path) -> None:
    script = write_lines(tmp_path / "s.jsonl", [{"reply": "I would rather not say, if you please."}])
    done = tts("run", "Why?", *SCRIPTED, "-M", f"script={script}")
    assert (done.returncode, done.stdout) == (0, "\n")
    assert "no answer in 8 samples" in done.stderr


# -- eval ----------------------------------------------------------------------------------------------------


def test_eval_leaves_the_run_directory_of_the_contract(sums: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = evaluate(sums, run, "-n", 4, "--seed", 3, "--csv", tmp_path / "a.csv")
    assert {p.name for p in run.iterdir()} >= {
        *("manifest.json", "records.jsonl", "journal.sqlite", "results.json", "results.csv", "logs"),
    }
    assert "accuracy" in done.stdout
    found = records(run)
    assert len(found) == 12
    for record in found:
        assert record.keys() >= {"run_id", "problem_id", "status", "solution", "grade", "usage", "error"}
        assert record["grade"].keys() == {"correct", "answer", "target", "status"}
        for candidate in record["solution"]["candidates"]:
            assert candidate.keys() >= {
                *("text", "answer", "finish", "generated_tokens", "seed", "scores", "logprob_mean", "correct"),
            }
    results = json.loads((run / "results.json").read_text())
    assert results["metrics"]["accuracy"]["value"] == sum(r["grade"]["correct"] for r in found) / 12
    assert results["usage"]["generated_tokens"] == sum(r["usage"]["generated_tokens"] for r in found)
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["lives"][0]["engine"]["generated_tokens"] == results["usage"]["generated_tokens"]
    rows = list(csv.DictReader(io.StringIO((tmp_path / "a.csv").read_text())))
    assert {row["metric"] for row in rows} >= {"accuracy", "avg@4", "pass@1", "pass@4", "maj@4"}
    assert {row["seed"] for row in rows} == {"3"}


def test_eval_json_is_results_json(sums: Path, tmp_path: Path) -> None:
    done = evaluate(sums, tmp_path / "run", "--json", "--limit", 3)
    assert json.loads(done.stdout) == json.loads((tmp_path / "run" / "results.json").read_text())


def test_a_csv_shared_by_runs_keeps_the_others_and_replaces_its_own(sums: Path, tmp_path: Path) -> None:
    shared = tmp_path / "all.csv"
    evaluate(sums, tmp_path / "a", "--csv", shared, "--limit", 2)
    evaluate(sums, tmp_path / "b", "--csv", shared, "--limit", 2, "-s", "single")
    evaluate(sums, tmp_path / "a", "--csv", shared, "--limit", 4, "--resume")
    rows = [row for row in csv.DictReader(io.StringIO(shared.read_text())) if row["metric"] == "accuracy"]
    assert sorted((row["strategy"], row["problems"]) for row in rows) == [("self-consistency", "4"), ("single", "2")]


def test_csv_to_stdout(sums: Path, tmp_path: Path) -> None:
    done = evaluate(sums, tmp_path / "run", "--csv", "-", "--limit", 2)
    assert next(csv.reader(io.StringIO(done.stdout)))[0] == "run_id"


def test_several_benchmarks_and_repeats(sums: Path, tmp_path: Path) -> None:
    done = tts("eval", f"{sums}:2", "samples", *SCRIPTED, "-n", 1, "--limit", 3, "--output", tmp_path / "runs")
    assert done.returncode == 0, done.stderr
    assert [r["attempt"] for r in records(tmp_path / "runs" / "sums")] == [0, 1] * 3
    assert len(records(tmp_path / "runs" / "samples")) == 3


def test_problems_that_err_are_counted_and_exit_is_1(sums: Path, tmp_path: Path) -> None:
    script = write_lines(tmp_path / "s.jsonl", [{"match": "What is 2 ", "error": "request"}, {"reply": "\\boxed{9}"}])
    evaluate(sums, tmp_path / "run", "-M", f"script={script}", code=1)
    by_status = {r["problem_id"]: r["status"] for r in records(tmp_path / "run")}
    assert sorted(by_status.values()) == ["error"] + ["ok"] * 11
    assert json.loads((tmp_path / "run" / "results.json").read_text())["counts"]["errors"] == 1
    evaluate(sums, tmp_path / "run", "-M", "script=" + str(_all_right(tmp_path)), "--resume")
    assert {r["status"] for r in records(tmp_path / "run")} == {"ok"}


def _all_right(folder: Path) -> Path:
    return write_lines(folder / "right.jsonl", [{"reply": "\\boxed{9}"}])


def test_a_dead_engine_exits_3_with_the_resume_command(sums: Path, tmp_path: Path) -> None:
    script = write_lines(tmp_path / "s.jsonl", [{"match": "What is 9 ", "error": "dead"}, {"reply": "\\boxed{9}"}])
    run = tmp_path / "run"
    done = evaluate(sums, run, "-M", f"script={script}", "--concurrency", 1, code=3)
    assert "--resume" in done.stderr
    assert "Traceback" not in done.stderr
    assert 0 < len(records(run)) < 12
    evaluate(sums, run, "-M", f"script={_all_right(tmp_path)}", "--resume")
    assert len(records(run)) == 12


def test_truncated_no_answer_wrong_and_unscored_stay_apart(tmp_path: Path) -> None:
    rows = [
        *({"id": i, "question": f"{i}?", "answer": "5"} for i in ("right", "wrong", "cut", "silent")),
        {"id": "unscored", "question": "unscored?", "answer": "\\frac{1}{"},
    ]
    replies = [
        {"match": "cut", "reply": "word " * 50 + "\\boxed{5}"},
        {"match": "silent", "reply": "I would rather not say, if you please."},
        {"match": "wrong", "reply": "\\boxed{6}"},
        {"reply": "\\boxed{5}"},
    ]
    path, script = write_lines(tmp_path / "p.jsonl", rows), write_lines(tmp_path / "s.jsonl", replies)
    evaluate(path, tmp_path / "run", "-s", "single", "-M", f"script={script}", "--max-tokens", 20)
    counts = json.loads((tmp_path / "run" / "results.json").read_text())["counts"]
    expected = {"scored": 4, "correct": 1, "wrong": 1, "no_answer": 2, "truncated": 1, "unscored": 1, "errors": 0}
    assert {name: counts[name] for name in expected} == expected


def test_budget_is_kept_and_named(sums: Path, tmp_path: Path) -> None:
    evaluate(sums, tmp_path / "run", "-n", 4, "--budget-tokens", 20)
    found = records(tmp_path / "run")
    assert {r["status"] for r in found} == {"over_budget"}
    assert max(r["usage"]["generated_tokens"] for r in found) <= 20
    assert "tokens=20" in (tmp_path / "run" / "results.csv").read_text()


def test_configuration_file_gives_way_to_the_command_line(sums: Path, tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text(f'benchmarks = ["{sums}"]\nengine = "scripted"\nn = 2\nmax-tokens = 50\n[option]\n')
    done = tts("eval", "--config", config, "-n", 3, "--dry-run")
    told = json.loads(done.stdout)
    assert told["samples"] == 36
    assert told["runs"][0]["sampling"]["max_tokens"] == 50
    assert not (tmp_path / "runs").exists()
    evaluate(sums, tmp_path / "run", "--config", config)
    again = tts("eval", "--config", tmp_path / "run" / "manifest.json", "--dry-run")
    assert json.loads(again.stdout)["samples"] == 24


def test_an_engine_that_does_not_start_costs_a_growing_run_nothing(sums: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    evaluate(sums, run, "-n", 2, "--limit", 3)
    before = (run / "records.jsonl").read_bytes()
    evaluate(sums, run, "-n", 4, "--resume", "-M", "script=nowhere.jsonl", code=2)
    assert (run / "records.jsonl").read_bytes() == before
    evaluate(sums, run, "-n", 2, "--limit", 3, "--resume")


def test_run_says_what_it_has_when_the_engine_dies(tmp_path: Path) -> None:
    questions = write_lines(tmp_path / "q.jsonl", [{"id": "a", "question": "one"}, {"id": "b", "question": "two"}])
    script = write_lines(tmp_path / "s.jsonl", [{"match": "two", "error": "dead"}, {"reply": "\\boxed{1}"}])
    done = tts("run", "--input", questions, *SCRIPTED, "-M", f"script={script}", "--concurrency", 1, "-n", 1)
    assert (done.returncode, done.stdout) == (3, "a\t1\n")


def test_a_configuration_file_may_say_it_naturally(sums: Path, tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text(f'benchmarks = "{sums}"\nengine = "scripted"\nlimit = 2\nn = 3\n')
    assert json.loads(tts("eval", "--config", config, "--dry-run").stdout)["samples"] == 6


def test_reuse_takes_calls_from_another_run(sums: Path, tmp_path: Path) -> None:
    evaluate(sums, tmp_path / "a", "-n", 4)
    evaluate(sums, tmp_path / "b", "-n", 4, "-s", "best-of-n", "-o", "select=logprob-mean", "--reuse", tmp_path / "a")
    manifest = json.loads((tmp_path / "b" / "manifest.json").read_text())
    assert manifest["lives"][0]["engine"]["generated_tokens"] == 0


# -- bad input -------------------------------------------------------------------------------------------------

BAD = [
    (["eval", "SUMS", "-n", "0"], "-n 0"),
    (["eval", "SUMS", "-n", "99999999999"], "-n 99999999999"),
    (["eval", "gsm8k=nope.jsonl"], "no such file: nope.jsonl"),
    (["eval", "SUMS", "--json", "--csv", "-"], "both write to stdout"),
    (["eval", "SUMS", "-s", "self-consistancy"], "self-consistency"),
    (["eval", "SUMS", "-o", "nn=3"], "no option 'nn'"),
    (["eval", "SUMS", "-o", "n=three"], "-n three"),
    (["eval", "SUMS", "-o", "n"], "key=value"),
    (["eval", "SUMS", "-s", "single", "-n", "4"], "it has no n"),
    (["eval", "SUMS", "-s", "single", "--verifier", "nano"], "uses no verifier"),
    (["eval", "SUMS", "-s", "best-of-n", "--verifier", "symbolic"], "it needs the target"),
    (["eval", "SUMS", "--verifier", "nano", "--verifier-model", "./nowhere"], "no model folder"),
    (["eval", "SUMS", "--verifier", "scripted", "--verifier-model", "./nowhere"], "has no model"),
    (["eval", "SUMS", "--verifier-url", "http://127.0.0.1:9/v1"], "needs --verifier NAME"),
    (["eval", "SUMS", "--verifier", "nano", "--verifier-url", "http://127.0.0.1:9/v1"], "no server answers at"),
    (["eval", "SUMS", "-o", "select=filtered"], "--verifier NAME"),
    (["eval", "SUMS", "--verifier", "scripted", "-o", "keep=1.5"], "must be at most 1"),
    (["eval", "SUMS", "-s", "best-of-n", "--verifier", "nanno"], "did you mean 'nano'"),
    (["eval", "SUMS", "-s", "best-of-n", "-o", "select=weighted"], "--verifier NAME"),
    (["eval", "SUMS", "-s", "best-of-n", "--no-logprobs"], "goes by log-probabilities"),
    (["eval", "SUMS", "--temperature", "0"], "at temperature 0"),
    (["eval", "SUMS", "--temperature", "-1"], "--temperature -1"),
    (["eval", "SUMS", "--top-p", "2"], "--top-p 2"),
    (["eval", "SUMS", "--budget-tokens", "0"], "--budget-tokens 0"),
    (["eval", "SUMS", "--limit", "0"], "--limit 0"),
    (["eval", "SUMS", "--prompt", "cott"], "did you mean 'cot'"),
    (["eval", "SUMS", "--target-field", "gold"], "no column 'gold'"),
    (["eval", "SUMS", "-M", "spede=3"], "no option 'spede'"),
    (["eval", "SUMS", "-M", "script=nowhere.jsonl"], "cannot read script"),
    (["eval", "SUMS", "--csv", "/nowhere/at/all.csv"], "no such folder"),
    (["eval", "SUMS", "--resume"], "--output DIR"),
    (["eval", "SUMS", "--reuse", "nowhere"], "no journal.sqlite"),
    (["eval", "SUMS", "-M", "max_sequences=0"], "above 0"),
    (["eval", "SUMS", "--config", "nowhere.toml"], "cannot read --config"),
    (["eval", "SUMS", "--base-url", "http://127.0.0.1:9/v1"], "--base-url is for"),
    (["eval", "SUMS", "--resume", "--output", "SUMS"], "not a run directory"),
    (["eval", "SUMS", "--output", "/proc/nowhere"], "cannot create"),
    (["eval", "nowhere.jsonl"], "no such file"),
    (["eval", "gsm8j"], "gsm8k"),
    (["eval"], "no benchmark given"),
    (["run"], "one question or --input"),
    (["run", ""], "empty"),
    (["run", "a", "--input", "SUMS"], "not both"),
]


@pytest.mark.parametrize(("arguments", "said"), BAD, ids=[" ".join(a) for a, _ in BAD])
def test_a_mistake_is_one_line_and_exit_2(arguments: list[str], said: str, sums: Path, tmp_path: Path) -> None:
    if said == "no server answers at" and find_spec("vllm") is None:
        pytest.skip("vLLM is not installed, which is said first")
    words = [str(sums) if word == "SUMS" else word for word in arguments]
    done = tts(*words, *SCRIPTED, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 4
    assert done.stderr.splitlines()[-1].startswith("hint: ")
    assert done.stdout == ""


def test_a_missing_folder_and_an_unknown_engine(sums: Path, tmp_path: Path) -> None:
    for arguments in (["--engine", "vlm"], ["--engine", "server"], ["-m", "/no/such/model"]):
        done = tts("eval", sums, *arguments, cwd=tmp_path)
        assert done.returncode == 2, done.stderr
        assert "Traceback" not in done.stderr


def test_a_server_that_is_down(sums: Path, tmp_path: Path) -> None:
    done = tts("eval", sums, "--engine", "server", "--base-url", "http://127.0.0.1:9/v1", cwd=tmp_path)
    assert done.returncode == 2
    assert "no server answers" in done.stderr


def test_no_targets(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "q.jsonl", [{"question": "a"}])
    done = tts("eval", path, *SCRIPTED)
    assert done.returncode == 2
    assert "no targets" in done.stderr


def test_an_existing_directory_is_refused_and_a_different_identity_named(sums: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    evaluate(sums, run, "--limit", 2)
    assert "--resume" in evaluate(sums, run, code=2).stderr
    done = evaluate(sums, run, "--resume", "--seed", 1, "--temperature", 0.5, code=2)
    assert "seed: 0 there, 1 here" in done.stderr
    assert "sampling" in done.stderr
    assert "may grow" in evaluate(sums, run, "--resume", "-n", 2, code=2).stderr


def test_an_engine_that_does_not_start_leaves_no_run_behind(sums: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert evaluate(sums, run, "-M", "script=nowhere.jsonl", code=2)
    evaluate(sums, run, "--limit", 1)
    assert "there already" in evaluate(sums, run, code=2).stderr
    evaluate(sums, run, "-M", "script=nowhere.jsonl", "--resume", "--limit", 2, code=2)
    assert len(records(run)) == 1


def test_two_processes_on_one_directory(sums: Path, tmp_path: Path) -> None:
    script = write_lines(tmp_path / "s.jsonl", [{"reply": "\\boxed{1}", "latency": 30}])
    run = tmp_path / "run"
    first = _start(sums, run, script)
    try:
        done = evaluate(sums, run, "--resume", code=2)
        assert "another process" in done.stderr
    finally:
        first.kill()
        first.communicate()
    evaluate(sums, run, "--resume", "-n", 8)


def _start(sums: Path, run: Path, script: Path, *more: object) -> subprocess.Popen[str]:
    words = ["eval", sums, *SCRIPTED, "-M", f"script={script}", "--output", run, *more]
    process = subprocess.Popen(
        [sys.executable, "-m", "tts", *map(str, words)], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 30
    while not (run / "journal.sqlite").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.3)
    return process


def test_the_first_interrupt_drains_and_exits_130(sums: Path, tmp_path: Path) -> None:
    script = write_lines(tmp_path / "s.jsonl", [{"reply": "\\boxed{7}", "latency": 1.0}])
    process = _start(sums, tmp_path / "run", script, "--concurrency", 3, "-n", 2)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 130, told
    assert "--resume" in told
    assert len(records(tmp_path / "run")) == 3
    assert (tmp_path / "run" / "results.json").exists()


@pytest.mark.parametrize("signals", [[signal.SIGINT, signal.SIGINT], [signal.SIGTERM]])
def test_a_second_interrupt_or_sigterm_stops_at_once(sums: Path, tmp_path: Path, signals: list[int]) -> None:
    script = write_lines(tmp_path / "s.jsonl", [{"reply": "a b c \\boxed{7}", "latency": 60.0}])
    process = _start(sums, tmp_path / "run", script, "--concurrency", 3, "-n", 2)
    began = time.monotonic()
    for number in signals:
        process.send_signal(number)
        time.sleep(0.3)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 130, told
    assert time.monotonic() - began < 15
    assert records(tmp_path / "run") == []


def test_a_full_disk_keeps_what_is_finished_and_exits_3(sums: Path, tmp_path: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))

    words = ["eval", sums, *SCRIPTED, "-n", 64, "--concurrency", 1, "--output", tmp_path / "run"]
    done = subprocess.run(
        [sys.executable, "-m", "tts", *map(str, words)], capture_output=True, text=True, preexec_fn=limit, check=False
    )
    assert done.returncode == 3, done.stderr
    assert "cannot write" in done.stderr
    assert "Traceback" not in done.stderr
    kept = len(records(tmp_path / "run"))
    assert kept < 12
    evaluate(sums, tmp_path / "run", "-n", 64, "--resume")
    assert len(records(tmp_path / "run")) == 12


# -- grade, export, show, list, doctor ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "target", "correct", "status"),
    [
        ("0.5", "1/2", True, "ok"),
        ("First 3 and 4.\n\nThe answer is \\boxed{7}.", "#### 7", True, "ok"),
        ("8", "7", False, "ok"),
        ("", "7", False, "no_answer"),
        ("7", "\\frac{1}{", None, "target_unparsed"),
    ],
)
def test_grade_one_pair(answer: str, target: str, correct: bool | None, status: str) -> None:
    done = tts("grade", "--answer", answer, "--target", target, "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["correct"], told["status"]) == (0, correct, status)


def test_grade_streams_in_order(tmp_path: Path) -> None:
    pairs = [{"answer": str(i), "target": str(i - i % 2)} for i in range(700)]
    path = write_lines(tmp_path / "pairs.jsonl", pairs)
    done = tts("grade", path)
    assert done.returncode == 0
    assert [json.loads(line)["correct"] for line in done.stdout.splitlines()] == [i % 2 == 0 for i in range(700)]
    assert tts("grade", "-", stdin=path.read_text()).stdout == done.stdout


@pytest.mark.parametrize("content", ["", "not json\n", '{"answer": 1}\n', "[1, 2]\n"])
def test_grade_refuses_what_it_cannot_read(tmp_path: Path, content: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(content)
    done = tts("grade", path)
    assert done.returncode == 2
    assert str(path) in done.stderr


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    rows = [{"id": f"s{a}", "question": f"What is {a} + 1?", "answer": str(a + 1)} for a in range(4)]
    evaluate(write_lines(folder / "p.jsonl", rows), folder / "run", "-n", 3, "-s", "best-of-n")
    return folder / "run"


@pytest.mark.parametrize(("table", "rows"), [("results", None), ("problems", 4), ("samples", 12)])
def test_export_says_the_same_in_every_format(finished: Path, tmp_path: Path, table: str, rows: int | None) -> None:
    import pandas

    from tts.export import TABLES

    for form in ("csv", "jsonl", "parquet"):
        assert tts("export", finished, "--table", table, "--format", form, "-o", tmp_path / f"t.{form}").returncode == 0
    frames = [
        pandas.read_csv(tmp_path / "t.csv"),
        pandas.read_json(tmp_path / "t.jsonl", lines=True),
        pandas.read_parquet(tmp_path / "t.parquet"),
    ]
    for frame in frames:
        assert list(frame.columns) == list(TABLES[table])  # type: ignore[index]
        assert rows is None or len(frame) == rows
    if table == "samples":
        assert [f["generated_tokens"].sum() for f in frames] == [frames[0]["generated_tokens"].sum()] * 3
        assert frames[0]["score"].notna().all()


def test_export_problems(finished: Path, tmp_path: Path) -> None:
    assert tts("export", finished, "--format", "parquet").returncode == 2
    assert tts("export", tmp_path, "--format", "csv", "--table", "problems").returncode == 2
    assert tts("export", finished, "-o", "/nowhere/x.csv").returncode == 2


def test_output_into_a_closed_pipe_is_no_error(finished: Path) -> None:
    command = f"{sys.executable} -m tts export {finished} --table samples | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.startswith("run_id,")


@pytest.mark.parametrize("more", [("list", "strategies"), ("export", "RUN", "--table", "samples"), ("show", "RUN")])
def test_a_reader_that_leaves_fails_nothing(finished: Path, more: tuple[str, ...]) -> None:
    words = " ".join(str(finished) if w == "RUN" else w for w in more)
    command = f"{sys.executable} -m tts {words} | head -0; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_run_keeps_its_own_exit_code_when_the_reader_leaves(tmp_path: Path) -> None:
    for more, code in (("", 0), ("-M max_model_len=20", 1)):
        run = tmp_path / f"r{code}"
        command = f"{sys.executable} -m tts eval samples --limit 3 --engine scripted --output {run} {more} | head -0"
        done = subprocess.run(["bash", "-c", f"{command}; exit ${{PIPESTATUS[0]}}"], capture_output=True, text=True)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        assert (run / "results.csv").is_file()


def test_a_full_device_is_said_in_one_line(finished: Path) -> None:
    command = f"{sys.executable} -m tts show {finished} > /dev/full"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "no space left" in done.stderr
    assert "Traceback" not in done.stderr


def test_resume_does_not_write_into_a_folder_that_is_no_run(sums: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "results.csv").write_text("precious")
    done = tts("eval", sums, "--engine", "scripted", "--output", tmp_path / "mine", "--resume")
    assert done.returncode == 2
    assert (tmp_path / "mine" / "results.csv").read_text() == "precious"


def test_what_failed_is_said(tmp_path: Path) -> None:
    done = tts(
        "eval", "samples", "--limit", 2, "--engine", "scripted", "-M", "max_model_len=20", "--output", tmp_path / "r"
    )
    assert done.returncode == 1
    assert "the prompt has" in done.stderr
    assert "--resume tries again" in done.stderr


def test_show(finished: Path) -> None:
    assert "s2" in tts("show", finished).stdout
    one = tts("show", finished, "s2").stdout
    assert "What is 2 + 1?" in one
    assert one.count("── sample") == 3
    assert json.loads(tts("show", finished, "s2", "--json").stdout)["problem_id"] == "s2"
    assert tts("show", finished, "nope").returncode == 2


def test_lists_and_versions() -> None:
    assert "n=8" in tts("list", "strategies").stdout
    for kind in ("strategies", "benchmarks", "verifiers", "prompts"):
        content = json.loads(tts("list", kind, "--json").stdout)
        assert content
        assert all(entry["description"] for entry in content)
    assert tts("--version").stdout.startswith("tts ")
    assert tts("list", "nonsense").returncode == 2


def test_doctor_looks_at_everything() -> None:
    done = tts("doctor", "--json")
    names = {finding["name"] for finding in json.loads(done.stdout)}
    assert names >= {"python", "vllm", "gpu", "memory", "model cache"}


def test_show_draws_the_tree_of_a_search(sums: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ("eval", sums, "--engine", "scripted", "--limit", 1, "-s", "revise", "-n", 4, "--output", run)
    assert tts(*words).returncode == 0
    name = records(run)[0]["problem_id"]
    drawn = tts("show", run, name, "--tree")
    assert drawn.returncode == 0
    assert drawn.stdout.count("draft") == 4
    assert "4 steps, 0 pruned" in drawn.stdout
    assert tts("show", run, "--tree").returncode == 2


def test_show_tree_of_what_has_none(finished: Path) -> None:
    done = tts("show", finished, "s2", "--tree")
    assert done.returncode == 2
    assert "has no tree" in done.stderr


def test_completion_can_be_shown() -> None:
    done = tts("--show-completion", "bash", _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert "tts" in done.stdout.lower() + done.stderr.lower()


def test_scripts_are_installed() -> None:
    for name in ("tts", "tts-reasoning"):
        path = Path(sys.executable).parent / name
        assert os.access(path, os.X_OK)


# -- check -------------------------------------------------------------------------------------------------------


def test_check_runs_the_built_in_cases_and_names_what_it_skips() -> None:
    done = tts("check", "--offline", "--json")
    assert done.returncode == 0, done.stdout
    told = json.loads(done.stdout)
    parts = {part["name"]: part for part in told["parts"]}
    assert told["failed"] == 0
    assert parts["numbers.tsv"]["checked"] > 200
    assert parts["samples"]["checked"] == 48
    assert "OfflineMode" in parts["gsm8k"]["skipped"] or parts["gsm8k"]["checked"] == 1319


def test_check_reports_failures_with_their_lines(tmp_path: Path) -> None:
    cases = tmp_path / "mine.tsv"
    rows = ("answer\ttarget\texpected\tsource", "# a remark", "1/2\t0.5\ttrue\thalf", "3\t4\ttrue\twrong on purpose")
    cases.write_text("\n".join(rows) + "\n")
    targets = write_lines(tmp_path / "own.jsonl", [{"question": "?", "answer": a} for a in ("5", "?!", "x+1")])
    done = tts("check", cases, targets)
    assert done.returncode == 1
    assert "mine.tsv:4" in done.stdout
    assert "5 checked, 2 failed, 0 skipped" in done.stdout
    told = json.loads(tts("check", cases, targets, "--json").stdout)
    assert [f["target"] for part in told["parts"] for f in part["failures"]] == ["4", "?!"]
    assert told["parts"][1]["failures"][0]["status"] == "target_unparsed"
    cases.write_text("1/2\t0.5\ttrue\thalf\n")
    assert tts("check", cases).returncode == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"1\t1\ttrue\tr\n1\t1\n", ":2: 2 columns, not 4"),
        (b"1\t1\tyes\tr\n", ":1: expected is 'yes'"),
        (b"\xff\t1\ttrue\tr\n", "not UTF-8"),
    ],
)
def test_check_refuses_a_bad_file(tmp_path: Path, content: bytes, said: str) -> None:
    cases = tmp_path / "bad.tsv"
    cases.write_bytes(content)
    done = tts("check", cases)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_check_of_what_is_not_there_is_refused(tmp_path: Path) -> None:
    assert tts("check", tmp_path / "none.tsv").returncode == 2
    done = tts("check", "gsm9k", "--offline")
    assert done.returncode == 2
    assert "gsm8k" in done.stderr
    assert tts("check", "gsm8k", "--offline", HF_HOME=str(tmp_path)).returncode == 2
