"""Every card over rows shaped as the hub's, with what is awkward in their columns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import records, tts, write_lines

from tts import benchmarks, catalog
from tts.benchmarks import Card
from tts.benchmarks.choices import LETTERS, arranged
from tts.errors import DataError, InputError
from tts.types import Example, Problem
from tts.verify.symbolic import check
from tts.verify.within import Within

GSM: dict[str, Any] = {"question": "How many?", "answer": "3 * 4 = <<3*4=12>>12\n#### 1,012"}
STATEFUL = {"stateful_gsm_symbolic_context": "Ann has 3.", "stateful_gsm_symbolic_question": "How many?"}
AIME = {"problem": "Find it.", "answer": "025", "id": 60, "solution": "\\boxed{024} no, \\boxed{025}", "year": "2024"}
GPQA = {
    "Record ID": "rec1", "Question": "Which?", "Correct Answer": "iron", "Incorrect Answer 1": "gold",
    "Incorrect Answer 2": "zinc", "Incorrect Answer 3": "lead", "High-level domain": "Chemistry",
    "Writer's Difficulty Estimate": "Hard",
}  # fmt: skip
OLYMPIAD = {
    "id": 1606, "question": "Roots?", "solution": ["so $1$, $2$"], "final_answer": ["$1$", "$2$"], "context": None,
    "is_multiple_answer": True, "unit": None, "answer_type": "Numerical", "error": None, "subfield": "Algebra",
}  # fmt: skip
OMNI = {
    "domain": ["Mathematics -> Algebra -> Other", "Mathematics -> Geometry"], "difficulty": 8.5, "problem": "Find it.",
    "solution": "…", "answer": "$\\frac{1}{2}$", "source": "imo",
}  # fmt: skip
SHAPES: dict[str, tuple[dict[str, Any], str, str, dict[str, Any]]] = {
    # card: a row, its id, its target, its metadata
    "gsm8k": (GSM, "1", "1,012", {}),
    "gsm8k-platinum": ({**GSM, "cleaning_status": "revised"}, "1", "1,012", {}),
    "math500": (
        {"problem": "p", "answer": "\\frac{1}{2}", "subject": "Algebra", "level": 5, "unique_id": "t/1"},
        "t/1", "\\frac{1}{2}", {"level": 5, "subject": "Algebra"},
    ),
    "aime24": (AIME, "60", "025", {}),
    "aime25": ({"problem": "Find it.", "answer": "70", "id": "0"}, "0", "70", {}),
    "amc23": ({"question": "Find it.", "answer": 27.0, "id": 0, "url": "u"}, "0", "27", {}),
    "minerva": ({"question": "How far?", "answer": "4.5e33"}, "1", "4.5e33", {}),
    "olympiadbench": (OLYMPIAD, "1606", "$1$, $2$", {"subject": "Algebra"}),
    "omni-math": (OMNI, "1", "$\\frac{1}{2}$", {"level": 8.5, "subject": OMNI["domain"]}),
    "gsm-symbolic": ({**GSM, "id": 10, "instance": 16}, "10-16", "1,012", {"cluster": 10}),
    "gsm-symbolic-p1": ({**GSM, "id": 10, "instance": 16}, "10-16", "1,012", {"cluster": 10}),
    "gsm-symbolic-p2": ({**GSM, "id": 10, "instance": 16}, "10-16", "1,012", {"cluster": 10}),
    "stateful-gsm-symbolic-p1": ({**GSM, **STATEFUL, "id": 3, "instance": 0}, "3-0", "1,012", {"cluster": 3}),
    "stateful-gsm-symbolic-p2": ({**GSM, **STATEFUL, "id": 3, "instance": 0}, "3-0", "1,012", {"cluster": 3}),
    "stateful-aime24": (
        {"question": "all", "stateful_aime_context": "", "stateful_aime_question": "Find it.", "answer": "18.0"},
        "1", "18", {},
    ),
    "stateful-aime25": (
        {"question": "all", "stateful_aime_context": "n is 3.", "stateful_aime_question": "Find it.", "answer": 18.0},
        "1", "18", {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_a_card_reads_the_shape_of_its_dataset(tmp_path: Path, name: str) -> None:
    row, problem_id, target, metadata = SHAPES[name]
    found = benchmarks.load(f"{name}={write_lines(tmp_path / 'rows.jsonl', [row])}")
    (example,) = found.examples
    assert (found.name, example.problem.id, example.target) == (name, problem_id, target)
    assert example.metadata == metadata
    assert check(example.target or "", example.target or "").correct


def test_every_hub_card_is_in_the_tests() -> None:
    hub = {name for name in catalog.names("evals") if catalog.load("evals", name, Card)[0].hub}
    assert hub == {*SHAPES, "gpqa-diamond", "deepmath-103k"}


def test_stateful_sets_keep_context_and_question_apart(tmp_path: Path) -> None:
    row = SHAPES["stateful-gsm-symbolic-p2"][0]
    (example,) = benchmarks.load(f"stateful-gsm-symbolic-p2={write_lines(tmp_path / 'r.jsonl', [row])}").examples
    assert (example.problem.context, example.problem.question) == ("Ann has 3.", "How many?")
    row = SHAPES["stateful-aime24"][0]
    (example,) = benchmarks.load(f"stateful-aime24={write_lines(tmp_path / 'r.jsonl', [row])}").examples
    assert example.problem == Problem("1", "Find it.")


def gpqa(tmp_path: Path, n: int = 40) -> tuple[Example, ...]:
    rows = [{**GPQA, "Record ID": f"rec{i}"} for i in range(n)]
    return benchmarks.load(f"gpqa-diamond={write_lines(tmp_path / 'gpqa.jsonl', rows)}").examples


def test_gpqa_options_are_permuted_by_the_record_alone(tmp_path: Path) -> None:
    examples = gpqa(tmp_path)
    assert len({e.target for e in examples}) == 4
    original = [GPQA[c] for c in ("Correct Answer", "Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3")]
    for e in examples:
        assert e.problem.choices is not None
        assert e.target is not None
        assert e.problem.choices[LETTERS.index(e.target)] == "iron"
        assert [original[i] for i in e.metadata["permutation"]] == list(e.problem.choices) == e.metadata["choices"]
    assert gpqa(tmp_path, 7) == examples[:7]


def test_permuting_again_starts_from_the_dataset_order(tmp_path: Path) -> None:
    (example,) = gpqa(tmp_path, 1)
    assert arranged(arranged(example, "other"), example.problem.id) == example


def test_permute_per_attempt_is_in_the_records(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "gpqa.jsonl", [{**GPQA, "Record ID": f"rec{i}"} for i in range(3)])
    run = tmp_path / "run"
    done = tts(
        "eval",
        f"gpqa-diamond={path}:6",
        "--engine",
        "scripted",
        "-s",
        "single",
        "--permute",
        "per-attempt",
        "--output",
        run,
    )
    assert done.returncode == 0, done.stderr
    found = records(run)
    assert len(found) == 18
    for record in found:
        shown = record["metadata"]["choices"]
        assert shown[LETTERS.index(record["grade"]["target"])] == "iron"
        assert record["metadata"]["subject"] == "Chemistry"
    assert len({tuple(r["metadata"]["permutation"]) for r in found if r["problem_id"] == "rec0"}) > 1
    first = {r["problem_id"]: r["metadata"]["permutation"] for r in found if r["attempt"] == 0}
    assert first == {e.problem.id: e.metadata["permutation"] for e in gpqa(tmp_path, 3)}


def test_permute_needs_choices(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "p.jsonl", [{"question": "1+1?", "answer": "2"}])
    done = tts("eval", path, "--engine", "scripted", "--permute", "per-record", "--output", tmp_path / "run")
    assert (done.returncode, "no multiple-choice questions" in done.stderr) == (2, True)


def test_a_gated_set_names_the_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(InputError) as caught:
        benchmarks.load("gpqa-diamond")
    assert "https://huggingface.co/datasets/Idavidrein/gpqa" in str(caught.value.hint)


def test_deepmath_holds_out_by_the_question_whatever_the_order(tmp_path: Path) -> None:
    rows = [
        {"question": f"Problem {i}?", "final_answer": str(i), "difficulty": float(i % 10), "topic": "T -> U"}
        for i in range(4000)
    ]
    found = benchmarks.load(f"deepmath-103k={write_lines(tmp_path / 'a.jsonl', rows)}").examples
    assert 10 <= len(found) <= 35  # a hundredth of the half that is hard enough
    assert all(e.metadata["level"] >= 5 for e in found)
    again = benchmarks.load(f"deepmath-103k={write_lines(tmp_path / 'b.jsonl', rows[::-1][:3500])}").examples
    assert {e.problem.question for e in again} <= {e.problem.question for e in found}
    with pytest.raises(DataError, match="no column 'difficulty'"):
        benchmarks.load(f"deepmath-103k={write_lines(tmp_path / 'c.jsonl', [{'question': 'q', 'final_answer': '1'}])}")


def test_the_big_set_is_streamed_without_its_solutions(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    asked: dict[str, Any] = {}

    def loader(path: str, name: str | None = None, **how: Any) -> list[dict[str, Any]]:
        asked.update(how, path=path)
        return [{"question": f"q{i}", "final_answer": "1", "difficulty": 6.0, "topic": "t"} for i in range(500)]

    monkeypatch.setattr(datasets, "load_dataset", loader)
    assert benchmarks.load("deepmath-103k").examples
    assert asked["streaming"]
    assert asked["columns"] == ["question", "final_answer", "difficulty", "topic"]


def test_columns_are_streamed_from_parquet_as_the_card_asks(tmp_path: Path) -> None:
    import datasets
    import pandas

    frame = pandas.DataFrame({"question": ["q"], "final_answer": ["1"], "r1_solution_1": ["long"]})
    frame.to_parquet(tmp_path / "train.parquet")
    data = datasets.load_dataset(
        "parquet", data_files=str(tmp_path / "train.parquet"), split="train", streaming=True, columns=["question"]
    )
    assert list(data) == [{"question": "q"}]


def card(tmp_path: Path, text: str, rows: list[dict[str, Any]]) -> tuple[Example, ...]:
    write_lines(tmp_path / "rows.jsonl", rows)
    (tmp_path / "mine.toml").write_text('description = "d"\nfile = "rows.jsonl"\n' + text)
    return benchmarks.load(str(tmp_path / "mine.toml")).examples


def test_an_answer_inside_a_solution_is_its_last_box_and_nothing_else(tmp_path: Path) -> None:
    rows = [
        {"problem": "a", "solution": "first \\boxed{24}, no: \\boxed{\\frac{2}{5}}."},
        {"problem": "b", "solution": "It is 7, as one sees."},
    ]
    found = card(tmp_path, 'target = "solution"\ntarget_in = "solution"\n', rows)
    assert [e.target for e in found] == ["\\frac{2}{5}", None]


@pytest.mark.parametrize("given", [["2", "-3"], "['2', '-3']"])
def test_several_answers_are_one_list(tmp_path: Path, given: Any) -> None:
    (example,) = card(tmp_path, 'target_in = "list"\n', [{"question": "q", "answer": given}])
    assert example.target == "2, -3"
    assert check("-3 and 2", "2, -3").correct
    assert check("2", "2, -3").correct is False


def test_an_interval_is_no_list(tmp_path: Path) -> None:
    (example,) = card(tmp_path, "", [{"question": "q", "answer": "[1, 2]"}])
    assert example.target == "[1, 2]"


def test_a_card_that_names_a_missing_column_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no column 'template' \\(cluster\\); it has question, answer"):
        card(tmp_path, 'cluster = "template"\n', [{"question": "q", "answer": "1"}])


@pytest.mark.parametrize(
    ("answer", "target", "tolerances", "right"),
    [
        ("3.14", "3.1416", (0.01,), True),
        ("3.1", "3.1416", (0.01,), False),
        ("0.5", "\\frac{1}{2}", (0.0,), True),
        ("\\frac{22}{7}", "\\pi", (0.01,), True),
        ("2.02, 0.99", "1, 2", (0.05,), True),
        ("2.02, 0.99", "1, 2", (0.05, 0.001), False),
        ("1", "1, 2", (10.0,), False),
        ("x + 1", "x", (10.0,), False),
        ("nothing", "2", (10.0,), False),
    ],
)
def test_a_tolerance_is_absolute_and_for_numbers(
    answer: str, target: str, tolerances: tuple[float, ...], right: bool
) -> None:
    assert Within(tolerances)(answer, target).correct is right


def test_olympiad_tolerances_are_read_from_their_column(tmp_path: Path) -> None:
    rows = [{**OLYMPIAD, "id": i, "error": error} for i, error in enumerate([None, "1e-1", "0.1,", ""])]
    found = benchmarks.load(f"olympiadbench={write_lines(tmp_path / 'o.jsonl', rows)}").examples
    assert [e.checker for e in found] == [None, Within((0.1,)), Within((0.1, 0.0)), None]
    path = write_lines(tmp_path / "o.jsonl", [{**OLYMPIAD, "error": "about 1"}])
    with pytest.raises(DataError, match=":1: 'about 1' in column 'error' is no number"):
        benchmarks.load(f"olympiadbench={path}")


def test_listing_says_size_licence_and_source() -> None:
    done = tts("list", "benchmarks", "--json")
    by_name = {entry["name"]: entry for entry in json.loads(done.stdout)}
    assert by_name["gsm-symbolic-p2"]["size"] == 2500
    assert by_name["gsm-symbolic-p2"]["source"] == "apple/GSM-Symbolic/p2"
    assert by_name["gsm-symbolic-p2"]["license"] == "CC-BY-NC-ND-4.0"
    one = json.loads(tts("list", "benchmarks", "gpqa-diamond", "--json").stdout)
    assert (one["gated"], one["permute"]) == (True, True)
    assert tts("list", "benchmarks", "gpqq").returncode == 2
