"""Every estimator against brute force over all subsets, and problems in one array against one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from statistics import fmean
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tts import estimators

ANSWERS = st.integers(-1, 3)
SCORES = st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.6, 1.0, float("nan")])
POOL = st.lists(st.tuples(ANSWERS, SCORES), min_size=1, max_size=9)
RIGHT = 0


def arrays(pools: Sequence[Sequence[tuple[int, float]]]) -> tuple[Any, Any, Any]:
    """scores, classes and correct, (problems, n)."""
    classes = np.array([[c for c, _ in pool] for pool in pools])
    scores = np.array([[s for _, s in pool] for pool in pools])
    return scores, classes, classes == RIGHT


def mean_over_subsets(n: int, k: int, won: Callable[[tuple[int, ...]], float]) -> float:
    return fmean(won(subset) for subset in combinations(range(n), k))


def vote(pool: Sequence[tuple[int, float]], voters: Sequence[int], weights: Sequence[float]) -> float:
    """The right class's share of the lead; sums are compared to nine digits."""
    totals: dict[int, float] = {}
    for i in voters:
        if pool[i][0] >= 0:
            totals[pool[i][0]] = totals.get(pool[i][0], 0.0) + weights[i]
    leaders = [c for c, total in totals.items() if round(total, 9) == round(max(totals.values()), 9)]
    return (RIGHT in leaders) / len(leaders) if leaders else 0.0


def from_best(pool: Sequence[tuple[int, float]], subset: Sequence[int]) -> list[int]:
    known = lambda s: -1.0 if np.isnan(s) else s  # noqa: E731
    return sorted(subset, key=lambda i: (pool[i][0] < 0, -known(pool[i][1]), i))


@given(st.integers(1, 9), st.data())
def test_pass_and_pass_hat(n: int, data: Any) -> None:
    right = data.draw(st.integers(0, n))
    outcomes = [i < right for i in range(n)]
    some, every = (f(np.array([right]), n)[0] for f in (estimators.pass_curves, estimators.all_curves))
    for k in range(1, n + 1):
        assert some[k - 1] == pytest.approx(mean_over_subsets(n, k, lambda s: any(outcomes[i] for i in s)))
        assert every[k - 1] == pytest.approx(mean_over_subsets(n, k, lambda s: all(outcomes[i] for i in s)))


def test_pass_with_a_thousand_samples_neither_overflows_nor_cancels() -> None:
    # One right of n: 1 - C(n-1, k) / C(n, k) = k / n.
    assert estimators.pass_curves(np.array([1]), 2000)[0] == pytest.approx(np.arange(1, 2001) / 2000)


@settings(max_examples=100, deadline=None)
@given(POOL)
def test_one_problem_by_brute_force(pool: list[tuple[int, float]]) -> None:
    n = len(pool)
    scores, classes, correct = arrays([pool])
    weights = [0.0 if np.isnan(s) else s for _, s in pool]
    ones = [1.0] * n
    majority = estimators.majority_curves(classes, correct)[0]
    best = estimators.best_curves(scores, correct, classes >= 0)[0]
    weighted = estimators.weighted_curves(np.nan_to_num(scores), classes, correct)[0]
    filtered = estimators.filtered_at(scores, classes, correct, range(1, n + 1))[0]
    for k in range(1, n + 1):
        assert majority[k - 1] == pytest.approx(mean_over_subsets(n, k, lambda s: vote(pool, s, ones)))
        assert best[k - 1] == pytest.approx(mean_over_subsets(n, k, lambda s: pool[from_best(pool, s)[0]][0] == RIGHT))
        assert weighted[k - 1] == pytest.approx(mean_over_subsets(n, k, lambda s: vote(pool, s, weights)))
        kept = mean_over_subsets(n, k, lambda s: vote(pool, from_best(pool, s)[: (len(s) + 1) // 2], ones))
        assert filtered[k - 1] == pytest.approx(kept)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 8), st.data())
def test_problems_in_one_array_are_those_one_by_one(n: int, data: Any) -> None:
    pools = data.draw(st.lists(st.lists(st.tuples(ANSWERS, SCORES), min_size=n, max_size=n), min_size=1, max_size=5))
    scores, classes, correct = arrays(pools)
    several = estimators.majority_curves(classes, correct), estimators.best_curves(scores, correct, classes >= 0)
    for i in range(len(pools)):
        alone = slice(i, i + 1)
        assert several[0][i] == pytest.approx(estimators.majority_curves(classes[alone], correct[alone])[0])
        assert several[1][i] == pytest.approx(
            estimators.best_curves(scores[alone], correct[alone], classes[alone] >= 0)[0]
        )


def large(problems: int = 200, n: int = 60) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(1)
    correct = rng.random((problems, n)) < rng.random((problems, 1))
    classes = np.where(correct, 0, rng.integers(1, 12, (problems, n)))
    classes[rng.random((problems, n)) < 0.1] = -1
    return rng.random((problems, n)), classes, correct & (classes >= 0)


def test_drawn_subsets_come_near_the_exact_majority() -> None:
    scores, classes, correct = large()
    exact = estimators.majority_curves(classes, correct)
    drawn = estimators.weighted_curves(np.ones(scores.shape), classes, correct)
    assert drawn[:, 0] == pytest.approx(exact[:, 0])
    assert drawn[:, -1] == pytest.approx(exact[:, -1])
    assert abs(drawn - exact).max() < 0.2
    assert abs(drawn.mean(axis=0) - exact.mean(axis=0)).max() < 0.006


def test_drawn_weighted_votes_are_those_of_their_subsets() -> None:
    scores, classes, correct = large(20)
    scores[:, ::7] = 0.0
    labels, count = estimators.numbered(classes, correct)
    curves = estimators.weighted_curves(scores, classes, correct)
    for k in (2, 5, 17, 40, 60):  # the same orders, each subset summed afresh
        assert curves[:, k - 1] == pytest.approx(estimators._voted(scores, labels, count, [k], None)[:, 0])


def test_the_same_pool_gives_the_same_numbers() -> None:
    scores, classes, correct = large(10)
    first, second = (estimators.weighted_curves(scores, classes, correct) for _ in range(2))
    assert (first == second).all()


def test_classes_are_renumbered_within_a_problem() -> None:
    classes = np.array([[7, 3, 7, -1, 900], [5, 5, -1, -1, 2]])
    correct = np.array([[False, True, False, False, False], [False, False, False, False, False]])
    labels, count = estimators.numbered(classes, correct)
    assert count == 3
    assert [sorted(set(row)) for row in labels.tolist()] == [[-1, 0, 1, 2], [-1, 1, 2]]
    assert labels[0, 0] == labels[0, 2] != labels[0, 4]
    assert labels[1, 0] == labels[1, 1] != labels[1, 4]


def test_majority_where_every_answer_differs() -> None:
    # The right one leads a subset only if it is in it, and then ties with all k: k/n · 1/k.
    classes = np.arange(40)[None]
    assert estimators.majority_curves(classes, classes == 0)[0] == pytest.approx(np.full(40, 1 / 40))


def test_more_candidates_than_subsets_can_be_listed_for() -> None:
    """From 2,049 on not even single candidates are listed: the votes are those of random orders."""
    n = 2049
    correct = np.zeros((1, n), bool)
    correct[0, : n // 2] = True
    classes = np.where(correct, 0, 1)
    curve = estimators.weighted_curves(np.ones((1, n)), classes, correct)
    assert curve.shape == (1, n)
    assert np.isfinite(curve).all()
    assert 0.3 < curve[0, 0] < 0.7
