"""Which problem is worth another sample: pure functions of the votes so far.

A sample is worth the chance that it changes the answer. One alone seldom can, so what counts is the best that any
number of further samples promises, per sample: the knowledge gradient over batches (Frazier and Powell 2010, "Paradoxes
in learning and the marginal value of information", Decision Analysis 7(4)), with the chance of a change in place of a
gain.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

from tts.stopping import leaders

FIRST = 2
"""Samples that every problem gets before any is compared."""
SETTLED = 1e-4
"""A problem whose next sample is worth less than this gets none."""
HORIZONS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)


@lru_cache(maxsize=65536)
def overturn(first: float, second: float, samples: int, weight: float = 1.0) -> float:
    """P(the runner-up is ahead of the leader after `samples` more that go to one of the two); a tie then counts half.

    How many go to the runner-up is beta-binomial: a uniform prior on their split, updated by the votes. `weight` is
    what a sample adds to its side: 1 for a plain vote, the mean score where votes are weighted.
    """
    if samples == 0:
        return 0.0
    a, b = second / weight + 1.0, first / weight + 1.0
    total = 0.0
    for taken in range(samples + 1):
        lead = first + (samples - taken) * weight - (second + taken * weight)
        if lead > 1e-9:
            continue
        total += (0.5 if abs(lead) <= 1e-9 else 1.0) * _beta_binomial(taken, samples, a, b)
    return min(1.0, total)


def _beta_binomial(k: int, n: int, a: float, b: float) -> float:
    log = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    log += math.lgamma(k + a) + math.lgamma(n - k + b) - math.lgamma(n + a + b)
    return math.exp(log + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b))


def worth(votes: Sequence[float], drawn: int, pending: int = 0, weight: float = 1.0) -> float:
    """What another sample of a problem is worth: a chance of changing its answer, per sample.

    `votes` are the sizes (or summed scores) of its answers' groups after `drawn` samples, `pending` how many are in
    flight already. Samples outside the leading two change nothing between them; and the smaller the share of those two,
    the less likely is it that one of them is right, so a change counts by that share.
    """
    if drawn == 0:
        return 1.0 / (1 + pending)
    first, second = leaders(votes)
    if first == 0:
        return 1.0 / (1 + drawn + pending)  # nothing but silence so far: the first answer would be the answer
    counting = min(1.0, (first + second) / weight / drawn)
    best = 0.0
    for more in HORIZONS:
        samples = pending + more
        expected = samples * counting
        low = math.floor(expected)
        change = (1 - (expected - low)) * overturn(first, second, low, weight)
        change += (expected - low) * overturn(first, second, low + 1, weight)
        best = max(best, change / samples)
    return best * counting
