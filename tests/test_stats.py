from __future__ import annotations

import random
from itertools import product
from statistics import fmean, stdev

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tts.stats import bootstrap, estimate, standard_error, wilson


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


def test_zeros_and_ones_get_wilson_and_fractions_an_effective_number() -> None:
    assert estimate([0.0, 1.0, 1.0]).method == "wilson"
    assert estimate([0.25, 1.0, 1.0]).method == "wilson-effective"
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


VALUES = st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=2, max_size=12)


@settings(deadline=None)
@given(VALUES)
def test_the_standard_error_is_that_of_the_textbook(values: list[float]) -> None:
    assert standard_error(values)[0] == pytest.approx(stdev(values) / len(values) ** 0.5)


@settings(deadline=None)
@given(VALUES, st.data())
def test_a_clustered_error_is_that_of_summed_residuals(values: list[float], data: st.DataObject) -> None:
    names = data.draw(st.lists(st.sampled_from("abc"), min_size=len(values), max_size=len(values)))
    units = sorted(set(names))
    found, freedom = standard_error(values, names)
    if len(units) == 1:
        assert found is None
        return
    mean = fmean(values)
    sums = [sum(v - mean for v, name in zip(values, names, strict=True) if name == unit) for unit in units]
    expected = (len(units) / (len(units) - 1) * sum(s * s for s in sums)) ** 0.5 / len(values)
    assert found == pytest.approx(expected)
    assert freedom == len(units) - 1


def test_copies_of_a_question_do_not_narrow_a_clustered_interval() -> None:
    values = [0.0, 0.5, 1.0, 0.25, 0.75, 0.5]
    alone = estimate(values)
    copied = estimate(values * 4, [i for _ in range(4) for i in range(6)])
    assert copied.method == "wilson-clustered"
    assert copied.stderr == pytest.approx(alone.stderr)
    assert copied.ci == pytest.approx(alone.ci)


def test_clusters_of_one_are_no_clusters() -> None:
    assert estimate([0.0, 1.0, 1.0], ["a", "b", "c"]).method == "wilson"


@settings(deadline=None)
@given(VALUES)
def test_an_interval_holds_its_value_and_stays_in_bounds(values: list[float]) -> None:
    found = estimate(values)
    assert found.ci is not None
    assert 0.0 <= found.ci[0] <= found.value + 1e-12
    assert found.value - 1e-12 <= found.ci[1] <= 1.0


def test_the_bootstrap_agrees_with_the_normal_interval_on_many_questions() -> None:
    rng = random.Random(0)
    values = [rng.random() for _ in range(400)]
    error = standard_error(values)[0]
    assert error is not None
    low, high = bootstrap(values)
    assert low == pytest.approx(fmean(values) - 1.96 * error, abs=0.1 * error)
    assert high == pytest.approx(fmean(values) + 1.96 * error, abs=0.1 * error)


def test_the_bootstrap_of_three_questions_is_that_of_all_27_resamples() -> None:
    values = [0.0, 0.0, 1.0]
    means = sorted(fmean(drawn) for drawn in product(values, repeat=3))
    assert bootstrap(values) == (means[0], means[-1])
    assert bootstrap(values * 5, ["a", "b", "c"] * 5) == (means[0], means[-1])


def test_intervals_keep_their_coverage() -> None:
    # A small part of tests/perf/coverage.py, with room for the noise of 600 repetitions.
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(600):
        values = rng.binomial(8, rng.beta(0.5, 1.5, 60)) / 8
        interval = estimate(values.tolist()).ci
        assert interval is not None
        hits += interval[0] <= 0.25 <= interval[1]
    assert 0.92 <= hits / 600 <= 0.975
