"""Stop rules against closed forms and brute force."""

from __future__ import annotations

from itertools import product

import pytest

from tts.stopping import certain, decided, leads, stops, unanimous


def brute_leads(first: int, second: int, steps: int = 20_000) -> float:
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
    assert [decided([k], 0.95) for k in (0, 1, 2, 3, 4)] == [False, False, False, False, True]
    assert not decided([4, 1], 0.95)
    assert decided([7, 1], 0.95)


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


def test_a_window_is_full_disjoint_and_of_one_answer() -> None:
    assert unanimous([2, 2, 2], 3)
    assert not unanimous([1, 2, 2, 2], 3)
    assert unanimous([0, 1, 2, 2, 2, 2], 3)
    assert not unanimous([-1, -1, -1], 3)
    assert not unanimous([], 3)


def test_rules_read_classes() -> None:
    assert not stops("never", [0] * 8, 8, 0.95, 3)
    assert stops("certain", [0, 0, 0, -1], 5, 0.95, 3)
    assert not stops("certain", [0, 0, 1], 5, 0.95, 3)
    assert stops("beta", [0, -1, 0, 0, 0], 32, 0.95, 3)
    assert stops("window", [1, 0, 0, 0, 0, 0], 32, 0.95, 3)
