"""InftyThink training data: segments, rows, what is dropped and why, and a job that is killed."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, tts, write_lines
from hypothesis import given
from hypothesis import strategies as st
from processes import killed_until_done

from tts.errors import InputError
from tts.synth.infty_think import read_cases
from tts.synth.segments import paragraphs, parse, rows, segments, tally

TAGS = ("history", "think", "summary")


def words(text: str) -> int:
    return len(text.split())


def test_a_response_is_thinking_and_a_conclusion() -> None:
    assert parse("<think>\nA\n\nB\n</think>\n\nSo 5.") == ("A\n\nB", "So 5.")
    for other in ("So 5.", "<think>A", "<think>A</think>", "<think></think>So 5.", "Hm <think>A</think>B"):
        assert parse(other) is None
    assert parse("<reason>A</reason>B", "reason") == ("A", "B")


def test_a_piece_without_a_capital_belongs_to_the_one_before() -> None:
    text = "First.\n\n\\[ x = 1 \\]\n\nand so on\n\n  \nSecond.\n\n3 is odd\n\nThird."
    assert paragraphs(text) == ["First.\n\n\\[ x = 1 \\]\n\nand so on", "Second.\n\n3 is odd", "Third."]


def test_segments_are_packed_up_to_the_limit() -> None:
    text = "\n\n".join(["One two.", "Three four.", "Five six seven.", "Eight."])
    assert segments(text, 4, words) == ["One two.\n\nThree four.", "Five six seven.\n\nEight."]
    assert segments(text, 100, words) == [text]
    assert segments(text, 2, words) is None


@given(
    st.lists(st.lists(st.sampled_from(["Ab", "cd", "1", "E"]), min_size=1, max_size=6), min_size=1), st.integers(1, 9)
)
def test_segments_lose_nothing_and_keep_the_limit(pieces: list[list[str]], limit: int) -> None:
    text = "\n\n".join(" ".join(piece) for piece in pieces)
    found = segments(text, limit, words)
    if found is None:
        assert any(words(p) > limit for p in paragraphs(text))
    else:
        assert "\n\n".join(found) == text
        assert all(words(s) <= limit for s in found)
        assert all(words(a) + words(paragraphs(b)[0]) > limit for a, b in pairwise(found))


def test_rows_learn_all_but_the_history() -> None:
    made = rows("c", "What is 2 + 3?", ["A", "B", "C"], ["a", "b"], "It is 5.", TAGS, "cot")
    assert [(r["history"], r["segment"], r["summary"], r["conclusion"]) for r in made] == [
        (None, "A", "a", None), ("a", "B", "b", None), ("b", "C", None, "It is 5."),
    ]  # fmt: skip
    for r in made:
        user, assistant = r["messages"]
        assert user["role"] == "user"
        assert "What is 2 + 3?" in user["content"]
        ((start, end),) = r["loss_spans"]
        history = f"<history>{r['history']}</history>" if r["history"] else ""
        assert assistant["content"][:start] == history
        assert end == len(assistant["content"])
        assert assistant["content"][start:].startswith("<think>\n")
    assert made[0]["messages"][1]["content"] == "<think>\nA\n</think>\n\n<summary>\na\n</summary>"
    assert made[2]["messages"][1]["content"].endswith("</think>\n\nIt is 5.")


def test_counts_stand_beside_the_papers() -> None:
    counts = tally({"kept": 3, "no good summary": 1}, {1: 2, 3: 1})
    assert counts["cases"] == 4
    assert counts["rows"] == 5
    assert counts["rows_per_case"] == pytest.approx(5 / 3, abs=1e-4)
    assert counts["rows_per_case_in_the_paper"] == pytest.approx(1.5136)


def test_cases_are_read_from_chats_and_from_columns_one_at_a_time(tmp_path: Path) -> None:
    chat = [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "R"}]
    file = write_lines(tmp_path / "a.jsonl", [{"uuid": "x", "messages": chat}, {"uuid": "x", "messages": chat[:1]}])
    assert [(c.id, c.question, c.response) for c in read_cases(str(file))] == [("x", "Q", "R"), ("x#2", "Q", "")]
    file = write_lines(tmp_path / "b.jsonl", [{"problem": "Q", "long": "R"}])
    assert next(read_cases(str(file), response="long")).response == "R"
    with pytest.raises(InputError, match="none of the columns messages"):
        next(read_cases(str(file)))
    with pytest.raises(InputError, match="no such file"):
        next(read_cases(str(tmp_path / "c.jsonl")))
    with (tmp_path / "d.jsonl").open("w") as endless:
        endless.write('{"problem": "Q", "response": "R"}\n{half')
    cases = read_cases(str(tmp_path / "d.jsonl"))
    assert next(cases).question == "Q"


SCRIPT = """
import random
from tts.engines.scripted import Reply

def reply(prompt, seed):
    with open("LOG", "a") as log:
        log.write(f"{seed} {'Part 0' in prompt}\\n")
    latency = random.Random(seed).uniform(0.0, 0.05)
    if "Never" in prompt:
        return Reply("on and on " * 100, latency=latency)
    if "Sometimes" in prompt and seed % 2:
        return Reply("with a <history> in it", latency=latency)
    return Reply(f"* known {seed}", latency=latency)
"""


def chain(name: str, parts: int) -> dict[str, Any]:
    thinking = "\n\n".join(f"Part {i} of {name}." for i in range(parts))
    return {"id": name, "question": f"{name}?", "response": f"<think>\n{thinking}\n</think>\nIt is \\boxed{{{parts}}}."}


def job(source: Path, folder: Path, script: Path, *more: object) -> list[str]:
    line = ["synth", "infty-think", source, "--output", folder, "--window", 4, "--summary", 20, "--engine", "scripted"]
    line += ["-M", f"script={script}:reply", "--concurrency", 3, *more]
    return [sys.executable, "-m", "tts", *map(str, line)]


def written(folder: Path) -> list[dict[str, Any]]:
    return sorted(map(json.loads, (folder / "rows.jsonl").read_text().splitlines()), key=lambda r: r["id"])


@pytest.fixture
def source(tmp_path: Path) -> Path:
    rows = [chain(f"C{i}", 1 + i % 4) for i in range(12)]
    rows += [chain("Never", 2), chain("Sometimes", 4), {"id": "plain", "question": "Q", "response": "It is 5."}]
    rows += [{"id": "long", "question": "Q", "response": "<think>One two three four five.</think>5"}]
    return write_lines(tmp_path / "chains.jsonl", rows)


def script(tmp_path: Path, name: str) -> tuple[Path, Path]:
    log, path = tmp_path / f"{name}.log", tmp_path / f"{name}.py"
    path.write_text(SCRIPT.replace("LOG", str(log)))
    return path, log


@pytest.mark.parametrize("condition", ["last", "all"])
def test_a_job_makes_rows_and_says_what_it_dropped(source: Path, tmp_path: Path, condition: str) -> None:
    import pyarrow.parquet

    replies, log = script(tmp_path, "calm")
    more = ("--condition", condition, "--format", "parquet")
    done = subprocess.run(job(source, tmp_path / "out", replies, *more), capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    assert counts["cases"] == 16
    assert counts["dropped"] == {
        "a paragraph longer than the window": 1,
        "no good summary": 1,
        "no thinking and conclusion": 1,
    }
    assert counts["cases_by_rounds"] == {"1": 3, "2": 3, "3": 3, "4": 4}
    made = written(tmp_path / "out")
    assert len(made) == counts["rows"] == 3 + 6 + 9 + 16
    assert all(r["history"] is None or r["history"].startswith("* known") for r in made)
    by_id = {r["id"]: r for r in made}
    saw_the_first_part = [line.endswith("True") for line in log.read_text().splitlines()]
    assert all(saw_the_first_part) == (condition == "all")
    assert by_id["C3/2"]["history"] == by_id["C3/1"]["summary"]
    table = pyarrow.parquet.read_table(tmp_path / "out" / "rows.parquet").to_pylist()
    assert sorted(table, key=lambda r: r["id"]) == made


def test_a_killed_job_goes_on_and_ends_as_one_that_was_not(source: Path, tmp_path: Path) -> None:
    calm, _ = script(tmp_path, "calm")
    subprocess.run(job(source, tmp_path / "calm", calm), capture_output=True, check=True, cwd=ROOT)
    replies, log = script(tmp_path, "killed")
    folder = tmp_path / "killed"
    words = job(source, folder, replies, "--resume")

    def half_a_row() -> None:
        with (folder / "rows.jsonl").open("a") as rows_file:
            rows_file.write('{"half')

    killed_until_done(
        lambda: subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT),
        log,
        lambda process, kills: time.sleep(0.1),
        half_a_row,
        most=40,
    )
    assert written(folder) == written(tmp_path / "calm")
    assert json.loads((folder / "counts.json").read_text()) == json.loads((tmp_path / "calm/counts.json").read_text())


def test_mistakes_are_told_before_an_engine_starts(source: Path, tmp_path: Path) -> None:
    replies, _ = script(tmp_path, "s")
    line = job(source, tmp_path / "out", replies)[3:]
    assert tts(*line, "--limit", 2).returncode == 0
    assert json.loads((tmp_path / "out" / "counts.json").read_text())["cases"] == 2
    again = tts(*line)
    assert again.returncode == 2
    assert "--resume" in again.stderr
    other = tts(*line, "--resume", "--condition", "all")
    assert other.returncode == 2
    assert "recipe" in other.stderr
    assert tts(*line, "--resume").returncode == 0
    assert json.loads((tmp_path / "out" / "counts.json").read_text())["cases"] == 16
    missing = tts("synth", "infty-think", tmp_path / "none.jsonl", "--output", tmp_path / "x", "--engine", "scripted")
    assert missing.returncode == 2
    assert not (tmp_path / "x").exists()
    assert "--output" in tts("synth", "infty-think", source).stderr


def test_a_model_trained_on_the_rows_would_meet_the_same_prompt_again() -> None:
    """The history block of a row is what the strategy puts where the assistant's turn begins."""
    from tts import catalog

    second = rows("c", "Q", ["A", "B"], ["a"], "5", TAGS, "cot")[1]
    prefill = catalog.render("infty-history", summary="a", tag="history")
    assert second["messages"][1]["content"].startswith(prefill)
    assert second["messages"][0]["content"] == catalog.render("cot", question="Q", context=None, choices=None)
