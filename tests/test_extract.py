"""Extraction: the marked answer, never a passing number, nothing from unfinished thinking, linear time."""

from __future__ import annotations

import time

import pytest

from tts.verify import read_pair
from tts.verify.extract import extract, read_target


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"So \boxed{42}.", "42"),
        (r"First \boxed{1}, but no: we get \boxed{\frac{1}{2}}.", r"\frac{1}{2}"),
        (r"\boxed{\{x \mid x > 0\}}", r"\{x \mid x > 0\}"),
        (r"\fbox{7}", "7"),
        (r"\boxed{\boxed{3}}", "3"),
        (r"$x = \boxed{2}$ or $x = \boxed{3}$", "2, 3"),
        (r"\boxed{5", None),
        ("Tom has 3 + 4 = 7.\n#### 7", "7"),
        ("#### 1,234\n", "1,234"),
        ("The answer is 42.", "42"),
        ("Final answer: $\\frac{3}{4}$", r"\frac{3}{4}"),
        ("**Final Answer:** 12 apples", "12 apples"),
        ("Answer: x = 3\nThanks", "x = 3"),
        ("the answer is 3.14.", "3.14"),
        ("答案是 15", "15"),
        ("17", "17"),
        (r"\frac{1}{2}", r"\frac{1}{2}"),
        ("There were 12 of them and then 5 left the room", None),
        ("", None),
        ("<think>\\boxed{1}</think> \\boxed{2}", "2"),
        ("<think>so far \\boxed{1}", None),
        ("it is \\boxed{9}</think>The answer is 10.", "10"),
        ("<think>a</think>b<think>\\boxed{3}", None),
    ],
)
def test_extract(text: str, answer: str | None) -> None:
    assert extract(text) == answer


def test_methods_are_tried_in_the_order_given() -> None:
    text = "\\boxed{1}\n#### 2"
    assert extract(text, ["hash", "boxed"]) == "2"
    assert extract(text, ["boxed", "hash"]) == "1"
    assert extract("There were 12, and 5 left", ["boxed", "last-number"]) == "5"
    assert extract("I think it's B because it fits", ["choice"]) == "B"
    assert extract("A bee is an insect", ["choice"]) is None


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("He sold 48/2 = <<48/2=24>>24.\n#### 24", "24"),
        (r"Hence the sum is $\boxed{\frac{3}{7}}$.", r"\frac{3}{7}"),
        ("204", "204"),
        ("  ", None),
    ],
)
def test_read_target(text: str, target: str | None) -> None:
    assert read_target(text) == target


@pytest.mark.parametrize(
    ("answer", "target", "expected"),
    [
        ("18", "#### 18", ("18", "18")),
        ("She pays 3 * 6 = 18 dollars", "18", ("18", "18")),
        ("It must be a rhombus of some kind", "square", ("It must be a rhombus of some kind", "square")),
        ("Clearly $x \\ge 5$ holds for it", "x >= 5", ("x \\ge 5", "x >= 5")),
        ("I would say it is C", "C", ("C", "C")),
        ("<think>hm", "3", (None, "3")),
        ("", "3", (None, "3")),
        ("3", "", ("3", None)),
    ],
)
def test_read_pair(answer: str, target: str, expected: tuple[str | None, str | None]) -> None:
    assert read_pair(answer, target) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It is\n<answer>\n1 0\n0 1\n</answer>", "1 0\n0 1"),
        ("<answer>3</answer> no, <answer>  4</answer>.", "  4"),
        ("<answer>5", None),
        ("5</answer>", None),
        ("<answer>  </answer>", None),
        ("<think><answer>3</answer>", None),
    ],
)
def test_an_answer_between_tags_keeps_its_lines(text: str, expected: str | None) -> None:
    assert extract(text, ["tag"]) == expected


@pytest.mark.parametrize(
    "piece",
    [
        "\\boxed{",
        "{",
        "\\boxed{1}",
        "<think>",
        "</think>",
        "#### ",
        "the answer is ",
        "1,",
        "$",
        "**",
        "a ",
        "}",
        "\\",
        "<answer>",
    ],
)
def test_a_megabyte_takes_linear_time(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))
    start = time.perf_counter()
    extract(text, ["boxed", "tag", "hash", "phrase", "choice", "last-number", "bare"])
    read_pair(text, "1")
    assert time.perf_counter() - start < 3.0
