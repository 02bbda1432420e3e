"""`kill -9` at any point: nothing that had finished is made again, and the outcome is an uninterrupted run's."""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import sys
import time
import zlib
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conftest import records, tts
from processes import killed_until_done

SCRIPT = """
import os, random
from tts.engines.scripted import Reply, arithmetic

def reply(prompt, seed):
    with open({log!r}, "a") as log:
        log.write(f"{{seed}}\\n")
    return Reply(arithmetic(prompt, seed).text, latency=random.Random(seed).uniform(0.0, {slowest}))
"""


def _words(problems: Path, run: Path, script: Path, *more: object) -> list[str]:
    words = ["eval", problems, "--engine", "scripted", "-M", f"script={script}:reply", "--output", run, "--resume"]
    return [str(w) for w in (*words, "-n", 6, "--concurrency", 3, *more)]


def _script(folder: Path, name: str, slowest: float = 0.15) -> tuple[Path, Path]:
    log, script = folder / f"{name}.log", folder / f"{name}.py"
    script.write_text(SCRIPT.format(log=str(log), slowest=slowest))
    return script, log


def _outcome(run: Path) -> list[dict[str, Any]]:
    timeless = []
    for record in records(run):
        usage = {k: v for k, v in record["usage"].items() if "seconds" not in k and k != "unaccounted_calls"}
        timeless.append({**record, "usage": usage, "run_id": ""})
    return timeless


BEAMS = ("-s", "beam-search", "-o", "width=3", "--verifier", "scripted")


@pytest.mark.parametrize(
    "more",
    [(), ("-s", "best-of-n"), ("--budget-tokens", 40), ("-s", "revise", "-o", "chains=2"), BEAMS],
    ids=["vote", "best", "budget", "revise", "beams"],
)
def test_killed_runs_end_as_one_that_was_not(sums: Path, tmp_path: Path, more: tuple[object, ...]) -> None:
    slowest = 0.03 if more == BEAMS else 0.15  # a search waits for its steps one after another
    script, calm = _script(tmp_path, "calm", slowest)
    assert subprocess.run([sys.executable, "-m", "tts", *_words(sums, tmp_path / "calm", script, *more)], check=False)
    script, log = _script(tmp_path, "killed", slowest)
    run, rng = tmp_path / "killed", random.Random(5)
    finished: list[tuple[int, set[str]]] = []
    words = [sys.executable, "-m", "tts", *_words(sums, run, script, *more)]

    def pause(process: subprocess.Popen[bytes], kills: int) -> None:
        if kills < 12:
            time.sleep(rng.uniform(0.0, 0.15))
        else:
            process.wait(timeout=120)

    killed_until_done(
        lambda: subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL),
        log,
        pause,
        lambda: finished.append((len(log.read_text().split()), _finished_seeds(run / "journal.sqlite"))),
    )
    assert _outcome(run) == _outcome(tmp_path / "calm")
    asked = log.read_text().split()
    for position, seeds in finished:
        assert not seeds & set(asked[position:]), "a call that had finished was made again"
    assert set(asked) == set(calm.read_text().split())
    assert more == BEAMS or len(set(asked)) == 12 * 6


def _finished_seeds(journal: Path) -> set[str]:
    with closing(sqlite3.connect(journal)) as db:
        rows = db.execute("SELECT data FROM calls").fetchall()
    return {str(json.loads(zlib.decompress(data))["seed"]) for (data,) in rows}


def test_a_finished_run_resumed_makes_no_call(sums: Path, tmp_path: Path) -> None:
    script, log = _script(tmp_path, "s")
    assert tts(*_words(sums, tmp_path / "run", script)).returncode == 0
    made, before = log.read_text(), (tmp_path / "run" / "records.jsonl").read_bytes()
    assert tts(*_words(sums, tmp_path / "run", script)).returncode == 0
    assert log.read_text() == made
    assert (tmp_path / "run" / "records.jsonl").read_bytes() == before


def test_more_problems_and_more_samples_reuse_what_is_there(sums: Path, tmp_path: Path) -> None:
    script, log = _script(tmp_path, "s")
    run = tmp_path / "run"
    assert tts(*_words(sums, run, script, "--limit", 4)).returncode == 0
    assert len(log.read_text().split()) == 4 * 6
    assert tts(*_words(sums, run, script, "--limit", 12)).returncode == 0
    assert len(log.read_text().split()) == 12 * 6
    assert tts(*_words(sums, run, script, "-n", 9)).returncode == 0
    assert len(log.read_text().split()) == 12 * 9
    found = records(run)
    assert len(found) == 12
    assert {len(r["solution"]["candidates"]) for r in found} == {9}
    fresh, _ = _script(tmp_path, "fresh")
    assert tts(*_words(sums, tmp_path / "fresh", fresh, "-n", 9)).returncode == 0
    assert _outcome(run) == _outcome(tmp_path / "fresh")


def test_a_half_written_record_is_made_again_from_the_journal(sums: Path, tmp_path: Path) -> None:
    script, log = _script(tmp_path, "s")
    run = tmp_path / "run"
    assert tts(*_words(sums, run, script)).returncode == 0
    whole, made = _outcome(run), log.read_text()
    data = (run / "records.jsonl").read_bytes()
    (run / "records.jsonl").write_bytes(data[: len(data) // 2])
    assert tts(*_words(sums, run, script)).returncode == 0
    assert _outcome(run) == whole
    assert log.read_text() == made


def test_a_damaged_manifest_is_an_error_not_a_fresh_start(sums: Path, tmp_path: Path) -> None:
    script, _ = _script(tmp_path, "s")
    run = tmp_path / "run"
    assert tts(*_words(sums, run, script, "--limit", 1)).returncode == 0
    (run / "manifest.json").write_text("{")
    done = tts(*_words(sums, run, script, "--limit", 1))
    assert done.returncode == 2
    assert "damaged" in done.stderr


def test_the_ledger_equals_the_engine_over_interrupted_lives(sums: Path, tmp_path: Path) -> None:
    import signal

    script, log = _script(tmp_path, "s", slowest=1.5)
    run = tmp_path / "run"
    for made in (10, 30):
        process = subprocess.Popen(
            [sys.executable, "-m", "tts", *_words(sums, run, script)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        while process.poll() is None and (not log.exists() or len(log.read_text().split()) < made):
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 130
    assert tts(*_words(sums, run, script)).returncode == 0
    lives = json.loads((run / "manifest.json").read_text())["lives"]
    usage = json.loads((run / "results.json").read_text())["usage"]
    assert len(lives) == 3
    for name in ("prompt_tokens", "generated_tokens"):
        assert usage[name] == sum(life["engine"][name] for life in lives), (name, lives)
