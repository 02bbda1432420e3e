"""Stop rules against closed forms and brute force."""

from __future__ import annotations

import random
from collections import Counter
from itertools import product

import pytest

from tts.stopping import certain, confidence, leads, stays_ahead, stops, unanimous


def brute_leads(first: float, second: float, steps: int = 20_000) -> float:
    """The Beta mass above one half, by the midpoint rule."""
    points = [(i + 0.5) / steps for i in range(steps)]
    density = [p**first * (1 - p) ** second for p in points]
    return sum(d for p, d in zip(points, density, strict=True) if p > 0.5) / sum(density)


@pytest.mark.parametrize(("first", "second"), [(0, 0), (1, 0), (3, 0), (4, 0), (5, 2), (9, 8), (20, 3)])
def test_the_beta_posterior_is_its_integral(first: int, second: int) -> None:
    assert leads(first, second) == pytest.approx(brute_leads(first, second), abs=1e-6)


def test_unopposed_votes_have_a_closed_form() -> None:
    for votes in range(12):
        assert leads(votes, 0) == pytest.approx(1 - 0.5 ** (votes + 1))


def test_the_paper_s_threshold_needs_four_unopposed_votes() -> None:
    assert [stops("beta", [0] * k, 32, 0.95, 5) for k in (0, 1, 2, 3, 4)] == [False, False, False, False, True]
    assert not stops("beta", [0, 0, 1, 0, 0], 32, 0.95, 5)
    assert stops("beta", [0, 0, 0, 1, 0, 0, 0, 0], 32, 0.95, 5)


def test_a_probability_that_is_the_threshold_is_not_above_it() -> None:
    """One vote to none is three quarters, two are seven eighths, exactly."""
    for votes, threshold in ((1, 0.75), (2, 0.875), (3, 0.9375)):
        assert not stops("beta", [0] * votes, 32, threshold, 5)
        assert stops("beta", [0] * votes, 32, threshold - 1e-9, 5)


@pytest.mark.parametrize("votes", [(2, 1), (3, 0), (3, 1), (4, 2), (1, 1), (5, 2)])
@pytest.mark.parametrize("remaining", range(5))
def test_certain_is_what_every_continuation_says(votes: tuple[int, ...], remaining: int) -> None:
    """Each remaining sample goes to the leader, the runner-up, a new answer or none."""
    kept = True
    for ways in product(range(4), repeat=remaining):
        tally = [votes[0], votes[1], 0, 0]
        for way in ways:
            tally[way] += 1
        kept &= tally[0] > max(tally[1], tally[2])
    assert certain(votes, remaining) == kept


def urn(first: float, second: float, remaining: int) -> float:
    """P(first strictly ahead at the end), draw by draw: the next vote goes as those before did (Laplace's rule)."""
    if remaining == 0:
        return float(first > second)
    chance = (first + 1) / (first + second + 2)
    ahead, behind = urn(first + 1, second, remaining - 1), urn(first, second + 1, remaining - 1)
    return chance * ahead + (1 - chance) * behind


@pytest.mark.parametrize(("first", "second"), [(1, 0), (1, 1), (3, 0), (4, 2), (6, 5)])
@pytest.mark.parametrize("remaining", range(8))
def test_staying_ahead_is_an_urn_drawn_to_its_end(first: int, second: int, remaining: int) -> None:
    assert stays_ahead(first, second, remaining) == pytest.approx(urn(first, second, remaining))


def test_staying_ahead_of_thousands() -> None:
    """With many to come, what the pair's split is says it all: the Beta mass above one half."""
    assert stays_ahead(7, 3, 5000) == pytest.approx(leads(7, 3), abs=1e-3)


def test_likely_stops_before_certain_and_waits_for_no_vote_that_is_left_out() -> None:
    for votes, remaining in product([(3, 1), (5, 4), (7, 2), (9, 0)], range(12)):
        drawn = sum(votes)
        assert confidence("likely", votes, drawn, remaining) > 0.95 or not certain(votes, remaining)
    assert confidence("likely", [], 3, 5) == 0.0
    assert confidence("likely", [2, *[1] * 14], 16, 2) < 0.99
    assert confidence("likely", [1], 8, 2) < 0.99
    assert confidence("likely", [5, 2], 7, 6) > 0.8
    assert confidence("likely", [5, 2], 7, 60) < 0.99


def test_likely_keeps_its_promise() -> None:
    """Answers drawn with odds that are drawn themselves: the vote changes after a stop no more often than allowed."""
    random.seed(1)
    stopped = changed = saved = 0
    for _ in range(2000):
        odds = [random.random() ** 2 for _ in range(4)]
        answers = random.choices(range(4), odds, k=32)
        for drawn in range(1, 32):
            votes = Counter(answers[:drawn])
            if confidence("likely", list(votes.values()), drawn, 32 - drawn) > 0.95:
                whole = Counter(answers)
                stopped, saved = stopped + 1, saved + 32 - drawn
                changed += whole[votes.most_common(1)[0][0]] < max(whole.values())
                break
    assert stopped > 1500
    assert changed / stopped < 0.05
    assert saved / stopped > 12


def test_a_window_is_full_disjoint_and_of_one_answer() -> None:
    assert unanimous([2, 2, 2], 3)
    assert not unanimous([1, 2, 2, 2], 3)
    assert unanimous([0, 1, 2, 2, 2, 2], 3)
    assert not unanimous([-1, -1, -1], 3)
    assert not unanimous([], 3)


def test_votes_may_weigh_less_than_one() -> None:
    """Two sure votes against one do what the verifier's doubt in the third makes of them."""
    assert leads(1.5, 0.25) == pytest.approx(brute_leads(1.5, 0.25), abs=1e-6)
    assert not stops("beta", [0, 0, 1], 32, 0.8, 5)
    assert stops("beta", [0, 0, 1], 32, 0.8, 5, [1.0, 1.0, 0.01])
    assert not stops("beta", [0, 0, 0, 0], 32, 0.8, 5, [0.1] * 4)
    assert stops("certain", [0, 0, 1], 4, 0.8, 5, [1.0, 1.0, 0.5])
    assert not stops("certain", [0, 0, 1], 4, 0.8, 5, [1.0, 0.4, 0.5])
    assert not stops("beta", [0, 0], 32, 0.5, 5, [0.0, 0.0])


def test_no_vote_weighs_more_than_one() -> None:
    """Confidences of 12 and 15 are nearly whole votes, not a dozen each."""
    assert not stops("beta", [0, 0], 32, 0.95, 5, [12.0, 15.0])
    assert stops("beta", [0] * 5, 32, 0.95, 5, [12.0, 15.0, 14.0, 15.0, 13.0])
    assert not stops("certain", [0, 0, 1], 4, 0.95, 5, [3.0, 3.0, 3.0])


@pytest.mark.parametrize(("first", "second", "remaining"), [(1.5, 0.25, 3), (0.75, 0.5, 6), (2.0, 1.25, 1)])
def test_a_fractional_lead_is_kept_by_the_same_urn(first: float, second: float, remaining: int) -> None:
    assert stays_ahead(first, second, remaining) == pytest.approx(urn(first, second, remaining))


def test_rules_read_classes() -> None:
    assert not stops("never", [0] * 8, 8, 0.95, 3)
    assert stops("certain", [0, 0, 0, -1], 5, 0.95, 3)
    assert not stops("certain", [0, 0, 1], 5, 0.95, 3)
    assert stops("likely", [0, 0, 0, 0, -1], 8, 0.95, 3)
    assert not stops("likely", [0, 0, 0, 1, -1], 32, 0.95, 3)
    assert stops("beta", [0, -1, 0, 0, 0], 32, 0.95, 3)
    assert stops("window", [1, 0, 0, 0, 0, 0], 32, 0.95, 3)
