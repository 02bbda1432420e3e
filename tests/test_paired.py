from __future__ import annotations

from itertools import product
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tts.paired import bonett_price, difference, holm, mcnemar
from tts.stats import standard_error


@settings(deadline=None)
@given(st.integers(0, 10), st.integers(0, 10))
def test_mcnemar_is_the_sum_over_coins(wins: int, losses: int) -> None:
    n = wins + losses
    ways = [comb(n, i) / 2**n for i in range(n + 1)]
    expected = sum(p for p in ways if p <= ways[wins] * (1 + 1e-7))
    assert mcnemar(wins, losses) == pytest.approx(min(1.0, expected))


def test_mcnemar_without_disagreement_tells_nothing() -> None:
    assert mcnemar(0, 0) == 1.0


def test_bonett_price_of_a_hand_computed_case() -> None:
    # 10 questions, 4 won and 1 lost: (5-2)/12 ± 1.96 √((7/12 - (3/12)²)/12)
    error, interval = bonett_price(4, 1, 10)
    assert error == pytest.approx(((7 / 12 - 9 / 144) / 12) ** 0.5)
    assert interval == pytest.approx((0.25 - 1.959964 * error, 0.25 + 1.959964 * error))


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_is_stepwise_bonferroni(ps: list[float]) -> None:
    found = holm(ps)
    order = sorted(range(len(ps)), key=lambda i: ps[i])
    for rank, i in enumerate(order):
        assert found[i] == pytest.approx(min(1.0, max((len(ps) - j) * ps[order[j]] for j in range(rank + 1))))
        assert found[i] >= ps[i]


def test_one_run_against_itself() -> None:
    found = difference([0.0, 1.0, 1.0], [0.0, 1.0, 1.0])
    assert (found.value, found.p, found.wins, found.losses) == (0.0, 1.0, 0, 0)
    assert found.ci is not None
    assert found.ci[0] < 0 < found.ci[1]


def test_binary_answers_get_mcnemar_and_means_get_t() -> None:
    assert difference([0.0, 1.0], [1.0, 1.0]).test == "mcnemar"
    assert difference([0.0, 0.5], [1.0, 1.0]).test == "t"
    clustered = difference([0.0, 1.0, 0.0, 1.0], [1.0, 1.0, 1.0, 1.0], ["a", "a", "b", "b"])
    assert clustered.test == "t-clustered"
    assert clustered.mcnemar == pytest.approx(0.5)


def test_t_interval_of_a_hand_computed_case() -> None:
    # Gaps 0.5, 0.25, 0, 0.25: mean 0.25, s = 0.2041, se = 0.10206, t(3) = 3.18245
    found = difference([0.0, 0.0, 0.0, 0.0], [0.5, 0.25, 0.0, 0.25])
    assert found.ci == pytest.approx((0.25 - 3.18245 * 0.102062, 0.25 + 3.18245 * 0.102062), abs=1e-4)
    assert found.detectable == pytest.approx((3.18245 + 0.841621) * 0.102062, abs=1e-4)
    # scipy.stats.ttest_1samp([0.5, 0.25, 0, 0.25], 0)
    from scipy.stats import ttest_1samp

    assert found.p == pytest.approx(float(ttest_1samp([0.5, 0.25, 0.0, 0.25], 0.0).pvalue))


def test_a_single_question_has_no_interval() -> None:
    found = difference([0.25], [0.5])
    assert (found.value, found.ci, found.p, found.detectable) == (0.25, None, None, None)


def test_the_bootstrap_of_three_pairs_is_that_of_all_27_resamples() -> None:
    a, b = [0.0, 0.5, 0.25], [0.5, 0.5, 0.0]
    gaps = [y - x for x, y in zip(a, b, strict=True)]
    means = sorted(sum(drawn) / 3 for drawn in product(gaps, repeat=3))
    assert difference(a, b).bootstrap == pytest.approx((means[0], means[-1]))


def test_unequal_lengths_are_an_error() -> None:
    with pytest.raises(ValueError, match="same questions"):
        difference([0.0], [0.0, 1.0])


def test_the_detectable_difference_is_found_four_times_in_five() -> None:
    rng = np.random.default_rng(0)
    hardness = rng.beta(0.7, 0.7, 4000)
    sample = rng.binomial(8, hardness) / 8
    error = standard_error((rng.binomial(8, hardness) / 8 - sample).tolist())[0]
    assert error is not None
    detectable, found = (1.96 + 0.84) * error * (4000 / 200) ** 0.5, 0
    for _ in range(300):
        p = rng.choice(hardness, 200)
        a, b = rng.binomial(8, p) / 8, rng.binomial(8, p) / 8 + detectable
        p_value = difference(a.tolist(), b.tolist()).p
        assert p_value is not None
        found += p_value < 0.05
    assert 0.72 <= found / 300 <= 0.88


def test_paired_intervals_keep_their_coverage() -> None:
    rng = np.random.default_rng(1)
    for k in (1, 8):
        hits = 0
        for _ in range(250):
            p = rng.beta(0.5, 0.8, 60)
            a, b = rng.binomial(k, p) / k, rng.binomial(k, 0.8 * p) / k
            interval = difference(a.tolist(), b.tolist()).ci
            assert interval is not None
            hits += interval[0] <= -0.2 * 0.5 / 1.3 <= interval[1]
        assert 0.91 <= hits / 250 <= 0.985
