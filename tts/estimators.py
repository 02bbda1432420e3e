"""Expectations over every subset of k of the n candidates that were drawn, for many problems and every k at once.

Arrays are (problems, n): `correct` and `answered` are booleans, `classes` numbers the equivalence class of an answer,
-1 for none. Right answers are one class whatever their numbers. A result's column k-1 belongs to k. Answerless
candidates take places in a subset and have no vote; a subset without any answer is wrong; a tie counts the right one's
share.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

EXACT = 256
"""Candidates up to which a majority's expectation is computed exactly."""
SUBSETS, FEWEST = 256, 64
"""Subsets of a size that a Monte Carlo estimate looks at, per problem: `FEWEST` where there are very many problems."""
_LISTED = 2048
"""Members of all subsets of a size up to which they are listed, and none is drawn."""
_WORK = 3_000_000
"""Array elements that are held at once."""
_CACHED = 300_000
"""Array elements that are gone through again and again: about what the processor keeps near."""


def pass_curves(right: Ints, n: int) -> Floats:
    """P(at least one of k is right), unbiased from `right` of n (Chen et al. 2021, arXiv:2107.03374, eq. 1).

    As the product 1 - Π (n-c-i)/(n-i), which neither overflows nor cancels.
    """
    return 1.0 - all_curves(n - right, n)


def all_curves(right: Ints, n: int) -> Floats:
    """P(all k are right), unbiased: C(c, k) / C(n, k) (pass^k of Yao et al. 2024, arXiv:2406.12045, section 3)."""
    i = np.arange(n)
    factors = np.maximum(np.arange(n + 1)[:, None] - i, 0) / (n - i)
    table: Floats = np.cumprod(factors, axis=1, dtype=np.float64)
    found: Floats = table[right]
    return found


def ranking(scores: Floats, answered: Bools) -> Ints:
    """Candidates from best to worst: with an answer first, then by score, then by order. NaN is no score, and last."""
    known = np.where(np.isnan(scores), -np.inf, scores)
    found: Ints = np.lexsort((-known, ~answered), axis=1)
    return found


def best_curves(scores: Floats, correct: Bools, answered: Bools) -> Floats:
    """P(the highest-scored of a random k is right): the candidate that j others are below leads C(j, k-1) subsets."""
    n = scores.shape[1]
    below = np.arange(n - 1, -1, -1)
    leads = np.empty((n, n))
    leads[:, 0] = 1.0 / n
    for k in range(1, n):
        leads[:, k] = leads[:, k - 1] * (np.maximum(below - k + 1, 0) / k) * ((k + 1) / (n - k))
    ordered = np.take_along_axis(correct & answered, ranking(scores, answered), axis=1)
    found: Floats = ordered.astype(float) @ leads
    return found


def numbered(classes: NDArray[Any], correct: Bools) -> tuple[Ints, int]:
    """Classes as 0 for right, 1, 2, … for the wrong ones of a problem in any order, -1 for none; the most there are."""
    wrong = (classes >= 0) & ~correct
    rows, _ = np.nonzero(wrong)
    pairs = rows.astype(np.int64) * (int(classes.max(initial=0)) + 1) + classes[wrong]
    found, index = np.unique(pairs, return_inverse=True)
    owner = found // (int(classes.max(initial=0)) + 1)
    first = np.searchsorted(owner, np.arange(len(classes)))
    out = np.where((classes >= 0) & correct, 0, -1).astype(np.int64)
    out[wrong] = 1 + index - first[rows]
    return out, int(out.max(initial=0)) + 1


def majority_curves(classes: NDArray[Any], correct: Bools) -> Floats:
    """P(the plurality answer of a random k is right), exactly, from generating functions.

    Subsets in which the right class has w members and no class has more are counted by the product over the other
    classes of Σ_{t<w} C(m, t) x^t + y C(m, w) x^w; ∫₀¹ dy turns y^j, j classes tied with it, into the share 1/(j+1),
    and Gauss-Legendre does that integral exactly. Every term is positive, so nothing cancels.
    """
    labels, count = numbered(classes, correct)
    problems, n = labels.shape
    rows = np.repeat(np.arange(problems), n)
    sizes = np.bincount(rows * (count + 1) + labels.ravel() + 1, minlength=problems * (count + 1))
    sizes = sizes.reshape(problems, count + 1)  # column 0 counts the answerless, column 1 the right
    wrong = -np.sort(-sizes[:, 2:], axis=1)
    shapes, back = np.unique(np.column_stack([sizes[:, 1], wrong]), axis=0, return_inverse=True)
    return _plurality(shapes[:, 0], shapes[:, 1:], n)[back.ravel()]


def _plurality(right: Ints, wrong: Ints, n: int) -> Floats:
    """One row for each pair of a right class's size and the wrong classes' sizes, largest first."""
    choose = _binomials(n)
    ways = np.zeros((len(right), n + 1))
    for w in range(1, int(right.max(initial=0)) + 1):
        rivals = (wrong >= w).sum(axis=1)
        for d in np.unique(rivals[right >= w]):
            nodes = _nodes(int(d))
            group = np.nonzero((right >= w) & (rivals == d))[0]
            for part in np.array_split(group, 1 + len(group) * len(nodes[0]) * (n + 1) // _WORK):
                small = n - right[part] - wrong[part, :d].sum(axis=1)
                ways[part, w:] += choose[right[part], w][:, None] * _led(wrong[part, :d], small, w, nodes, choose)
    found: Floats = ways[:, 1:] / choose[n, 1:]
    return found


def _led(rivals: Ints, small: Ints, w: int, nodes: tuple[Floats, Floats], choose: Floats) -> Floats:
    """Coefficients of x^0 … x^(n-w): ways to draw the rest so that no rival has more than w, ties at their share."""
    y, weight = nodes
    length = len(choose) - w
    poly = np.repeat(choose[small, None, :length], len(y), axis=1)
    for i in range(rivals.shape[1]):
        size = rivals[:, i]
        grown = poly.copy()
        for t in range(1, min(w, length)):
            grown[:, :, t:] += choose[size, t][:, None, None] * poly[:, :, : length - t]
        if w < length:
            grown[:, :, w:] += (choose[size, w][:, None] * y)[:, :, None] * poly[:, :, : length - w]
        poly = grown
    found: Floats = np.einsum("gml,m->gl", poly, weight)
    return found


def _nodes(degree: int) -> tuple[Floats, Floats]:
    """Gauss-Legendre on [0, 1], exact for polynomials of this degree."""
    x, weight = np.polynomial.legendre.leggauss(degree // 2 + 1)
    return (x + 1) / 2, weight / 2


def _binomials(n: int) -> Floats:
    table = np.zeros((n + 1, n + 1))
    table[:, 0] = 1.0
    for i in range(1, n + 1):
        table[i, 1:] = table[i - 1, 1:] + table[i - 1, :-1]
    return table


def weighted_curves(weights: Floats, classes: NDArray[Any], correct: Bools) -> Floats:
    """P(the answer with the largest sum of weights among a random k is right). No weight is negative.

    Over all subsets where they are few, else over the first k of random orders, drawn with a fixed seed and the same
    for every problem: `SUBSETS` of them, fewer with very many problems. One pass over an order serves every k.
    """
    labels, count = numbered(classes, correct)
    problems, n = labels.shape
    found = _passing(weights, labels, count, _orders(n, _draws(problems)))
    few = [k for k in range(1, n + 1) if math.comb(n, k) * k <= _LISTED]
    if few:
        found[:, [k - 1 for k in few]] = _voted(weights, labels, count, few, None)
    return found


def _passing(weights: Floats, labels: Ints, count: int, orders: Ints) -> Floats:
    """(problems, k): the right class's share of the lead among the first k candidates of a row of `orders`, the mean
    over rows; 0 where it does not lead. Candidates come one by one, and the lead is followed.
    """
    problems, (draws, length) = len(labels), orders.shape
    found = np.empty((problems, length))
    for part in np.array_split(np.arange(problems), 1 + problems * draws * (count + 8) // _CACHED):
        # A candidate a row, so that one that was drawn is read in one stretch for all problems.
        row, weight = np.ascontiguousarray(labels[part].T), np.ascontiguousarray(weights[part].T)
        total = weight.sum(axis=0)
        weight = np.where(row < 0, -np.inf, weight / np.where(total > 0.0, total, 1.0))  # no answer never leads
        start = np.arange(draws * len(part)).reshape(draws, -1) * (count + 1) + 1
        sums = np.full(draws * len(part) * (count + 1), -1.0)  # -1: this class has no candidate yet
        most, leaders, right = np.full(start.shape, -1.0), np.ones(start.shape), np.zeros(start.shape, bool)
        for k, drawn in enumerate(orders.T):
            label = row[drawn]
            cell = start + label
            before = sums[cell]
            now = np.maximum(before, 0.0)
            now += weight[drawn]
            sums[cell] = now
            before -= most
            gap = now - most
            # Sums of equal weights in another order differ in the last digits: those are ties.
            ahead = gap > 1e-9
            level = (gap >= -1e-9) & (before < -1e-9) & ~ahead
            leaders += level
            np.copyto(leaders, 1.0, where=ahead)
            mine = label == 0
            right |= level & mine
            np.copyto(right, mine, where=ahead)
            np.copyto(most, now, where=ahead)
            found[part, k] = (right / leaders).mean(axis=0)
    return found


def filtered_at(scores: Floats, classes: NDArray[Any], correct: Bools, ks: Sequence[int]) -> Floats:
    """P(the plurality among the better half, rounded up, of a random k is right); a column for each of `ks`.

    Subsets as in `weighted_curves`. Filtering a vote by confidence: Fu et al. 2025, arXiv:2508.15260, section 3.2.
    """
    labels, count = numbered(classes, correct)
    return _voted(np.ones(scores.shape), labels, count, ks, ranking(scores, labels >= 0))


def _voted(weights: Floats, labels: Ints, count: int, ks: Sequence[int], ranked: Ints | None) -> Floats:
    problems, n = labels.shape
    place = None if ranked is None else np.argsort(ranked, axis=1)
    if ranked is not None:
        labels = np.take_along_axis(labels, ranked, axis=1)
        weights = np.take_along_axis(weights, ranked, axis=1)
    columns = []
    for k in ks:
        drawn = _subsets(n, k, _draws(problems))
        votes = []
        for part in np.array_split(np.arange(problems), 1 + problems * len(drawn) * max(k, count) // _WORK):
            if place is None:
                chosen = np.broadcast_to(drawn, (len(part), *drawn.shape))
            else:
                half = (k + 1) // 2
                chosen = np.partition(place[part][:, drawn], half - 1, axis=2)[:, :, :half]
            votes.append(_shares(weights[part], labels[part], chosen, count).mean(axis=1))
        columns.append(np.concatenate(votes))
    return np.column_stack(columns)


def _draws(problems: int) -> int:
    return max(FEWEST, min(SUBSETS, 500_000 // problems))


def _orders(n: int, draws: int) -> Ints:
    return np.random.default_rng(0).random((draws, n)).argsort(axis=1).astype(np.int64)


def _subsets(n: int, k: int, draws: int) -> Ints:
    """All k-subsets of range(n) where they are few, else the first k of random orders."""
    if math.comb(n, k) * k <= _LISTED:
        return np.array(list(combinations(range(n), k)), dtype=np.int64)
    return _orders(n, draws)[:, :k]


def _shares(weights: Floats, labels: Ints, chosen: Ints, count: int) -> Floats:
    """(problems, subsets): the right class's share of the lead, 0 where it does not lead."""
    problems, draws, k = chosen.shape
    flat = chosen.reshape(problems, -1)
    label = np.take_along_axis(labels, flat, axis=1) + 1
    weight = np.take_along_axis(weights, flat, axis=1)
    cell = (np.arange(problems * draws).repeat(k).reshape(problems, -1) * (count + 1) + label).ravel()
    size = problems * draws * (count + 1)
    sums = np.bincount(cell, weight.ravel(), minlength=size).reshape(problems, draws, count + 1)[:, :, 1:]
    there = np.bincount(cell, minlength=size).reshape(problems, draws, count + 1)[:, :, 1:] > 0
    sums = np.where(there, sums, -np.inf)
    most = sums.max(axis=2, keepdims=True)
    # Sums of equal weights in another order differ in the last digits: those are ties.
    leads = there & (sums >= most - 1e-9 * np.maximum(1.0, np.abs(most)))
    found: Floats = leads[:, :, 0] / np.maximum(leads.sum(axis=2), 1)
    return found
