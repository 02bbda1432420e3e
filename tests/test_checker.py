"""The checker: the catalog of cases, limits on hostile input, no SymPy where none is needed, nothing executed."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tts import catalog
from tts.verify import read_pair
from tts.verify.cases import read_cases
from tts.verify.symbolic import canonical, check, quick

CASES = sorted((catalog.builtin("verifiers") / "cases").glob("*.tsv"))


@pytest.mark.parametrize("path", CASES, ids=lambda p: p.stem)
def test_cases(path: Path) -> None:
    wrong = []
    for case in read_cases(path):
        answer, target = read_pair(case.answer, case.target)
        assert target is not None
        got = check(answer, target)
        if got.correct is not case.expected:
            wrong.append(f"{case}: {got.correct} ({got.status}, {got.method})")
    assert not wrong, "\n".join(wrong)


def test_there_are_cases_with_a_reason_each() -> None:
    cases = [case for path in CASES for case in read_cases(path)]
    assert len(cases) >= 900
    assert all(case.source.strip() for case in cases)
    pairs = [(case.answer, case.target) for case in cases]
    assert len(set(pairs)) == len(pairs)


def test_every_case_is_its_own_answer() -> None:
    """A target that its checker does not accept would cost every model a point."""
    targets = {case.target for path in CASES for case in read_cases(path) if case.expected is not None}
    assert len(targets) > 100
    assert [t for t in sorted(targets) if check(t, t).correct is not True] == []


@pytest.mark.parametrize(
    ("answer", "target", "correct", "status"),
    [
        (None, "3", False, "no_answer"),
        ("   ", "3", False, "no_answer"),
        ("3", " ", None, "target_unparsed"),
        ("3", "?!", None, "target_unparsed"),
        ("\\frac{1}{", "3", False, "answer_unparsed"),
        ("9" * 20_000, "3", False, "too_large"),
        ("(" * 5_000, "3", False, "too_large"),
        ("10^{10^{10^{10}}}", "3", False, "too_large"),
        ("3", "3", True, "ok"),
    ],
)
def test_statuses(answer: str | None, target: str, correct: bool | None, status: str) -> None:
    grade = check(answer, target)
    assert (grade.correct, grade.status) == (correct, status)


STATUSES = {"ok", "target_unparsed", "no_answer", "answer_unparsed", "timeout", "too_large"}
HOSTILE = [
    "9^9^9^9^9^9^9",
    "9**9**9**9",
    "f(10**10**10)",
    "(10^{1000000000})!",
    "1000000!!",
    "((((1!)!)!)!)!",
    "5!!!!!!!!!",
    "(9!)!",
    "((3!)!)!",
    "2^{2^{2^{2^{2^2}}}}",
    "\\sqrt{" * 2_000,
    "(" * 1_000_000,
    "{" * 9_000,
    "[" * 9_000,
    "|" * 9_000,
    "-" * 9_000,
    "1" * 9_999,
    "1e999999999",
    "1E-999999999",
    "0." + "0" * 9_000 + "1",
    "\0" * 100,
    "1\0002",
    "\\text{" * 1_600,
    "\\text{__import__('os').system('touch /tmp/tts-owned')}",
    "__import__('os').system('touch /tmp/tts-owned')",
    "exec(open('/tmp/tts-owned','w'))",
    "().__class__.__bases__[0].__subclasses__()",
    "lambda: 0",
    "x" * 9_000,
    "+".join(["x"] * 2_000),
    "*".join(["x"] * 2_000),
    "/".join(["1"] * 2_000),
    "^".join(["2"] * 2_000),
    "1," * 4_000,
    "\\frac" * 2_000,
    "\\frac{1}{" * 1_000,
    "\\begin{pmatrix}" * 600,
    "\\begin{pmatrix}" + "1&" * 4_000,
    "%" * 5_000,
    "x_" * 4_000,
    "x_{" * 3_000,
    "\\mathbf{" * 1_200,
    "sin " * 2_400,
    "\\sum_{n=1}^{10^9} n",
    "\\sum_{n=1}^{300}" * 6 + "n",
    "\\binom{10^9}{5*10^8}",
    "\\gcd(10^{9999}, 10^{9998})",
    "\\lfloor 10^{99999} \\rfloor",
    "\\sin(10^{10^8})",
    "e^{e^{e^{e^e}}}",
    "\\log \\log \\log 0",
    "0^0",
    "0^{-1}",
    "1/0",
    "\\infty - \\infty",
    "\\prod_{k=1}^{299} (x+k)^{99}",
    "\\int_0^1 x^{x^{x^x}} dx",
    "\U0001d7d9\U0001d7da",
    "٣٤",
    "é" * 9_000,
    "\\\\" * 5_000,
    "1\n" * 5_000,
    "a=" * 4_000,
    "\\pm" * 3_000,
    "\\pm 1 " * 1_000,
    "1 or " * 1_900,
    "x in " * 1_900,
    "\\{" * 4_000,
    "\\cup" * 2_000,
    "1:" * 4_000,
    "1" + "." * 9_000,
    "0x" + "f" * 2_000,
    "1_{36}",
    "z_{36}",
    "$" * 9_000,
    "'" * 9_000,
    "x" + "'" * 9_000,
    "!" * 9_000,
    "1101_\u277c",
    "one half half",
    "\\log_{2}{\\begin{cases}$\\end{cases}}",
    "E" * 9_000,
    "\\ " * 3_300 + "C_5^2",
]


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_hostile_input_gets_a_status_in_time(number: int) -> None:
    hostile = HOSTILE[number]
    for answer, target in [(hostile, "1"), ("x+1", hostile), (hostile, hostile[:-1] or "1"), (hostile, "x^2=1")]:
        start = time.perf_counter()
        quick(answer, target)
        canonical(answer)
        assert time.perf_counter() - start < 1.0


def test_nothing_is_executed() -> None:
    assert not Path("/tmp/tts-owned").exists()


def test_random_text_never_raises() -> None:
    signs = (
        r"\frac { } ( ) [ ] 1 2 x y ^ _ + - * / = < , ; \sqrt \pi \text{a} | ! % \{ \} & \\ and or sin log . ' : e i"
    )
    pieces = [*signs.split(), r"\pm", r"\in", r"\cup", "\n", "$"]
    dice = random.Random(7)
    for _ in range(3_000):
        answer, target = ("".join(dice.choices(pieces, k=dice.randint(1, 14))) for _ in range(2))
        grade = quick(answer, target)
        assert grade is None or grade.status
        assert canonical(answer)


_SIGNS = r"""\frac { } ( ) [ ] 0 1 2 .5 x y ^ _ + - * / = < , ; \sqrt \pi \text{a} | ! % \{ \} & \\ and or not sin log :
' e i \pm \in \cup $ million \dot \overline{3} ... C_ \int dx \frac{d}{dx} d/d \binom \mapsto \boxed{ #### <think>"""
SIGNS = st.sampled_from(_SIGNS.split())


@given(st.lists(SIGNS | st.text(max_size=3), max_size=16).map("".join), st.lists(SIGNS, max_size=10).map(" ".join))
@settings(max_examples=300, deadline=2_000, suppress_health_check=[HealthCheck.too_slow])
def test_any_text_gets_a_status_and_a_form(answer: str, target: str) -> None:
    read_answer, read_target = read_pair(answer, target)
    for a, t in ((answer, target), (read_answer, read_target)):
        grade = quick(a, t) if t is not None else None
        assert grade is None or grade.status in STATUSES
        if grade is not None and grade.correct is None:
            assert grade.status == "target_unparsed"
    assert canonical(answer)


def test_quick_does_not_load_sympy() -> None:
    code = "import sys, tts.verify.symbolic as s; s.quick('x+1', '1+x'); sys.exit('sympy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    "group",
    [
        ["1/2", "0.5", r"\frac12", r"\frac{2}{4}", "50%", r"50\%", "x = 1/2", "$0.50$"],
        ["(x+1)^2", "x^2+2x+1", "x^2 + 2*x + 1"],
        ["2, 3", "3,2", r"\{2,3\}", "x=2 or x=3", r"2 \text{ and } 3"],
        ["0<x<5", "(0,5)", r"x \in (0, 5)"],
        ["1,234", "1234", r"1{,}234", "1234.0"],
        [r"\sqrt{8}", r"2\sqrt2", "8^{1/2}"],
        ["No solution", "no solution.", r"\text{no solution}"],
    ],
)
def test_canonical_forms_agree(group: list[str]) -> None:
    assert len({canonical(a) for a in group}) == 1, {a: canonical(a) for a in group}


def test_canonical_forms_differ() -> None:
    answers = ["1/2", "1/3", "x", "X", "(1,2)", "[1,2]", "2, 1, 1", "x<2", "x>2", "yes", "no", "-3", "3"]
    assert len({canonical(a) for a in answers}) == len(answers)
