"""Confidence of the policy in its own tokens, from the log-probabilities an engine returns."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

FLOOR = -100.0
"""Log-probabilities below this (an engine may say -inf for a token it masked) are taken as this."""


def self_certainty(listed: Sequence[Sequence[float]], vocabulary: int) -> float | None:
    """Mean over positions of KL(uniform || p), in nats (Kang et al. 2025, arXiv:2502.18581, eq. 8).

    `listed` is (positions, k): the log-probabilities of the k most likely tokens. What probability they leave
    is taken as spread evenly over the rest of the vocabulary, which makes this a lower bound; with k equal to
    the vocabulary it is exact. None without positions.
    """
    if not listed:
        return None
    import numpy as np

    table = np.maximum(np.array(listed, dtype=np.float64), FLOOR)
    total = table.sum(axis=1)
    others = vocabulary - table.shape[1]
    if others > 0:
        left = np.maximum(1.0 - np.exp(table).sum(axis=1), 1e-12)
        total = total + others * np.maximum(np.log(left / others), FLOOR)
    return float(-np.mean(total) / vocabulary - math.log(vocabulary))


def mean_entropy(listed: Sequence[Sequence[float]], vocabulary: int) -> float | None:
    """Mean over positions of the entropy of the next token, in nats, of what `self_certainty` is given.

    The probability that the k most likely tokens leave is taken as spread evenly over the rest, which makes this an
    upper bound; with k equal to the vocabulary it is exact. None without positions.
    """
    if not listed:
        return None
    import numpy as np

    table = np.maximum(np.array(listed, dtype=np.float64), FLOOR)
    shares = np.exp(table)
    total = -(shares * table).sum(axis=1)
    others = vocabulary - table.shape[1]
    if others > 0:
        left = np.maximum(1.0 - shares.sum(axis=1), 0.0)
        total = total - left * np.log(np.maximum(left, 1e-12) / others)
    return float(np.mean(total))


class GroupConfidence:
    """Confidence of groups of tokens as they come, in constant time a token (Fu et al. 2025, arXiv:2508.15260,
    section 3.1).

    A token's confidence is the negative mean log-probability of the k likeliest tokens at its position, in nats; a
    group's is the mean over a window of `window` tokens. Before the first window is full there is one group, of what
    there is, and it is not held against `floor`.
    """

    def __init__(self, window: int, floor: float | None = None) -> None:
        self.tokens = 0
        self._window = window
        self._floor = floor
        self._recent: deque[float] = deque(maxlen=window)
        self._sum = 0.0
        self._lowest = math.inf

    def add(self, logprobs: Sequence[float]) -> None:
        """The k likeliest tokens' log-probabilities at the next position."""
        confidence = -sum(max(x, FLOOR) for x in logprobs) / len(logprobs)
        if len(self._recent) == self._window:
            self._sum -= self._recent[0]
        self._recent.append(confidence)
        self._sum += confidence
        self.tokens += 1
        if self.tokens >= self._window:
            self._lowest = min(self._lowest, self._sum / self._window)

    @property
    def below(self) -> bool:
        """Whether a full group has fallen below the floor."""
        return self._floor is not None and self._lowest < self._floor

    @property
    def lowest(self) -> float | None:
        """The least confident group's, None without tokens."""
        return self._lowest if self.tokens >= self._window else self.tail

    @property
    def tail(self) -> float | None:
        """The last group's, None without tokens."""
        return self._sum / len(self._recent) if self._recent else None


def groups_of(rows: Sequence[Sequence[float]], window: int, floor: float | None = None) -> GroupConfidence | None:
    """The groups of a whole completion, up to where one falls below the floor; None where there is no window."""
    if not window:
        return None
    groups = GroupConfidence(window, floor)
    for row in rows:
        if row:
            groups.add(row)
        if groups.below:
            break
    return groups
