"""Problems that a function or the reasoning-gym library makes."""

from __future__ import annotations

import asyncio
import inspect
import re
from pathlib import Path

import pytest
from conftest import records, tts

from tts import benchmarks
from tts.benchmarks.gym import EVALUATING, GymChecker, rewritten
from tts.errors import DataError, InputError
from tts.types import Grade
from tts.verify.pool import CheckerPool

SUMS = """
def sums(size=3, seed=0):
    for i in range(size):
        yield {"question": f"What is {i} + {i + seed}?", "answer": float(2 * i + seed), "level": i % 2}

def broken():
    yield {"question": "q", "answer": "1"}
    raise KeyError("x")

def listed():
    return [["q", "1"]]
"""


@pytest.fixture
def functions(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(SUMS)
    return path


def test_a_function_yields_rows_of_a_problem_file(functions: Path) -> None:
    found = benchmarks.load(f"{functions}:sums?size=4&seed=1")
    assert found.name == "sums"
    assert [e.target for e in found.examples] == ["1", "3", "5", "7"]
    assert [e.metadata for e in found.examples] == [{"level": 0}, {"level": 1}] * 2
    assert "last-number" in found.extract
    assert found.revision == benchmarks.load(f"{functions}:sums?seed=1&size=4").revision
    assert found.revision != benchmarks.load(f"{functions}:sums?size=4&seed=2").revision


@pytest.mark.parametrize(
    ("what", "said", "hint"),
    [
        ("summs", "no function 'summs'", "sums"),
        ("sums?sise=4", "unexpected keyword argument 'sise'", "size=3"),
        ("sums?size", "key=value", ""),
        ("broken", "failed: KeyError", ""),
    ],
)
def test_a_function_that_fails_is_said_in_one_line(functions: Path, what: str, said: str, hint: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        benchmarks.load(f"{functions}:{what}")
    assert hint in str(caught.value.hint)


def test_other_bad_functions(functions: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="row 1 is list"):
        benchmarks.load(f"{functions}:listed")
    with pytest.raises(InputError, match="no such file"):
        benchmarks.load(f"{tmp_path}/other.py:sums")
    (tmp_path / "bad.py").write_text("def sums(:\n")
    with pytest.raises(InputError, match="SyntaxError"):
        benchmarks.load(f"{tmp_path}/bad.py:sums")


def test_a_function_is_evaluated_like_a_file(functions: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = tts("eval", f"{functions}:sums?size=2:3", "--engine", "scripted", "-s", "single", "--output", run)
    assert done.returncode == 0, done.stderr
    assert [(r["problem_id"], r["attempt"]) for r in records(run)] == [(i, a) for i in "12" for a in range(3)]


@pytest.mark.parametrize(
    ("answer", "harmless"),
    [
        ("(66 + 34) * 2 - 98 / 54", True),
        ("x**3/3 + sin(2*x) + C", True),
        ("[[0, 1], [1, 0]]", True),
        ("['Q', '_']", True),
        ("__import__('os').system('true')", False),
        ("open('f')", False),
        ("().__class__", False),
        ("x.__class__", False),
        ("[c for c in 'ab']", False),
        ("(lambda: 1)()", False),
        ("f'{x}'", False),
        ("a := 1", False),
        ("import os", False),
        ("(" * 5000, False),
    ],
)
def test_only_arithmetic_reaches_a_scorer_that_evaluates(answer: str, harmless: bool) -> None:
    assert (rewritten(answer) is not None) is harmless


def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "reasoning_gym", None)
    with pytest.raises(InputError) as caught:
        benchmarks.load("reasoning-gym:leg_counting")
    assert "tts-reasoning[reasoning-gym]" in str(caught.value.hint)


def test_tasks_by_name_size_and_seed() -> None:
    pytest.importorskip("reasoning_gym")
    found = benchmarks.load("reasoning-gym:leg_counting?size=5&seed=1")
    assert (found.name, len(found.examples), found.checker) == ("reasoning-gym-leg_counting", 5, "symbolic")
    assert found.examples == benchmarks.load("reasoning-gym:leg-counting?size=5&seed=1").examples
    assert found.examples != benchmarks.load("reasoning-gym:leg_counting?size=5&seed=2").examples
    with pytest.raises(InputError) as caught:
        benchmarks.load("reasoning-gym:leg_countin")
    assert "leg_counting" in str(caught.value.hint)
    with pytest.raises(InputError) as caught:
        benchmarks.load("reasoning-gym:leg_counting?sise=5")
    assert "min_animals" in str(caught.value.hint)


def test_a_task_without_one_right_answer_is_scored_by_the_library() -> None:
    pytest.importorskip("reasoning_gym")
    assert benchmarks.load("reasoning-gym:graph_color?size=2").checker == "reasoning-gym"
    first, second = benchmarks.load("reasoning-gym:countdown?size=2").examples

    async def graded() -> list[Grade]:
        async with CheckerPool(workers=1) as pool:
            answers = (first.target, second.target, "__import__('os')", None)
            return [await pool.grade(answer, first.target, first.checker) for answer in answers]

    grades = asyncio.run(graded())
    assert [g.correct for g in grades] == [True, False, False, False]
    assert [g.status for g in grades] == ["ok", "ok", "answer_unparsed", "no_answer"]


def test_every_task_whose_scorer_evaluates_text_is_guarded() -> None:
    pytest.importorskip("reasoning_gym")
    from reasoning_gym.factory import DATASETS

    call = re.compile(r"(?<![\w.])(?:eval|exec|sympify|(?:sympy\.|sp\.)?parse_expr)\(\s*(?:user_)?(?:answer|solution)")
    found = {name for name, (cls, _) in DATASETS.items() if call.search(inspect.getsource(cls))}
    assert found
    assert found <= EVALUATING


def test_a_gym_checker_is_equal_to_itself_and_small() -> None:
    assert len({GymChecker("gcd", "{}", 0), GymChecker("gcd", "{}", 0), GymChecker("gcd", "{}", 1)}) == 2
