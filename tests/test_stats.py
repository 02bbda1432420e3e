from __future__ import annotations

import random

import pytest

from tts.stats import estimate, wilson


def test_wilson_of_the_textbook() -> None:
    # Newcombe 1998, table I: 15 of 148 → 0.0624 to 0.1605
    low, high = wilson(15, 148)
    assert (round(low, 4), round(high, 4)) == (0.0624, 0.1605)


@pytest.mark.parametrize("successes", [0, 5])
def test_wilson_stays_within_bounds(successes: int) -> None:
    low, high = wilson(successes, 5)
    assert 0.0 <= low < high <= 1.0


def test_no_trials_is_an_error() -> None:
    with pytest.raises(ValueError, match="trial"):
        wilson(0, 0)
    with pytest.raises(ValueError, match="question"):
        estimate([])


def test_zeros_and_ones_get_wilson_and_fractions_the_normal_interval() -> None:
    assert estimate([0.0, 1.0, 1.0]).method == "wilson"
    assert estimate([0.25, 1.0, 1.0]).method == "normal"
    assert estimate([0.25]).ci is None


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_coverage_is_about_95_percent(share: float) -> None:
    rng = random.Random(1)
    trials, hits = 2000, 0
    for _ in range(trials):
        interval = estimate([float(rng.random() < share) for _ in range(60)]).ci
        assert interval is not None
        hits += interval[0] <= share <= interval[1]
    assert 0.925 <= hits / trials <= 0.985
