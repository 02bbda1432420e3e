from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize, minimize_scalar

from tts.report.regression import conditional_logit, logistic, within

GROUPS = st.lists(
    st.lists(st.tuples(st.integers(-4, 4), st.booleans()), min_size=2, max_size=6), min_size=1, max_size=5
)


@settings(max_examples=40, deadline=None)
@given(GROUPS)
def test_conditional_logit_maximises_the_enumerated_likelihood(groups: list[list[tuple[int, bool]]]) -> None:
    def loss(beta: float) -> float:
        total = 0.0
        for group in groups:
            xs, right = [x / 4 for x, _ in group], sum(ok for _, ok in group)
            chosen = beta * sum(x for x, (_, ok) in zip(xs, group, strict=True) if ok)
            total -= chosen - np.logaddexp.reduce([beta * sum(s) for s in combinations(xs, right)])
        return float(total)

    x = np.array([v / 4 for g in groups for v, _ in g])
    y = np.array([float(ok) for g in groups for _, ok in g])
    names = [i for i, g in enumerate(groups) for _ in g]
    found = conditional_logit(x, y, names, names)
    best = minimize_scalar(loss, bounds=(-20, 20), method="bounded", options={"xatol": 1e-8})
    assume(abs(best.x) < 15)
    if found is None:
        # Nothing to learn from: no group with both outcomes and varying x.
        assert loss(1.0) == pytest.approx(loss(-1.0))
        return
    assert loss(found.value) <= best.fun + 1e-7


def test_conditional_logit_is_not_confused_by_hard_long_questions() -> None:
    rng = np.random.default_rng(0)
    level = rng.normal(size=400)
    x = (2 + level[:, None] + rng.normal(0, 0.5, (400, 8))).ravel()
    chance = 1 / (1 + np.exp(-(-0.8 * (x - 2) - np.repeat(1.5 * level, 8))))
    y = (rng.random(3200) < chance).astype(float)
    names = np.repeat(np.arange(400), 8).tolist()
    slope = conditional_logit(x, y, names, names)
    assert slope is not None
    assert slope.ci[0] <= -0.8 <= slope.ci[1]
    pooled = logistic(x[:, None], y, names)
    assert pooled is not None
    assert pooled[0].ci[1] < -0.8


def test_conditional_logit_of_one_outcome_is_undetermined() -> None:
    assert conditional_logit(np.array([1.0, 2.0]), np.array([1.0, 1.0]), ["a", "a"], ["a", "a"]) is None


def test_conditional_logit_of_separated_outcomes_is_undetermined() -> None:
    x, y = np.array([1.0, 2.0, 1.0, 2.0]), np.array([0.0, 1.0, 0.0, 1.0])
    assert conditional_logit(x, y, [0, 0, 1, 1], [0, 0, 1, 1]) is None


def test_logistic_maximises_the_likelihood_and_its_effect_is_the_derivative() -> None:
    rng = np.random.default_rng(1)
    x = np.column_stack([rng.normal(size=300), rng.random(300) < 0.4])
    y = (rng.random(300) < 1 / (1 + np.exp(-(0.5 - 0.9 * x[:, 0] + x[:, 1])))).astype(float)
    full = np.column_stack([x, np.ones(300)])
    best = minimize(lambda b: float(np.logaddexp(0, full @ b).sum() - y @ full @ b), np.zeros(3), tol=1e-10).x
    found = logistic(x, y, list(range(300)))
    assert found is not None
    assert found[0].value == pytest.approx(best[0], abs=1e-4)

    def mean(shift: float) -> float:
        moved = full @ best + shift * best[0]
        return float((1 / (1 + np.exp(-moved))).mean())

    assert found[1].value == pytest.approx((mean(1e-4) - mean(-1e-4)) / 2e-4, abs=1e-4)


def test_the_effect_s_error_is_that_of_the_bootstrap() -> None:
    rng = np.random.default_rng(2)
    owners = np.repeat(np.arange(80), 5)
    x = rng.normal(size=(400, 1)) + np.repeat(rng.normal(size=80), 5)[:, None]
    y = (rng.random(400) < 1 / (1 + np.exp(-0.7 * x[:, 0] - np.repeat(rng.normal(size=80), 5)))).astype(float)
    found = logistic(x, y, owners.tolist())
    assert found is not None
    drawn = []
    for _ in range(300):
        rows = np.concatenate([np.arange(5 * g, 5 * g + 5) for g in rng.integers(0, 80, 80)])
        again = logistic(x[rows], y[rows], list(range(400)))
        assert again is not None
        drawn.append(again[1].value)
    assert found[1].stderr == pytest.approx(float(np.std(drawn)), rel=0.25)


@pytest.mark.parametrize("y", [[1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0]])
def test_logistic_without_both_outcomes_or_with_separation_is_undetermined(y: list[float]) -> None:
    assert logistic(np.array([[1.0], [2.0], [3.0], [4.0]]), np.array(y), [0, 1, 2, 3]) is None


def test_within_is_least_squares_with_an_intercept_for_each_group() -> None:
    rng = np.random.default_rng(3)
    names = np.repeat(np.arange(10), 6)
    x, y = rng.normal(size=60) + names, rng.random(60)
    dummies = np.column_stack([x, np.eye(10)[names]])
    expected = np.linalg.lstsq(dummies, y, rcond=None)[0][0]
    found = within(x, y, names.tolist(), names.tolist())
    assert found is not None
    assert found.value == pytest.approx(expected)


def test_within_needs_variation_in_a_group() -> None:
    assert within(np.array([1.0, 1.0, 2.0]), np.array([0.0, 1.0, 1.0]), [0, 0, 1], [0, 0, 1]) is None
