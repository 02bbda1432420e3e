"""Stored samples drawn once more, against what a run would have done with them."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import get_args

import pytest

from tts.replayed import ORDERS, highest_after, leads_after, orders, stops_after
from tts.stopping import Confident, stops

THRESHOLDS = (0.9, 0.75, 0.95)


def _samples(seed: int, n: int = 24) -> tuple[list[int], list[float]]:
    """Answers of three classes and none, and what a verifier makes of them."""
    rng = random.Random(seed)
    classes = rng.choices([-1, 0, 1, 2], [1, 5, 3, 1], k=n)
    return classes, [rng.random() for _ in classes]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("rule", get_args(Confident))
def test_a_rule_stops_where_a_run_would_have(rule: Confident, weighted: bool) -> None:
    for seed in range(40):
        classes, scores = _samples(seed)
        weights = [(1 + seed % 3) * s for s in scores] if weighted else [1.0] * len(classes)
        found = stops_after(rule, classes, weights, THRESHOLDS)
        for threshold, drawn in zip(THRESHOLDS, found, strict=True):
            fired = [
                k
                for k in range(1, len(classes) + 1)
                if stops(rule, classes[:k], len(classes), threshold, 5, weights[:k])
            ]
            assert drawn == (fired[0] if fired else len(classes))


def _largest(value: Callable[[int, int], float], classes: list[int], k: int) -> int:
    """The first class to have the largest value after k samples."""
    seen = list(dict.fromkeys(c for c in classes[:k] if c >= 0))
    return max(seen, key=lambda c: value(c, k), default=-1)


def test_leaders_are_those_of_every_beginning() -> None:
    for seed in range(40):
        classes, scores = _samples(seed)

        def weight(group: int, k: int, classes: list[int] = classes, scores: list[float] = scores) -> float:
            return sum(s for c, s in zip(classes[:k], scores[:k], strict=True) if c == group)

        def top(group: int, k: int, classes: list[int] = classes, scores: list[float] = scores) -> float:
            return max(s for c, s in zip(classes[:k], scores[:k], strict=True) if c == group)

        steps = range(1, len(classes) + 1)
        assert leads_after(classes, scores) == [_largest(weight, classes, k) for k in steps]
        assert highest_after(classes, scores) == [_largest(top, classes, k) for k in steps]


def test_of_equals_the_first_to_come_leads() -> None:
    assert leads_after([0, 1, 1, 0], [1.0] * 4) == [0, 0, 1, 0]
    assert highest_after([0, 1, 1, 2], [0.5, 0.5, 0.75, 0.75]) == [0, 0, 1, 1]


def test_nothing_leads_where_nothing_was_answered() -> None:
    assert leads_after([-1, -1, 3], [1.0, 1.0, 0.0]) == [-1, -1, 3]
    assert highest_after([-1, 3], [0.9, 0.0]) == [-1, 3]
    assert stops_after("beta", [-1, -1], [1.0, 1.0], (0.8,)) == [2]


def test_orders_are_the_same_for_the_same_problem() -> None:
    found = list(orders("p", 10))
    assert found == list(orders("p", 10))
    assert found != list(orders("q", 10))
    assert len(found) == ORDERS
    assert found[0] == list(range(10))
    assert all(sorted(order) == list(range(10)) for order in found)
