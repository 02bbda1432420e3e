"""One budget for a whole set: what a sample is worth, and what a run makes of it."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from conftest import records, tts, write_lines

from tts.allocate import overturn, worth


def brute_overturn(first: int, second: int, samples: int) -> float:
    """Polya's urn: each sample goes to a side in proportion to its votes + 1."""
    total = 0.0
    for ways in product((0, 1), repeat=samples):
        sides, chance = [first, second], 1.0
        for way in ways:
            chance *= (sides[way] + 1) / (sum(sides) + 2)
            sides[way] += 1
        total += chance * (1.0 if sides[1] > sides[0] else 0.5 if sides[1] == sides[0] else 0.0)
    return total


@pytest.mark.parametrize(("first", "second"), [(1, 0), (1, 1), (3, 1), (4, 3), (2, 0)])
@pytest.mark.parametrize("samples", [1, 2, 3, 6])
def test_an_overturn_is_what_the_urn_says(first: int, second: int, samples: int) -> None:
    assert overturn(first, second, samples) == pytest.approx(brute_overturn(first, second, samples))
    assert overturn(first * 0.5, second * 0.5, samples, 0.5) == pytest.approx(overturn(first, second, samples))


def test_a_clear_lead_is_worth_less_than_a_narrow_one_and_silence_less_with_time() -> None:
    assert worth((4,), 4) < worth((3, 1), 4) < worth((2, 2), 4)
    assert worth((2, 1), 3) > worth((20, 10), 30)
    assert worth((), 8) < worth((), 2)
    assert worth((1,), 1, pending=3) < worth((1,), 1)
    assert worth((1,) * 16, 16) < worth((8, 8), 16)


SCRIPT = """
import random, re

def hard_and_easy(prompt, seed):
    a = int(re.search(r"What is (\\d+)", prompt)[1])
    rng = random.Random(seed)
    right = 2 * a + 3
    if a % 4:
        return f"The answer is \\\\boxed{{{right}}}."
    return f"The answer is \\\\boxed{{{right if rng.random() < 0.5 else right + rng.randrange(1, 3)}}}."
"""


@pytest.fixture
def mixed(tmp_path: Path) -> list[Any]:
    (tmp_path / "s.py").write_text(SCRIPT)
    rows = [{"question": f"What is {a} + {a + 3}?", "answer": str(2 * a + 3)} for a in range(40)]
    problems = write_lines(tmp_path / "p.jsonl", rows)
    script = f"script={tmp_path / 's.py'}:hard_and_easy"
    return ["eval", problems, "--engine", "scripted", "-M", script, "-M", "max_sequences=8", "--max-tokens", 20]


TOKENS = 4 * 40 * 6


def test_the_budget_goes_where_answers_differ_and_is_not_exceeded(mixed: list[Any], tmp_path: Path) -> None:
    done = tts(*mixed, "--total-tokens", TOKENS, "--against-uniform", "--output", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert "adaptive - uniform" in done.stdout
    adaptive, uniform = records(tmp_path / "run"), records(tmp_path / "run-uniform")
    for found in (adaptive, uniform):
        assert len(found) == 40
        assert sum(r["usage"]["generated_tokens"] for r in found) <= TOKENS
    hard = [len(r["solution"]["candidates"]) for r in adaptive if (int(r["problem_id"]) - 1) % 4 == 0]
    easy = [len(r["solution"]["candidates"]) for r in adaptive if (int(r["problem_id"]) - 1) % 4]
    assert min(hard) >= 4
    assert sum(hard) / len(hard) > 2 * sum(easy) / len(easy)
    drawn = [len(r["solution"]["candidates"]) for r in uniform]
    assert max(drawn) - min(drawn) <= 1
    for a, u in zip(adaptive, uniform, strict=True):  # the same samples, more or fewer of them
        some, others = ([c["seed"] for c in r["solution"]["candidates"]] for r in (a, u))
        assert some[: len(others)] == others[: len(some)]
    for run in ("run", "run-uniform"):
        usage = json.loads((tmp_path / run / "results.json").read_text())["usage"]
        assert usage["wasted_tokens"] == 0
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["lives"][0]["engine"]["generated_tokens"] == sum(r["usage"]["generated_tokens"] for r in adaptive)
    again = tts(*mixed, "--total-tokens", TOKENS, "--output", tmp_path / "run", "--resume", "--json")
    assert again.returncode == 0, again.stderr
    assert records(tmp_path / "run") == adaptive


def test_easy_problems_stop_early(mixed: list[Any], tmp_path: Path) -> None:
    done = tts(*mixed, "--total-tokens", 10**6, "-n", 30, "--output", tmp_path / "run", "--json")
    assert done.returncode == 0, done.stderr
    easy = [len(r["solution"]["candidates"]) for r in records(tmp_path / "run") if (int(r["problem_id"]) - 1) % 4]
    assert sum(easy) / len(easy) < 10


def test_what_a_small_budget_does_not_reach_is_said(mixed: list[Any], tmp_path: Path) -> None:
    done = tts(*mixed, "--total-tokens", 60, "--output", tmp_path / "run", "--json")
    assert done.returncode == 0, done.stderr
    found = records(tmp_path / "run")
    assert len(found) == 40
    assert any(not r.get("begun", True) for r in found)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--against-uniform"], "--total-tokens T"),
        (["--total-tokens", "100", "-s", "single"], "does not vote"),
        (["--total-tokens", "100", "-o", "stop=beta"], "without -o stop="),
        (["--total-tokens", "0"], "greater than or equal to 1"),
    ],
)
def test_what_cannot_work_is_said_before_anything_starts(mixed: list[Any], words: list[str], said: str) -> None:
    done = tts(*mixed, *words)
    assert done.returncode == 2
    assert said in done.stderr
