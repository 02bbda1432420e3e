from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import records, tts
from synthetic_run import synthetic_run

from tts.errors import InputError
from tts.report.compare import compare, compare_all


def rewrite(run: Path, **identity: str) -> Path:
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["identity"] |= identity
    (run / "manifest.json").write_text(json.dumps(manifest))
    return run


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    a = synthetic_run(tmp_path / "a", 40, 4, metadata=False)
    return a, synthetic_run(tmp_path / "b", 50, 4, seed=1, gain=0.2, metadata=False)


def test_shared_questions_are_paired_and_the_others_counted(pair: tuple[Path, Path]) -> None:
    found = compare(*pair, "accuracy")
    left, right = ({r["problem_id"]: r["grade"]["correct"] for r in records(run)} for run in pair)
    assert found.found.questions == 40
    assert found.only == (0, 10)
    assert found.found.wins == sum(right[name] and not left[name] for name in left)
    assert found.found.value == pytest.approx(sum(right[n] - left[n] for n in left) / 40)
    assert found.found.test == "mcnemar"


def test_clusters_of_the_card_are_the_unit(tmp_path: Path) -> None:
    a, b = (synthetic_run(tmp_path / name, 40, 4, seed=i) for i, name in enumerate("ab"))
    assert compare(a, b, "accuracy").found.method == "t-clustered"
    assert compare(a, b, "maj@4").found.test == "t-clustered"


def test_two_pairs_are_adjusted(pair: tuple[Path, Path]) -> None:
    found, adjusted = compare_all([*pair, *reversed(pair)], "maj@3")
    assert adjusted is not None
    assert found[0].found.value == pytest.approx(-found[1].found.value)
    p = found[0].found.p
    assert p is not None
    assert adjusted == pytest.approx([min(1.0, 2 * p)] * 2)


def test_the_command_says_what_everything_is(pair: tuple[Path, Path]) -> None:
    done = tts("compare", *pair, "--metric", "maj@4")
    assert done.returncode == 0, done.stderr
    for words in ("40 (0 only in A, 10 only in B", "95 % interval", "Student's t over questions", "80 % power"):
        assert words in done.stdout
    (found,) = json.loads(tts("compare", *pair, "--json").stdout)
    assert found["difference"]["questions"] == 40
    assert found["difference"]["p_holm"] == found["difference"]["p"]


def test_different_benchmarks_are_refused(pair: tuple[Path, Path]) -> None:
    rewrite(pair[1], benchmark="other")
    done = tts("compare", *pair)
    assert done.returncode == 2
    assert "is a run of synthetic" in done.stderr


def test_another_revision_is_noted(pair: tuple[Path, Path]) -> None:
    rewrite(pair[1], revision="2")
    assert "different revisions" in compare(*pair, "accuracy").notes[0]


def test_nothing_shared_and_changed_questions_are_refused(pair: tuple[Path, Path]) -> None:
    lines = records(pair[1])
    for change, says in (("problem_id", "share no scored question"), ("question", "another one")):
        changed = [{**r, change: f"other {r[change]}"} for r in lines]
        (pair[1] / "records.jsonl").write_text("".join(json.dumps(r) + "\n" for r in changed))
        with pytest.raises(InputError, match=says):
            compare(*pair, "accuracy")


@pytest.mark.parametrize(
    ("metric", "says"),
    [
        ("maj@5", "needs 5 samples"), ("best@2", "no metric"), ("best@2:x", "no score 'x'"), ("f1", "no metric"),
        ("maj@0", "no metric"), ("pass@2:prm", "no metric"),
    ],
)  # fmt: skip
def test_a_metric_that_the_samples_do_not_allow(pair: tuple[Path, Path], metric: str, says: str) -> None:
    done = tts("compare", *pair, "--metric", metric)
    assert done.returncode == 2
    assert says in done.stderr


def test_an_odd_number_of_runs(pair: tuple[Path, Path]) -> None:
    assert tts("compare", pair[0]).returncode == 2
    with pytest.raises(InputError, match="make no pairs"):
        compare_all([*pair, pair[0]], "accuracy")


def test_runs_of_the_command_line(sums: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 1)):
        tts(
            "eval",
            sums,
            "--engine",
            "scripted",
            "-s",
            "self-consistency",
            "-n",
            4,
            "--seed",
            seed,
            "--output",
            tmp_path / name,
        )
    (found,) = json.loads(tts("compare", tmp_path / "a", tmp_path / "b", "--json").stdout)
    assert found["difference"]["questions"] == 12
    assert (
        tts("report", tmp_path / "a", tmp_path / "b", "--by", "difficulty", "--length", "--confidence").returncode == 0
    )
