"""What a wrong command says: exit 2, one line of error, one line of what to do next, and nothing on stdout."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import tts, write_lines

ROWS = [{"id": str(i), "question": f"What is {i} + 3?", "answer": str(i + 3)} for i in range(4)]
SCRIPTED = ["--engine", "scripted"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run, and with files of every wrong kind."""
    folder = tmp_path_factory.mktemp("place")
    write_lines(folder / "sums.jsonl", ROWS)
    write_lines(folder / "bare.jsonl", [{"question": "Why?"}])
    write_lines(folder / "twice.jsonl", [ROWS[0], ROWS[0]])
    (folder / "list.jsonl").write_text(json.dumps(ROWS, indent=1))
    (folder / "array.jsonl").write_text("[1]\n")
    (folder / "empty.jsonl").write_text("")
    (folder / "empty.txt").write_text(" \n")
    (folder / "binary.jsonl").write_bytes(bytes(range(256)))
    (folder / "binary.parquet").write_bytes(bytes(range(256)))
    (folder / "binary.txt").write_bytes(bytes(range(256)))
    (folder / "ragged.csv").write_text("question,answer\na,1\nb,2,3\n")
    (folder / "broken.toml").write_text("model = \n")
    (folder / "grid.toml").write_text("grid = 3\n")
    (folder / "no-benchmark.toml").write_text('strategy = "single"\n')
    (folder / "unknown.toml").write_text('benchmarks = "samples"\nspeed = 3\n')
    (folder / "broken.py").write_text("def rows(:\n")
    (folder / "fails.py").write_text("def rows():\n    return 1 / 0\n")
    (folder / "policy.json").write_text("{}")
    (folder / "folder").mkdir()
    done = tts("eval", "sums.jsonl", *SCRIPTED, "-n", 2, "--output", "made", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert tts("eval", "samples", *SCRIPTED, "-s", "single", "--output", "other", cwd=folder).returncode == 0
    (folder / "hollow").mkdir()
    (folder / "hollow" / "manifest.json").write_text("{}")
    (folder / "hollow" / "records.jsonl").write_text("")
    (folder / "damaged").mkdir()
    (folder / "damaged" / "manifest.json").write_text("{")
    (folder / "damaged" / "records.jsonl").write_text("{\n{}\n")
    return folder


WRONG = [
    *("evall sums.jsonl", "eval sums.jsonl --frobnicate", "run x -n many", "grade --answer", "list", "list models"),
    *("export", "show", "score", "report", "sweep", "calibrate made", "sleep wrte", "report made --by age"),
    *("eval", "eval empty.jsonl", "eval folder", "eval binary.jsonl", "eval binary.parquet", "eval list.jsonl"),
    *("eval array.jsonl", "eval ragged.csv", "eval bare.jsonl", "eval twice.jsonl", "eval nowhere.jsonl"),
    *("eval sums.jsonl:0", "eval sums.jsonl --limit 9-12", "eval sums.jsonl --limit some", "eval broken.py:rows"),
    *("eval fails.py:rows", "eval nowhere.py:rows", "eval broken.toml", "eval sums.jsonl --config broken.toml"),
    *("eval sums.jsonl --config folder", "eval sums.jsonl --permute per-record", "eval sums.jsonl -n 3 -o n=4"),
    *("eval sums.jsonl -o n=3 -o n=4", "eval sums.jsonl -o stop=beta -o threshold=1.5", "eval sums.jsonl --engine vlm"),
    *("eval sums.jsonl -s deepconf -o eta=200", "eval sums.jsonl -s deepconf -o consensus=2", "eval sums.jsonl -T x"),
    *("eval sums.jsonl -s sleep-time -o inner=sleep-time", "eval sums.jsonl -s compute-optimal -o policy=policy.json"),
    *("eval sums.jsonl --output sums.jsonl", "eval sums.jsonl --output made"),
    *("eval sums.jsonl --output made --resume --seed 7", "eval sums.jsonl --prompt nowhere.j2"),
    *("run", "run --input folder", "run --input empty.jsonl", "run x -s single -n 4", "run x --budget-seconds 0"),
    *("run x --prompt no.j2", "show LONG", "eval LONG", "eval sums.jsonl --output LONG", "eval sums.jsonl --csv LONG"),
    *("grade LONG", "export made -o LONG", "score LONG --verifier scripted", "report LONG", "sweep LONG"),
    *("grade", "grade empty.jsonl", "grade folder", "grade binary.jsonl", "grade sums.jsonl", "grade list.jsonl"),
    *("grade nowhere", "grade --answer 1", "grade sums.jsonl --answer 1"),
    *("check nowhere.tsv", "check bare.jsonl", "check folder/x.tsv"),
    *("export nowhere", "export made nowhere", "export made damaged", "export made --format parquet"),
    *("export made -o folder", "export made -o nowhere/a.csv", "show nowhere", "show made 99", "show made --tree"),
    *("show made 1 --tree", "show made --rounds", "show damaged"),
    *("score made", "score nowhere --verifier scripted", "score hollow --verifier scripted", "score made --verifier x"),
    *("report nowhere", "report hollow", "report made --bins oracle", "report made --html folder"),
    *("report made --png nowhere/a.png", "report made --verified --by difficulty"),
    *("compare made", "compare made nowhere", "compare made other", "compare made made --metric speed"),
    *("compare made made --metric pass@9", "calibrate made --output nowhere/p.json"),
    *("calibrate made --probe 9 --output p.json", "list strategies nope", "list prompts cot", "list benchmarks nope"),
    *("eval sums.jsonl --csv /dev/full", "eval sums.jsonl --csv folder"),
    *("sweep nowhere.toml", "sweep broken.toml", "sweep grid.toml", "sweep no-benchmark.toml", "sweep unknown.toml"),
    *("sweep folder", "plan", "plan -m nano --match nano --ratio 0", "plan --match /nowhere", "plan broken.toml"),
    *("sleep write", "sleep write empty.txt", "sleep write binary.txt", "sleep write sums.jsonl"),
    *("sleep write --context a --store nowhere/n.sqlite", "sleep write --context a --store binary.jsonl"),
    *("sleep write --context a --examples folder", "sleep list --store nowhere", "sleep show x --store nowhere"),
    *("sleep predict sums.jsonl", "sleep predict sums.jsonl --with made", "sleep cost nowhere", "sleep cost hollow"),
    *("data stateful empty.jsonl", "data stateful sums.jsonl -o nowhere/a.jsonl", "data stateful list.jsonl"),
    *("data multi-query nano-stateful -o sums.jsonl/x", "data multi-query nano-stateful --temperature 0"),
    *("data multi-query sums.jsonl", "bench throughput --batch none", "bench throughput --output nowhere/a.csv"),
    *("bench throughput --output a.txt", "synth infty-think", "synth infty-think nowhere.jsonl --output o"),
    *("synth infty-think sums.jsonl --output sums.jsonl", "synth infty-think sums.jsonl --output o --tags a"),
]  # fmt: skip
TAKES_ENGINE = ("eval", "run", "sleep write", "sleep predict", "data multi-query", "bench throughput", "synth")


@pytest.mark.parametrize("command", WRONG)
def test_a_wrong_command_is_told_what_is_wrong_and_what_to_do(command: str, place: Path) -> None:
    words = command.replace("LONG", "a" * 300).split()
    if command.startswith(TAKES_ENGINE) and not {"--engine", "-h"} & set(words):
        words += SCRIPTED
    before = sorted(p.name for p in place.iterdir())
    done = tts(*words, cwd=place)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    lines = done.stderr.splitlines()
    assert [line.partition(" ")[0] for line in lines[-2:]] == ["error:", "hint:"], done.stderr
    assert all(line.partition(" ")[2].strip() for line in lines[-2:])
    assert not [line for line in lines[:-2] if line.startswith(("error:", "hint:"))]
    assert done.stdout == ""
    assert sorted(p.name for p in place.iterdir() if p.name not in ("runs", "o")) == before


def test_bold_and_dim_are_colours_too(place: Path) -> None:
    shown = {}
    for name in ("NO_COLOR", "FORCE"):
        environment = {**os.environ, "TERM": "xterm-256color"}
        environment.pop("NO_COLOR", None)
        if name == "NO_COLOR":
            environment["NO_COLOR"] = "1"
        shown[name] = on_a_terminal(["list", "prompts"], environment) + on_a_terminal(["export", "no"], environment)
    assert "\x1b[" in shown["FORCE"]
    assert "\x1b[" not in shown["NO_COLOR"]


def on_a_terminal(words: list[str], environment: dict[str, str]) -> str:
    """All that a command writes to a terminal."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [sys.executable, "-m", "tts", *words], environment)
    told = b""
    try:
        while data := os.read(terminal, 65536):
            told += data
    except OSError:  # the other end is closed
        pass
    os.waitpid(pid, 0)
    os.close(terminal)
    return told.decode()


def test_what_differs_in_a_resume_is_said_in_full(place: Path) -> None:
    done = tts("eval", "sums.jsonl", *SCRIPTED, "--output", "made", "--resume", "-o", "stop=beta", cwd=place)
    assert "options.stop: " in done.stderr
    assert '"beta" here' in done.stderr
    assert "…" not in done.stderr
    assert "options.n" not in done.stderr


def test_one_strategy_is_described_with_its_options() -> None:
    told = tts("list", "strategies", "deepconf").stdout
    assert "arXiv:2508.15260" in told
    assert "The first `warmup` traces" in told
    assert "-o consensus=0.95" in told
    assert "best-of-n" not in told
    assert "-o inner=single " in tts("list", "strategies", "sleep-time").stdout
    one = json.loads(tts("list", "strategies", "deepconf", "--json").stdout)
    assert one in json.loads(tts("list", "strategies", "--json").stdout)


def test_what_is_said_twice_may_agree(place: Path) -> None:
    (place / "n.toml").write_text('n = 5\noption = { n = 5 }\nengine = "scripted"\n')
    for words, n in ((["-n", 3, "-o", "n=3"], 3), (["-o", "n=2"], 2), (["-n", 4], 4), ([], 5)):
        told = tts("eval", "sums.jsonl", "--config", "n.toml", *words, "--dry-run", cwd=place)
        assert json.loads(told.stdout)["runs"][0]["strategy"]["n"] == n, told.stderr


def test_sleep_predict_refuses_runs_over_other_questions(place: Path) -> None:
    rows = [{**row, "context": "Ann adds.", "question": "What is it?"} for row in ROWS]
    write_lines(place / "contexts.jsonl", rows)
    told = tts("sleep", "predict", "contexts.jsonl", *SCRIPTED, "--with", "made", "--without", "made", cwd=place)
    assert told.returncode == 2, told.stderr
    assert "other questions" in told.stderr
    write_lines(place / "contexts.jsonl", [{**row, "context": "Ann adds."} for row in ROWS])
    told = tts("sleep", "predict", "contexts.jsonl", *SCRIPTED, "--with", "made", "--without", "made", cwd=place)
    assert told.returncode == 0, told.stderr


def test_a_dead_engine_says_what_to_do_next(place: Path) -> None:
    write_lines(place / "dies.jsonl", [{"match": "is 2", "error": "dead"}, {"reply": "\\boxed{1}"}])
    script = ("-M", "script=dies.jsonl", "--concurrency", 1)
    write_lines(place / "contexts.jsonl", [{**row, "context": row["question"]} for row in ROWS])
    run = tts("run", "--input", "sums.jsonl", *SCRIPTED, *script, cwd=place)
    assert run.returncode == 3
    assert run.stdout.startswith("0\t1\n"), "what is answered is said"
    assert "hint: `tts eval --output DIR`" in run.stderr
    for words in (
        ["sleep", "write", "contexts.jsonl", "--store", "n.sqlite"],
        ["data", "multi-query", "contexts.jsonl"],
    ):
        died = tts(*words, *SCRIPTED, *script, cwd=place)
        assert died.returncode == 3, died.stderr
        assert "hint: the same command goes on" in died.stderr


def test_one_process_at_a_time_works_through_a_folder(place: Path) -> None:
    write_lines(place / "slow.jsonl", [{"reply": "1. Why?", "latency": 60}])
    write_lines(place / "contexts.jsonl", [{**ROWS[0], "context": "Ann adds."}])
    words = ["data", "multi-query", "contexts.jsonl", "-o", "more.jsonl", *SCRIPTED, "-M", "script=slow.jsonl"]
    first = subprocess.Popen([sys.executable, "-m", "tts", *words], cwd=place, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while not (place / "more.jsonl.work" / "journal.sqlite").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        second = tts(*words, cwd=place)
        assert second.returncode == 2, second.stderr
        assert "another process is writing more.jsonl.work" in second.stderr
    finally:
        first.kill()
        first.wait()


def test_the_resume_command_of_a_comparison_names_the_run_itself(place: Path) -> None:
    write_lines(place / "dies.jsonl", [{"match": "is 2", "error": "dead"}, {"reply": "\\boxed{1}"}])
    words = ("eval", "sums.jsonl", *SCRIPTED, "-M", "script=dies.jsonl", "--total-tokens", 900)
    words += ("--max-tokens", 20, "--against-uniform")
    died = tts(*words, cwd=place)
    assert died.returncode == 3, died.stderr
    command = died.stderr.rpartition("hint: tts ")[2].split()
    run = place / command[command.index("--output") + 1]
    assert (run / "records.jsonl").exists()
    again = tts(*[w for w in command if "script=" not in w and w != "-M"], cwd=place)
    assert again.returncode == 0, again.stderr
    assert "the same budget, spent two ways" in again.stdout


def test_a_byte_order_mark_and_carriage_returns_are_no_content(tmp_path: Path) -> None:
    def write(name: str, *lines: str) -> str:
        (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + "".join(f"{line}\r\n" for line in lines).encode())
        return str(tmp_path / name)

    data = write("p.jsonl", '{"question": "What is 2 + 3?", "answer": "5"}')
    settings = write("c.toml", "n = 3", 'engine = "scripted"')
    grid = write("g.toml", 'benchmarks = "p.jsonl"', 'engine = "scripted"', "n = [1, 2]")
    text = write("t.txt", "Ann has 3 pears.")
    pairs = write("pairs.jsonl", '{"answer": "2", "target": "2"}')
    for words in (["eval", data, "--config", settings], ["sweep", grid], ["grade", pairs]):
        done = tts(*words, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert tts("grade", "-", stdin=Path(pairs).read_text(encoding="utf-8")).returncode == 0
    store = ("--store", tmp_path / "n.sqlite")
    assert tts("sleep", "write", text, *SCRIPTED, *store).returncode == 0
    assert json.loads(tts("sleep", "list", *store, "--json").stdout)[0]["context"] == "Ann has 3 pears."


def test_a_question_that_is_no_text_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tts", "run", "-", *SCRIPTED], input=b"\xff\xfe\x00", capture_output=True, check=False
    )
    assert done.returncode == 2, done.stderr
    assert b"not UTF-8" in done.stderr


@pytest.mark.parametrize("words", [["export", "made"], ["report", "made", "--html-samples", "1"]], ids=" ".join)
def test_what_is_no_file_is_written_to_and_not_replaced(words: list[str], place: Path, tmp_path: Path) -> None:
    pipe, link, real = tmp_path / "pipe", tmp_path / "link", tmp_path / "real"
    os.mkfifo(pipe)
    real.write_text("old")
    link.symlink_to(real)
    option = "-o" if words[0] == "export" else "--html"
    with (place / "told").open("wb") as told, subprocess.Popen(["cat", pipe], stdout=told) as reader:
        try:
            done = tts(*words, option, pipe, cwd=place)
            assert done.returncode == 0, done.stderr
            reader.wait(timeout=30)
        finally:
            reader.kill()
    assert pipe.is_fifo()
    assert (place / "told").stat().st_size > 1000
    assert tts(*words, option, link, cwd=place).returncode == 0
    assert link.is_symlink()
    assert real.stat().st_size > 1000
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link", "pipe", "real"]


@pytest.mark.parametrize("lost", ["pipe", "full"])
def test_a_run_does_not_mind_who_listens_to_its_progress(lost: str, place: Path, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    if lost == "full":
        os.close(writing)
        writing = os.open("/dev/full", os.O_WRONLY)
    words = ["eval", "sums.jsonl", *SCRIPTED, "--output", str(tmp_path / "run"), "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "tts", *words], cwd=place, stderr=writing, stdout=subprocess.PIPE, check=False
    )
    os.close(writing)
    assert done.returncode == 0
    assert json.loads(done.stdout)["counts"]["problems"] == 4


def test_notes_are_forgotten_by_their_own_key_alone(tmp_path: Path) -> None:
    store = ("--store", tmp_path / "n.sqlite")
    assert tts("sleep", "write", "--context", "Ann adds.", *SCRIPTED, *store).returncode == 0
    for key in ("", "%", "_"):
        assert tts("sleep", "rm", key, *store).returncode == 2
    assert len(json.loads(tts("sleep", "list", *store, "--json").stdout)) == 1


def test_a_number_of_thousands_of_digits_is_named(tmp_path: Path) -> None:
    (tmp_path / "big.jsonl").write_text('{"question": "x", "answer": ' + "9" * 5000 + "}\n")
    done = tts("eval", tmp_path / "big.jsonl", *SCRIPTED, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "big.jsonl:1: " in done.stderr
