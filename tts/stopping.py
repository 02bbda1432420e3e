"""When a vote has been decided: pure functions over the votes so far.

`votes` holds the size of each answer's group, in any order; candidates without an answer are in none. A vote may weigh
less than one, as a verifier has it: the rules then count weights, and take each sample that remains for a whole vote.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import repeat
from typing import Any, Literal

Confident = Literal["likely", "beta"]
"""Rules with a threshold."""
Rule = Literal["never", "certain", "likely", "beta", "window"]
ROUNDING = 1e-12
"""What a probability may be off by: two votes to none are three quarters exactly, and no more than that."""


def stops_early(options: Mapping[str, Any]) -> bool:
    """Whether a strategy of these options, or one inside it, has a rule other than never."""
    inside = (value for value in options.values() if isinstance(value, Mapping))
    return options.get("stop", "never") != "never" or any(map(stops_early, inside))


def leaders(votes: Sequence[float]) -> tuple[float, float]:
    """The largest group and the next, 0 where there is none."""
    first, second, *_ = (*sorted(votes, reverse=True), 0, 0)
    return first, second


def certain(votes: Sequence[float], remaining: int) -> bool:
    """Whether the leader stays ahead, without a tie, wherever the `remaining` samples go."""
    first, second = leaders(votes)
    return first > second + remaining


def stays_ahead(first: float, second: float, remaining: int) -> float:
    """P(the leader is still strictly ahead after `remaining` more votes for either of the two).

    With a uniform prior on their split, what the leader gets of them is beta-binomial: as `certain`, but weighing
    the futures that it only counts.
    """
    import numpy as np
    from scipy.special import betaln

    wins = np.arange(max(0, math.floor((remaining + second - first) / 2) + 1), remaining + 1)
    ways = -betaln(wins + 1, remaining - wins + 1) - math.log(remaining + 1)
    logs = ways + betaln(first + 1 + wins, second + 1 + remaining - wins) - betaln(first + 1, second + 1)
    return float(np.exp(logs).sum())


def leads(first: float, second: float) -> float:
    """P(the leader is the likelier of the two answers): the mass above 1/2 of Beta(first + 1, second + 1), which is
    what a uniform prior on their split becomes (Aggarwal et al. 2023, arXiv:2305.11860, section 2.2).
    """
    from scipy.special import betainc

    return float(betainc(second + 1, first + 1, 0.5))


def confidence(rule: Confident, votes: Sequence[float], drawn: int, remaining: int) -> float:
    """How sure the rule is of the leader after `drawn` samples, less `ROUNDING`; 0 where there is none.

    `beta`: that it is the likelier of the two answers in front. `likely`: that the vote of all `drawn` + `remaining`
    samples will have it in front. As many of the remaining votes as of those so far (and one more of each) are taken to
    go to these two; that a third answer overtakes is left out.
    """
    first, second = leaders(votes)
    if first <= 0:
        return 0.0
    if rule == "beta":
        return leads(first, second) - ROUNDING
    between = min(remaining, math.ceil(remaining * (first + second + 1) / (drawn + 1)))
    return stays_ahead(first, second, between) - ROUNDING


def unanimous(classes: Sequence[int], window: int) -> bool:
    """Whether the last full window of answers is of one class (Li et al. 2024, arXiv:2401.10480, section 3).

    Windows are disjoint and follow each other; `classes` is in the order in which samples finished, -1 for no answer,
    which agrees with nothing.
    """
    if not classes or len(classes) % window:
        return False
    last = classes[-window:]
    return last[0] >= 0 and len(set(last)) == 1


class Tally:
    """Votes as they come: what each answer has, -1 for no answer. None weighs more than one: of scores that are not
    from 0 to 1, as some measures of confidence, the largest so far is a whole vote.
    """

    def __init__(self) -> None:
        self.drawn = 0
        self._sizes: dict[int, float] = {}
        self._largest = 1.0

    def add(self, group: int, weight: float = 1.0) -> None:
        self.drawn += 1
        self._largest = max(self._largest, weight)
        if group >= 0:
            self._sizes[group] = self._sizes.get(group, 0.0) + weight

    @property
    def votes(self) -> list[float]:
        """The size of each group."""
        return [size / self._largest for size in self._sizes.values()]

    @property
    def leader(self) -> int:
        """The largest group, of equals the one that came first; -1 where there is none."""
        return max(self._sizes, key=self._sizes.__getitem__, default=-1)


def stops(
    rule: Rule, classes: Sequence[int], n: int, threshold: float, window: int, weights: Sequence[float] | None = None
) -> bool:
    """Whether `rule` ends sampling after these of n samples. `weights`: of their votes, not negative; None: all 1."""
    tally = Tally()
    for group, weight in zip(classes, repeat(1.0) if weights is None else weights, strict=weights is not None):
        tally.add(group, weight)
    votes = tally.votes
    match rule:
        case "certain":
            return certain(votes, n - len(classes))
        case "beta" | "likely":
            return confidence(rule, votes, len(classes), n - len(classes)) > threshold
        case "window":
            return unanimous(classes, window)
        case "never":
            return False
