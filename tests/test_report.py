"""Curves, difficulty, length, confidence, and what the command line makes of them."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from conftest import tts
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_run import synthetic_run

from tts.errors import InputError
from tts.report.confidence import calibration_error, confidence, majority_share
from tts.report.curves import Curve, Point, curves, front, read_result
from tts.report.difficulty import assign, bins, entropy
from tts.report.length import length
from tts.report.questions import curve, read_questions, samples, values


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic_run(tmp_path_factory.mktemp("runs") / "votes", 60, 8)


@pytest.fixture(scope="module")
def beam(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic_run(tmp_path_factory.mktemp("runs") / "beam", 60, 8, seed=1, gain=0.15, strategy="beam")


def point(k: int, value: float, tokens: float) -> Point:
    return Point(k, value, value, value, tokens, None, None)


COSTS = st.lists(st.tuples(st.integers(1, 5), st.integers(0, 5)), min_size=1, max_size=8)


@settings(deadline=None)
@given(COSTS)
def test_the_front_is_what_nothing_dominates(drawn: list[tuple[int, int]]) -> None:
    points = [point(1, value / 5, cost) for cost, value in drawn]
    found = front([Curve("a", tuple(points))], "tokens")
    for j, (cost, value) in enumerate(drawn):
        dominated = any((c <= cost and v > value) or (c < cost and v >= value) for c, v in drawn)
        assert ((0, j) in found) is not dominated


def test_what_needs_the_target_is_not_on_the_front() -> None:
    found = [Curve("pass", (point(2, 0.9, 1),), oracle=True), Curve("maj", (point(2, 0.5, 1),))]
    assert front(found, "tokens") == {(1, 0)}
    assert front(found, "flops") == set()


def test_independent_samples_give_curves_and_other_strategies_a_point(run: Path, beam: Path) -> None:
    found = {c.name: c for c in curves([read_result(run), read_result(beam)])}
    majority = found["self-consistency (maj@k)"]
    assert [p.k for p in majority.points] == [2, 4, 8]
    assert majority.start == found["one sample (avg@1)"].points[0]
    assert majority.points[-1].tokens == pytest.approx(8 * majority.start.tokens if majority.start.tokens else 0)
    assert len(found["beam, as run"].points) == 1
    whole = fmean(r.generated for r in read_questions(beam))
    assert found["beam, as run"].points[0].tokens == pytest.approx(whole)


def test_a_stopped_run_has_a_point_at_what_it_answered_and_spent(tmp_path: Path) -> None:
    stopped = read_result(synthetic_run(tmp_path / "stopped", stop="beta"))
    (point,) = next(c for c in curves([stopped]) if c.name.endswith("as run")).points
    assert point.value == stopped.results["metrics"]["accuracy"]["value"]
    assert point.tokens == pytest.approx(stopped.results["usage"]["tokens_per_problem"])


def test_two_runs_of_one_name_are_told_apart(run: Path, tmp_path: Path) -> None:
    other = synthetic_run(tmp_path / "second", 10, 4)
    names = [c.name for c in curves([read_result(run), read_result(other)])]
    assert len(set(names)) == len(names)
    assert "self-consistency (maj@k), second" in names


@pytest.mark.parametrize("metric", ["avg@8", "pass@3", "maj@3", "best@3:prm", "weighted@3:prm"])
def test_values_of_a_question_are_means_over_all_subsets(run: Path, metric: str) -> None:
    kind, k = metric.split("@")[0], int(metric.split("@")[1].split(":")[0])
    question = read_questions(run)[3]
    pool, n = question.pool, len(question.pool.correct)

    def one(subset: tuple[int, ...]) -> float:
        right = {pool.classes[i] for i in subset if pool.correct[i]}
        answered = [i for i in subset if pool.classes[i] >= 0]
        scores: Any = pool.scores["prm"]
        if kind == "avg":
            return fmean(pool.correct[i] for i in subset)
        if kind == "pass":
            return float(any(pool.correct[i] for i in subset))
        if kind == "best":
            return float(pool.correct[max(answered or subset, key=lambda i: scores[i])])
        sums: dict[int, float] = {}
        for i in answered:
            sums[pool.classes[i]] = sums.get(pool.classes[i], 0.0) + (1.0 if kind == "maj" else scores[i])
        leaders = [c for c, s in sums.items() if s == max(sums.values())]
        return sum(c in right for c in leaders) / len(leaders) if leaders else 0.0

    expected = fmean(one(s) for s in combinations(range(n), k))
    assert values([question], metric)[0] == pytest.approx(expected)


def test_levels_are_bins_and_each_question_is_in_one(run: Path) -> None:
    questions = read_questions(run)
    found = bins(questions, "levels")
    assert [b.name for b in found] == [f"level {i}" for i in range(1, 6)]
    assert sum(b.questions for b in found) == 60
    accuracies = [b.accuracy.value for b in found]
    assert accuracies[0] > 0.9 > 0.3 > accuracies[-1]
    total = sum(b.questions * b.trends["maj@k"].steps[-1].accuracy.value for b in found) / 60
    assert total == pytest.approx(fmean(curve(questions, "maj", [8])[0]))


@pytest.mark.parametrize("how", ["oracle", "votes", "prm"])
def test_bins_from_one_half_are_scored_on_the_other(run: Path, how: str) -> None:
    items = assign(read_questions(run), how)
    assert len(items) == 120
    assert all(len(item.question.pool.correct) == 4 for item in items)
    found = bins(read_questions(run), how)
    shares = [b.trends["maj@k"].steps[0].accuracy.value for b in found]
    assert shares[0] > shares[-1] + 0.3
    assert found[0].trends["maj@k"].steps[-1].k == 4


def test_luck_does_not_make_bins() -> None:
    """Equally hard questions: the bins of an oracle that judged its own samples would lie far apart."""
    questions = read_questions_of_equals(400)
    shares = [b.trends["maj@k"].steps[0].accuracy.value for b in bins(questions, "oracle")]
    assert max(shares) - min(shares) < 0.15


def read_questions_of_equals(count: int) -> list[Any]:
    import random

    from tts.metrics import Pool
    from tts.report.questions import Question

    rng = random.Random(0)
    made = []
    for i in range(count):
        correct = tuple(rng.random() < 0.5 for _ in range(8))
        pool = Pool((True,), correct, tuple(0 if ok else 1 for ok in correct), {}, (), (False,) * 8)
        made.append(Question(f"q{i}", "", pool, (10,) * 8, 80.0))
    return made


def test_verdicts_say_only_what_intervals_show(run: Path) -> None:
    for b in bins(read_questions(run), "levels"):
        for trend in b.trends.values():
            assert trend.ci is not None
            if trend.verdict == "more samples hurt":
                assert trend.ci[1] < 0
            elif trend.verdict == "no gain seen":
                assert trend.ci[0] <= 0 <= trend.ci[1]
            else:
                assert trend.ci[0] > 0


def test_entropy_of_votes() -> None:
    question = read_questions_of_equals(1)[0]
    share = fmean(question.pool.correct)
    from math import log

    assert entropy(question) == pytest.approx(-sum(p * log(p) for p in (share, 1 - share) if p))


def test_length_shows_the_confound_and_finds_what_is_left(tmp_path: Path) -> None:
    confounded = length(read_questions(synthetic_run(tmp_path / "a", 200, 16, seed=1)))
    causal = length(read_questions(synthetic_run(tmp_path / "b", 200, 16, slope=-1.5)))
    for found, truth in ((confounded, 0.0), (causal, -1.5)):
        effects = {e.name: e for e in found.effects}
        pooled, within = effects["all together"].log_odds, effects["within a question"].log_odds
        assert pooled is not None
        assert within is not None
        assert pooled.value < -1.0
        assert within.ci[0] <= truth <= within.ci[1]
    everything = confounded.strata[0]
    assert (
        everything.samples == sum(s.samples for s in confounded.strata[1:]) == sum(t.samples for t in confounded.tiles)
    )
    assert everything.wrong.mean is not None
    assert everything.right.mean is not None
    assert everything.wrong.mean > everything.right.mean
    assert confounded.tiles[0].beyond == pytest.approx(1 - everything.accuracy)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10), st.booleans()), min_size=1, max_size=20))
def test_calibration_error_is_the_mean_gap_of_bins(drawn: list[tuple[int, bool]]) -> None:
    shares, right = [s / 10 for s, _ in drawn], [float(ok) for _, ok in drawn]
    expected = 0.0
    for tile in range(10):
        inside = [i for i, (s, _) in enumerate(drawn) if tile < s <= tile + 1 or (tile == 0 and s == 0)]
        if inside:
            gap = fmean(right[i] for i in inside) - fmean(shares[i] for i in inside)
            expected += len(inside) / len(drawn) * abs(gap)
    assert calibration_error(shares, right) == pytest.approx(expected)


def test_confidence_adds_up(run: Path) -> None:
    questions = read_questions(run)
    found = confidence(questions)
    assert found.share == pytest.approx(fmean(majority_share(q) for q in questions))
    assert found.over == pytest.approx(found.share - found.accuracy.value)
    assert sum(t.questions for t in found.tiles) == 60
    assert found.accuracy.value == pytest.approx(fmean(curve(questions, "maj", [8])[0]))
    gains = [g.gain for g in found.growth if g.gain is not None]
    assert all(g >= 0 for g in gains)
    assert found.growth[0].value.value + sum(gains) == pytest.approx(found.growth[-1].value.value)


def test_pass_at_k_that_no_longer_grows_says_where(tmp_path: Path) -> None:
    questions = [q for q in read_questions(synthetic_run(tmp_path / "a", 60, 32)) if q.pool.metadata["level"] <= 2]
    found = confidence(questions)
    assert found.stops is not None
    at = {g.k: g for g in found.growth}
    assert all(g.gain is not None and g.gain < 0.01 for k, g in at.items() if k > found.stops)


def test_one_sample_has_no_votes(tmp_path: Path) -> None:
    questions = read_questions(synthetic_run(tmp_path / "a", 20, 1, metadata=False))
    assert samples(questions) == 1
    with pytest.raises(InputError, match="two samples"):
        confidence(questions)
    with pytest.raises(InputError, match="two samples"):
        bins(questions, "oracle")
    assert length(questions).how is None


def test_the_terminal_shows_tables_plots_and_what_intervals_are(run: Path, beam: Path) -> None:
    done = tts("report", run, beam)
    assert done.returncode == 0, done.stderr
    assert "beam, as run" in done.stdout
    assert "on the Pareto front" in done.stdout
    assert "Wilson, effective number of clusters" in done.stdout
    assert "FLOPs a problem" in tts("report", run, "--against", "flops").stdout


def test_results_use_the_clusters_of_the_card(run: Path, tmp_path: Path) -> None:
    plain = read_result(synthetic_run(tmp_path / "plain", 60, 8, metadata=False)).results["metrics"]
    found = read_result(run).results["metrics"]
    assert (plain["accuracy"]["ci_method"], plain["maj@4"]["ci_method"]) == ("wilson", "wilson-effective")
    assert (found["accuracy"]["ci_method"], found["maj@4"]["ci_method"]) == ("wilson-clustered",) * 2
    assert found["accuracy"]["value"] == plain["accuracy"]["value"]
    assert found["accuracy"]["stderr"] != plain["accuracy"]["stderr"]


def test_json_holds_every_point(run: Path) -> None:
    found = json.loads(tts("report", run, "--json").stdout)
    assert {c["name"]: len(c["points"]) for c in found["synthetic"]}["self-consistency (maj@k)"] == 3
    both = json.loads(tts("report", run, "--by", "difficulty", "--length", "--confidence", "--json").stdout)[str(run)]
    assert set(both) == {"difficulty", "length", "confidence"}
    assert len(both["difficulty"]["bins"]) == 5


def test_markdown_is_a_table_that_says_what_plus_minus_is(run: Path, beam: Path) -> None:
    done = tts("report", run, beam, "--markdown")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("| Benchmark | Model | Strategy | n |")
    assert [line.count("|") for line in lines[:4]] == [10] * 4
    assert "± one standard error" in done.stdout
    accuracy = fmean(values(read_questions(run), "accuracy"))
    assert f"{100 * accuracy:.1f} ±" in lines[2]


def test_a_picture(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    done = tts("report", run, "--png", tmp_path / "plot.png")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--by", "difficulty", "--bins", "nothing"], "no bins by 'nothing'"),
        (["--bins", "votes"], "--bins belongs to"),
        (["--json", "--markdown"], "both write to stdout"),
        (["--html", "."], "is a folder"),
        (["--png", "/nowhere/plot.png"], "cannot write"),
        (["--html", "/nowhere/page.html"], "cannot write"),
    ],
)
def test_mistakes_are_one_line(run: Path, options: list[str], says: str) -> None:
    done = tts("report", run, *options)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_runs_that_are_missing_empty_or_damaged(run: Path, tmp_path: Path) -> None:
    empty = synthetic_run(tmp_path / "empty", 0, 1)
    damaged = synthetic_run(tmp_path / "damaged", 3, 1)
    (damaged / "records.jsonl").write_text('{"problem_id": \n{}\n')
    for path, says in (
        (tmp_path / "none", "not a run directory"), (tmp_path, "not a run directory"),
        (empty, "no record yet"), (damaged, "is damaged"),
    ):  # fmt: skip
        for command in (["report", path], ["compare", run, path], ["compare", path, run]):
            done = tts(*command)
            assert (done.returncode, says in done.stderr) == (2, True), (command, done.stderr)
            assert "Traceback" not in done.stderr
