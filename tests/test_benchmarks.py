from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from conftest import write_lines

from tts import benchmarks, catalog
from tts.benchmarks import Card, Columns
from tts.errors import CatalogError, DataError, InputError
from tts.types import Example, Problem


def load(path: Path, rows: list[dict[str, Any]], **how: Any) -> tuple[Example, ...]:
    return benchmarks.load(str(write_lines(path, rows)), **how).examples


@pytest.mark.parametrize("name", catalog.names("evals"))
def test_every_card_is_sound(name: str) -> None:
    card, source = catalog.load("evals", name, Card)
    assert card.hub or (card.file and (source.path.parent / card.file).is_file())
    assert card.description
    assert card.license
    assert not card.hub or card.revision is None or len(card.revision) == 40


def test_our_samples_load_and_have_distinct_questions() -> None:
    found = benchmarks.load("samples")
    assert len(found.examples) >= 20
    assert len({e.problem.question for e in found.examples}) == len(found.examples)
    assert all(e.target for e in found.examples)
    assert any(e.problem.choices for e in found.examples)


@pytest.mark.parametrize("question", ["question", "problem", "prompt"])
@pytest.mark.parametrize("target", ["answer", "target", "final_answer"])
def test_usual_columns(tmp_path: Path, question: str, target: str) -> None:
    (example,) = load(tmp_path / "a.jsonl", [{question: "1+1?", target: "2"}])
    assert (example.problem.question, example.target, example.problem.id) == ("1+1?", "2", "1")


def test_csv_and_parquet_are_the_same_problems(tmp_path: Path) -> None:
    import pandas

    frame = pandas.DataFrame({"id": ["a", "b"], "question": ["1+1?", 'Say "2,\n3"'], "answer": ["2", "5"]})
    frame.to_csv(tmp_path / "p.csv", index=False)
    frame.to_parquet(tmp_path / "p.parquet")
    csv, parquet = (benchmarks.load(str(tmp_path / f"p.{kind}")).examples for kind in ("csv", "parquet"))
    assert csv == parquet
    assert [e.problem.id for e in csv] == ["a", "b"]


def test_targets_are_read(tmp_path: Path) -> None:
    rows = [
        {"question": "q1", "answer": "long\n#### 1,234"},
        {"question": "q2", "answer": 27.0},
        {"question": "q3", "answer": 5},
        {"question": "q4", "answer": ["1", "2"]},
        {"question": "q5", "answer": "so $\\boxed{\\frac12}$."},
        {"question": "q6", "answer": None},
    ]
    targets = [e.target for e in load(tmp_path / "a.jsonl", rows)]
    assert targets == ["1,234", "27", "5", "1, 2", "\\frac12", None]


def test_given_columns_and_context(tmp_path: Path) -> None:
    rows = [{"q": "How many?", "a": "3", "c": "Three birds."}]
    (example,) = load(tmp_path / "a.jsonl", rows, columns=Columns("q", "a", "c"))
    assert example.problem == Problem("1", "How many?", "Three birds.")
    with pytest.raises(DataError, match="no column 'x'; it has q, a, c"):
        load(tmp_path / "a.jsonl", rows, columns=Columns("x"))
    with pytest.raises(DataError, match="none of the columns question"):
        load(tmp_path / "a.jsonl", rows)


def test_gsm_symbolic_ids_are_joined_with_their_instance(tmp_path: Path) -> None:
    rows = [{"id": 1, "instance": i, "question": "q", "answer": "1"} for i in range(3)]
    assert [e.problem.id for e in load(tmp_path / "a.jsonl", rows)] == ["1-0", "1-1", "1-2"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty"),
        ("\n\n", "holds no problems"),
        ('{"question": "a"}\nnot json\n', ":2: not JSON"),
        ('{"question": "a"}\n{"question": "b', ":2: not JSON.*half-written"),
        ('{"question": "a"}\n[1]\n', ":2: a JSON object is expected, found list"),
        ('{"id": 1, "question": "a"}\n{"id": 1, "question": "b"}\n', ":2: id '1' was used on line 1"),
        ('{"question": ""}\n', ":1: no value in column 'question'"),
        ('{"question": "a"}\n{"other": "b"}\n', ":2: no value in column 'question'"),
    ],
)
def test_a_bad_file_is_named_with_its_line(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(content)
    with pytest.raises(DataError, match=said):
        benchmarks.load(str(path))


def test_other_bad_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        benchmarks.load(str(tmp_path / "missing.jsonl"))
    with pytest.raises(DataError, match="a folder"):
        benchmarks.load(str(tmp_path))
    (tmp_path / "binary.jsonl").write_bytes(b'{"question": "\xff\xfe"}\n')
    with pytest.raises(DataError, match="not UTF-8"):
        benchmarks.load(str(tmp_path / "binary.jsonl"))
    (tmp_path / "no.parquet").write_bytes(b"PAR0 nonsense")
    with pytest.raises(DataError, match="not a Parquet file"):
        benchmarks.load(str(tmp_path / "no.parquet"))
    (tmp_path / "ragged.csv").write_text("question,answer\na,1\nb\n")
    with pytest.raises(DataError, match=":3: the header has 2 columns"):
        benchmarks.load(str(tmp_path / "ragged.csv"))


def test_an_unknown_name_gets_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        benchmarks.load("gsm8j")
    assert "gsm8k" in str(caught.value.hint)


def test_a_card_over_a_local_file_and_the_local_override(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_lines(tmp_path / "gsm8k.jsonl", [{"question": "q", "answer": "#### 5"}])
    by_name = benchmarks.load(f"gsm8k={path}")
    assert (by_name.name, by_name.examples[0].target, by_name.max_tokens) == ("gsm8k", "5", 1024)
    monkeypatch.setenv("TTS_DATA", str(tmp_path))
    assert benchmarks.load("gsm8k").revision == by_name.revision


def test_the_hub_is_asked_for_the_pinned_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    asked: dict[str, Any] = {}

    def loader(path: str, name: str | None = None, **how: Any) -> list[dict[str, Any]]:
        asked.update(how, path=path, name=name)
        return [{"question": "q", "answer": "#### 5"}]

    monkeypatch.setattr(datasets, "load_dataset", loader)
    found = benchmarks.load("gsm8k")
    assert asked == {"path": "openai/gsm8k", "name": "main", "split": "test", "revision": found.revision}
    assert len(found.revision) == 40


def test_a_hub_out_of_reach_names_the_way_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(InputError) as caught:
        benchmarks.load("gsm8k")
    assert "gsm8k=FILE" in str(caught.value.hint)


def test_a_card_with_a_typo_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('description = "d"\nquestoin = "q"\n')
    with pytest.raises(CatalogError, match="questoin") as caught:
        benchmarks.load(str(tmp_path / "mine.toml"))
    assert "question" in str(caught.value.hint)


@pytest.mark.parametrize(("limit", "expected"), [(None, 5), ("2", 2), ("9", 5), ("2-3", 2), ("5-9", 1)])
def test_limit(tmp_path: Path, limit: str | None, expected: int) -> None:
    examples = load(tmp_path / "a.jsonl", [{"question": f"q{i}", "answer": "1"} for i in range(5)])
    assert len(benchmarks.select(examples, limit)) == expected
    assert limit != "2-3" or benchmarks.select(examples, limit)[0].problem.question == "q1"


@pytest.mark.parametrize("limit", ["0", "x", "3-2", "0-2", "6-9", "-1", "1-x"])
def test_limits_that_select_nothing(tmp_path: Path, limit: str) -> None:
    examples = load(tmp_path / "a.jsonl", [{"question": f"q{i}", "answer": "1"} for i in range(5)])
    with pytest.raises(InputError, match="--limit"):
        benchmarks.select(examples, limit)


def test_numbers_in_prose_count_only_where_targets_are_numbers(tmp_path: Path) -> None:
    numbers = benchmarks.load(str(write_lines(tmp_path / "n.jsonl", [{"question": "q", "answer": "$1,200"}])))
    words = benchmarks.load(str(write_lines(tmp_path / "w.jsonl", [{"question": "q", "answer": "x+1"}])))
    assert "last-number" in numbers.extract
    assert "last-number" not in words.extract
