"""When a vote has been decided: pure functions over the votes so far.

`votes` holds the size of each answer's group, in any order; candidates without an answer are in none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

Rule = Literal["never", "certain", "likely", "beta", "window"]


def stops_early(identity: Mapping[str, Any]) -> bool:
    """Whether the run of this identity had a rule other than never."""
    return bool(identity.get("options", {}).get("stop", "never") != "never")


def leaders(votes: Sequence[float]) -> tuple[float, float]:
    """The largest group and the next, 0 where there is none."""
    first, second, *_ = (*sorted(votes, reverse=True), 0, 0)
    return first, second


def certain(votes: Sequence[int], remaining: int) -> bool:
    """Whether the leader stays ahead, without a tie, wherever the `remaining` samples go."""
    first, second = leaders(votes)
    return first > second + remaining


def stays_ahead(first: int, second: int, remaining: int) -> float:
    """P(the leader is still strictly ahead after `remaining` more votes for either of the two).

    With a uniform prior on their split, what the leader gets of them is beta-binomial: as `certain`, but weighing
    the futures that it only counts.
    """
    prior = _log_beta(first + 1, second + 1) + math.log(remaining + 1)
    needed = max(0, (remaining + second - first) // 2 + 1)
    return math.fsum(
        math.exp(
            _log_beta(first + 1 + wins, second + 1 + remaining - wins)
            - _log_beta(wins + 1, remaining - wins + 1)  # less log(remaining + 1): the binomial coefficient
            - prior
        )
        for wins in range(needed, remaining + 1)
    )


def _log_beta(a: int, b: int) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def likely(votes: Sequence[int], drawn: int, remaining: int, threshold: float) -> bool:
    """Whether the vote of all `drawn` + `remaining` samples has this leader with a probability above `threshold`.

    As many of the remaining votes as of those so far (and one more of each) are taken to go to the two in front; that a
    third answer overtakes is left out.
    """
    first, second = (int(size) for size in leaders(votes))
    between = min(remaining, math.ceil(remaining * (first + second + 1) / (drawn + 1)))
    return first > 0 and stays_ahead(first, second, between) > threshold


def leads(first: int, second: int) -> float:
    """P(the leader is the likelier of the two answers): the mass above 1/2 of Beta(first + 1, second + 1), which is
    what a uniform prior on their split becomes (Aggarwal et al. 2023, arXiv:2305.11860, section 2.2).

    For whole numbers of votes that mass is a binomial tail (Abramowitz and Stegun 26.5.24): no more than `first` heads
    in first + second + 1 tosses of a fair coin.
    """
    tosses = first + second + 1
    return float(sum(math.comb(tosses, heads) for heads in range(first + 1)) / 2**tosses)


def decided(votes: Sequence[int], threshold: float) -> bool:
    """Whether the leader is the likelier answer with a probability above `threshold` (0.95 in the paper)."""
    first, second = leaders(votes)
    return first > 0 and leads(int(first), int(second)) > threshold


def unanimous(classes: Sequence[int], window: int) -> bool:
    """Whether the last full window of answers is of one class (Li et al. 2024, arXiv:2401.10480, section 3).

    Windows are disjoint and follow each other; `classes` is in the order in which samples finished, -1 for no answer,
    which agrees with nothing.
    """
    if not classes or len(classes) % window:
        return False
    last = classes[-window:]
    return last[0] >= 0 and len(set(last)) == 1


def stops(rule: Rule, classes: Sequence[int], n: int, threshold: float, window: int) -> bool:
    """Whether `rule` ends sampling after these of n samples."""
    sizes: dict[int, int] = {}
    for group in classes:
        if group >= 0:
            sizes[group] = sizes.get(group, 0) + 1
    votes = list(sizes.values())
    match rule:
        case "certain":
            return certain(votes, n - len(classes))
        case "likely":
            return likely(votes, len(classes), n - len(classes), threshold)
        case "beta":
            return decided(votes, threshold)
        case "window":
            return unanimous(classes, window)
        case "never":
            return False
