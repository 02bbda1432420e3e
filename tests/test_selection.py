from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from tts.selection import SCORERS, filtered, highest, majority, product, weighted
from tts.types import Candidate, Completion


def candidate(answer: str | None, logprob: float | None = -1.0, tokens: int = 10, certainty: float = 1.0) -> Candidate:
    total = None if logprob is None else logprob * tokens
    return Candidate(
        Completion("", "stop", generated_tokens=tokens, logprob_sum=total, self_certainty=certainty), answer
    )


def test_majority_takes_the_most_common_answer() -> None:
    pool = [candidate("1"), candidate("2", -0.1), candidate("1")]
    winner = majority(pool, [0, 1, 0])
    assert winner is not None
    assert winner.answer == "1"


def test_equal_answers_spelled_differently_are_one_vote() -> None:
    pool = [candidate("1/2"), candidate("3", -0.01), candidate("0.5")]
    winner = majority(pool, [0, 1, 0])
    assert winner is not None
    assert winner.answer in ("1/2", "0.5")


def test_a_tie_goes_to_the_likelier_answer_then_to_the_first() -> None:
    pool = [candidate("1", -2.0), candidate("2", -1.0)]
    assert majority(pool, [0, 1]) is pool[1]
    pool = [candidate("1", -1.0), candidate("2", -1.0)]
    assert majority(pool, [0, 1]) is pool[0]
    unknown = [candidate("1", None), candidate("2", None)]
    assert majority(unknown, [0, 1]) is unknown[0]


def test_no_answer_votes_for_nothing() -> None:
    pool = [candidate(None), candidate(None), candidate("7")]
    assert majority(pool, [-1, -1, 0]) is pool[2]
    assert majority(pool[:2], [-1, -1]) is None
    assert highest(pool[:2], SCORERS["logprob-mean"]) is None


def test_weights_decide_against_numbers() -> None:
    pool = [candidate("1"), candidate("1"), candidate("2")]
    assert weighted(pool, [0, 0, 1], [0.1, 0.2, 0.9]) is pool[2]


def test_selectors_differ_where_they_should() -> None:
    short = candidate("short", -0.9, tokens=2, certainty=1.0)
    long = candidate("long", -0.5, tokens=100, certainty=3.0)
    assert highest([short, long], SCORERS["logprob-mean"]) is long
    assert highest([short, long], SCORERS["perplexity"]) is long
    assert highest([short, long], SCORERS["logprob-sum"]) is short
    assert highest([short, long], SCORERS["self-certainty"]) is long


def test_nan_and_missing_scores_lose() -> None:
    pool = [candidate("nan", math.nan), candidate("none", None), candidate("low", -9.0)]
    assert highest(pool, SCORERS["logprob-mean"]) is pool[2]


@given(st.lists(st.tuples(st.integers(-1, 4), st.floats(-5, 0)), max_size=20))
def test_the_winner_has_a_largest_class(drawn: list[tuple[int, float]]) -> None:
    pool = [candidate(None if group < 0 else str(group), logprob) for group, logprob in drawn]
    classes = [group for group, _ in drawn]
    winner = majority(pool, classes)
    sizes = [classes.count(group) for group in set(classes) if group >= 0]
    if not sizes:
        assert winner is None
    else:
        assert winner is not None
        assert classes.count(int(str(winner.answer))) == max(sizes)


def test_filtered_votes_among_the_best_share() -> None:
    drawn = [candidate("a"), candidate("a"), candidate("a"), candidate("b"), candidate(None)]
    classes, scores = [0, 0, 0, 1, -1], [0.1, 0.2, 0.3, 0.9, 1.0]
    assert filtered(drawn, classes, scores, 1.0) in drawn[:3]
    assert filtered(drawn, classes, scores, 0.25) is drawn[3]
    assert filtered(drawn, classes, scores, 0.0) is drawn[3], "one at least"
    assert filtered(drawn[4:], [-1], [1.0], 0.5) is None


def test_product_weighs_a_score_with_the_votes() -> None:
    drawn = [candidate("a"), candidate("a"), candidate("b")]
    assert product(drawn, [0, 0, 1], [0.3, 0.5, 0.9]) is drawn[1]
    assert product(drawn, [0, 0, 1], [0.3, 0.4, 0.9]) is drawn[2]
    assert product(drawn[:1], [-1], [1.0]) is None
