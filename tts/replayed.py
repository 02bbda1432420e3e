"""Stored samples drawn once more: what would have been chosen after each, and where a rule would have stopped."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from tts.stopping import Confident, Tally, confidence

ORDERS = 8
"""Orders that samples are taken to have finished in: as they are stored, and shuffled."""


def orders(seed: str, n: int) -> Iterator[list[int]]:
    """`ORDERS` orders of n samples, the same for the same seed."""
    order = list(range(n))
    for number in range(ORDERS):
        if number:
            random.Random(f"{seed}\0{number}").shuffle(order)
        yield order.copy()


def leads_after(classes: Sequence[int], weights: Sequence[float]) -> list[int]:
    """The class that leads after each sample, -1 while none has an answer: see `Tally.leader`."""
    tally, leaders = Tally(), []
    for group, weight in zip(classes, weights, strict=True):
        tally.add(group, weight)
        leaders.append(tally.leader)
    return leaders


def highest_after(classes: Sequence[int], scores: Sequence[float]) -> list[int]:
    """The class of the sample with the highest score after each; -1 while none has an answer."""
    leaders, best = [], (-1.0, -1)
    for group, score in zip(classes, scores, strict=True):
        if group >= 0 and score > best[0]:
            best = score, group
        leaders.append(best[1])
    return leaders


def stops_after(
    rule: Confident, classes: Sequence[int], weights: Sequence[float], thresholds: Sequence[float]
) -> list[int]:
    """For each threshold after how many samples the rule stops, all of them at the latest."""
    found = [len(classes)] * len(thresholds)
    waiting = sorted(range(len(thresholds)), key=lambda i: thresholds[i])
    tally = Tally()
    for group, weight in zip(classes, weights, strict=True):
        tally.add(group, weight)
        sure = confidence(rule, tally.votes, tally.drawn, len(classes) - tally.drawn)
        while waiting and sure > thresholds[waiting[0]]:
            found[waiting.pop(0)] = tally.drawn
        if not waiting:
            break
    return found
