"""Every estimator against brute force over all subsets."""

from __future__ import annotations

import random
from itertools import combinations
from statistics import fmean
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tts.metrics import Pool, best_at_k, filtered_at_k, ladder, maj_at_k, pass_at_k, pools, summarise, weighted_at_k

CLASSES = st.lists(st.integers(-1, 3), min_size=1, max_size=7)


def brute_majority(classes: list[int], right: int, k: int) -> float:
    wins = []
    for subset in combinations(range(len(classes)), k):
        votes = [classes[i] for i in subset if classes[i] >= 0]
        most = max((votes.count(v) for v in votes), default=0)
        leaders = {v for v in votes if votes.count(v) == most}
        wins.append((right in leaders) / len(leaders) if leaders else 0.0)
    return fmean(wins)


@settings(max_examples=200, deadline=None)
@given(CLASSES, st.integers(0, 3), st.data())
def test_majority_is_the_mean_over_subsets(classes: list[int], right: int, data: Any) -> None:
    k = data.draw(st.integers(1, len(classes)))
    correct = [c == right for c in classes]
    assert maj_at_k(classes, correct, k) == pytest.approx(brute_majority(classes, right, k))


@given(st.lists(st.booleans(), min_size=1, max_size=8), st.data())
def test_pass_is_the_mean_over_subsets(correct: list[bool], data: Any) -> None:
    k = data.draw(st.integers(1, len(correct)))
    brute = fmean(any(subset) for subset in combinations(correct, k))
    assert pass_at_k(len(correct), sum(correct), k) == pytest.approx(brute)


def test_pass_needs_enough_samples() -> None:
    with pytest.raises(ValueError, match="at least 5"):
        pass_at_k(4, 1, 5)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3), st.booleans()), min_size=1, max_size=7), st.data())
def test_best_is_the_mean_over_subsets(drawn: list[tuple[bool, int, bool]], data: Any) -> None:
    k = data.draw(st.integers(1, len(drawn)))
    scores = [float(score) for _, score, _ in drawn]
    classes = [0 if answered else -1 for *_, answered in drawn]
    correct = [ok and answered for ok, _, answered in drawn]
    key = lambda i: (classes[i] >= 0, scores[i], -i)  # noqa: E731
    brute = fmean(correct[max(subset, key=key)] for subset in combinations(range(len(drawn)), k))
    assert best_at_k(scores, correct, classes, k) == pytest.approx(brute)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(-1, 2), st.integers(0, 3)), min_size=1, max_size=7), st.integers(0, 2), st.data())
def test_equal_weights_vote_as_the_majority(drawn: list[tuple[int, int]], right: int, data: Any) -> None:
    k = data.draw(st.integers(1, len(drawn)))
    classes = [group for group, _ in drawn]
    correct = [group == right for group in classes]
    assert weighted_at_k([1.0] * len(drawn), classes, correct, k) == pytest.approx(maj_at_k(classes, correct, k))
    # A weight of w is w votes where each class keeps its members together.
    whole = weighted_at_k([float(w) for _, w in drawn], classes, correct, len(drawn))
    votes = [group for group, w in drawn for _ in range(w) if group >= 0]
    if votes:
        assert whole == pytest.approx(brute_majority(votes, right, len(votes)))


def test_many_subsets_are_drawn_with_a_fixed_seed() -> None:
    classes, scores = [i % 5 for i in range(40)], [float(i % 7) for i in range(40)]
    correct = [group == 1 for group in classes]
    assert weighted_at_k(scores, classes, correct, 20) == weighted_at_k(scores, classes, correct, 20)


def test_pass_at_k_of_the_paper() -> None:
    # Chen et al. 2021, figure 3's formula at n = 5, c = 2, k = 2: 1 - C(3,2)/C(5,2)
    assert pass_at_k(5, 2, 2) == pytest.approx(0.7)


@pytest.mark.parametrize(("n", "expected"), [(1, [1]), (8, [1, 2, 4, 8]), (12, [1, 2, 4, 8, 12])])
def test_ladder(n: int, expected: list[int]) -> None:
    assert ladder(n) == expected


def record(problem: str, correct: bool | None, candidates: list[tuple[int, bool]], attempt: int = 0) -> dict[str, Any]:
    return {
        "problem_id": problem,
        "attempt": attempt,
        "status": "ok",
        "grade": {"correct": correct},
        "solution": {"candidates": [{"class": g, "correct": ok, "scores": {}} for g, ok in candidates]},
    }


def test_unscored_and_failed_problems_are_not_in_the_denominator() -> None:
    failed = {**record("c", None, []), "status": "error"}
    found = summarise(pools([record("a", True, [(0, True)]), record("b", None, [(0, False)]), failed])).metrics
    assert found["accuracy"].value == 1.0


def test_attempts_are_averaged_within_a_problem_first() -> None:
    rows = [record("a", True, [(0, True)]), record("a", False, [(0, False)], 1), record("b", True, [(0, True)])]
    found = summarise(pools(rows)).metrics
    assert found["accuracy"].value == pytest.approx(0.75)
    assert found["avg@1"].value == pytest.approx(0.75)


def test_wrong_answers_of_two_attempts_make_no_majority() -> None:
    rows = [record("a", True, [(0, True)]), record("a", False, [(0, False)], 1), record("a", False, [(0, False)], 2)]
    # Classes are numbered per attempt: nothing says that the two wrong answers are the same one.
    assert summarise(pools(rows)).metrics["maj@3"].value == pytest.approx(1 / 3)


def test_samples_under_a_stopping_rule_are_counted_as_far_as_all_have_them() -> None:
    """Two that agree end a problem, else there are eight: the right ones are over-represented where few were drawn."""
    dice = random.Random(1)
    rows = []
    for number in range(4_000):
        drawn = [dice.random() < 0.6 for _ in range(8)]
        kept = drawn[:2] if all(drawn[:2]) else drawn
        rows.append(record(str(number), True, [(0 if right else 1, right) for right in kept]))
    all_drawn, level = summarise(pools(rows)), summarise(pools(rows, level=True))
    assert all_drawn.metrics["pass@1"].value > 0.66
    assert level.metrics["pass@1"].value == pytest.approx(0.6, abs=0.02)
    assert level.absent["@8"] == all_drawn.absent["@8"]


def test_each_attempt_counts_as_far_as_all_do() -> None:
    rows = [
        record("a", True, [(0, True), (1, False), (1, False)]),
        record("a", True, [(0, True)], 1),
        record("b", True, [(0, True), (0, True)]),
        record("b", True, [(0, True), (1, False)], 1),
    ]
    assert [p.correct for p in pools(rows, level=True)] == [(True, True), (True, True)]


def test_nothing_scored_gives_no_metric() -> None:
    assert summarise([]).metrics == {}


def pool(*candidates: tuple[int, bool, float], **more: Any) -> Pool:
    classes, correct, scores = zip(*candidates, strict=True)
    return Pool((correct[0],), correct, classes, {"prm": scores}, **more)


def test_every_metric_by_name_and_its_curve() -> None:
    problems = [
        pool((0, True, 0.9), (1, False, 0.1), (0, True, 0.2), (-1, False, 0.3)),
        pool((1, False, 0.9), (1, False, 0.1), (0, True, 0.2), (2, False, 0.3)),
    ]
    found = summarise(problems)
    assert set(found.metrics) == {
        "accuracy", "avg@4", "pass@1", "pass@2", "pass@4", "pass^1", "pass^2", "pass^4", "maj@2", "maj@4",
        "oracle_gap@2", "oracle_gap@4", "best@2:prm", "best@4:prm", "oracle_gap@2:prm", "oracle_gap@4:prm",
        "filtered@2:prm", "filtered@4:prm", "weighted@2:prm", "weighted@4:prm",
    }  # fmt: skip
    for name, estimate in found.metrics.items():
        if "@" in name or "^" in name:
            kind, _, score = name.partition(":")
            kind, k = kind.replace("^", "@").split("@")
            mark = "^" if "^" in name else "@"
            curve = found.curves.get(f"{kind}{mark}k" + (f":{score}" if score else ""))
            if curve is not None:
                assert curve["value"][curve["k"].index(int(k))] == pytest.approx(estimate.value, abs=1e-6)
    assert found.curves["maj@k"]["k"] == found.curves["weighted@k:prm"]["k"] == [1, 2, 3, 4]
    assert found.metrics["oracle_gap@4"].value == pytest.approx(
        found.metrics["pass@4"].value - found.metrics["maj@4"].value
    )
    # The better half of all four: 0.9 and 0.2, both right (0.3 has no answer); in the other 0.9 and 0.3, both wrong.
    assert found.metrics["filtered@4:prm"].value == pytest.approx(0.5)
    assert found.metrics["weighted@4:prm"].value == pytest.approx(0.5)


def test_negative_scores_are_no_weights() -> None:
    problems = [pool((0, True, -0.1), (1, False, 0.4)), pool((0, True, 0.1), (1, False, 0.4))]
    names = set(summarise(problems).metrics)
    assert "best@2:prm" in names
    assert not any(name.startswith("weighted") for name in names)


def test_a_k_that_some_problems_cannot_reach_is_absent_with_the_reason() -> None:
    problems = [pool(*[(0, True, 0.5)] * 8), pool(*[(0, True, 0.5)] * 3), pool(*[(1, False, 0.5)] * 8)]
    found = summarise(problems)
    assert "pass@3" in found.metrics
    assert not any(name.endswith(("@4", "@8")) for name in found.metrics)
    assert found.absent == {
        f"@{k}": f"nothing at k = {k}: 1 of 3 scored problems have fewer candidates, the least 3" for k in (4, 8)
    }
    assert found.metrics["pass@3"].value == pytest.approx(2 / 3)


def test_problems_of_different_sizes_keep_their_own_expectations() -> None:
    small, large = pool((0, True, 0.5), (1, False, 0.5)), pool((0, True, 0.5), (1, False, 0.5), (1, False, 0.5))
    found = summarise([small, large])
    assert found.metrics["pass@2"].value == pytest.approx((1 + 2 / 3) / 2)
    assert found.curves["maj@k"]["value"] == pytest.approx([(1 / 2 + 1 / 3) / 2, (1 / 2 + 1 / 3) / 2], abs=1e-6)


def test_rates_are_of_what_was_scored() -> None:
    rows = [record("a", True, [(0, True), (-1, False)]), record("b", False, [(1, False), (1, False)])]
    rows[0]["solution"]["candidates"][1]["finish"] = "length"
    rows[1]["solution"]["answer"] = None
    found = summarise(pools(rows)).metrics
    assert (found["truncated_rate"].value, found["no_answer_rate"].value) == (0.25, 0.5)


def test_pools_keep_what_the_benchmark_says() -> None:
    (found,) = pools([{**record("a", True, [(0, True)]), "metadata": {"level": 3, "cluster": "t"}}])
    assert found.metadata == {"level": 3, "cluster": "t"}


def test_filtered_of_one_is_one_sample() -> None:
    assert filtered_at_k([0.5, 0.1, 0.9], [0, 1, 1], [True, False, False], 1) == pytest.approx(1 / 3)
    assert filtered_at_k([0.5, 0.1, 0.9], [0, 1, 1], [True, False, False], 3) == pytest.approx(0.5)


def test_what_is_certain_is_exactly_so_and_gets_wilsons_interval() -> None:
    problems = [pool(*[(i % 7, i % 7 == 0, i / 23)] * 1, *[(1, False, 0.3)] * 22) for i in range(14)]
    found = summarise(problems).metrics
    for name in ("maj@23", "best@23:prm", "oracle_gap@23", "weighted@23:prm", "filtered@23:prm"):
        assert found[name].method == "wilson", name
