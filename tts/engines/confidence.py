"""Confidence of the policy in its own tokens, from the log-probabilities an engine returns."""

from __future__ import annotations

import math
from collections.abc import Sequence

FLOOR = -100.0
"""Log-probabilities below this (an engine may say -inf for a token it masked) are taken as this."""


def self_certainty(listed: Sequence[Sequence[float]], vocabulary: int) -> float | None:
    """Mean over positions of KL(uniform || p), in nats (Kang et al. 2025, arXiv:2502.18581, eq. 8).

    `listed` is (positions, k): the log-probabilities of the k most likely tokens. What probability they leave
    is taken as spread evenly over the rest of the vocabulary, which makes this a lower bound; with k equal to
    the vocabulary it is exact. None without positions.
    """
    import numpy as np

    table = np.maximum(np.array(listed, dtype=np.float64), FLOOR)
    if table.size == 0:
        return None
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
    import numpy as np

    table = np.maximum(np.array(listed, dtype=np.float64), FLOOR)
    if table.size == 0:
        return None
    shares = np.exp(table)
    total = -(shares * table).sum(axis=1)
    others = vocabulary - table.shape[1]
    if others > 0:
        left = np.maximum(1.0 - shares.sum(axis=1), 0.0)
        total = total - left * np.log(np.maximum(left, 1e-12) / others)
    return float(np.mean(total))
