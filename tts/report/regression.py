"""Small regressions with errors that respect questions. numpy alone: one covariate and a few groups need no more."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tts.stats import Z95

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

STEPS = 50


@dataclass(frozen=True, slots=True)
class Slope:
    """An effect with its standard error and 95 % interval."""

    value: float
    stderr: float

    @property
    def ci(self) -> tuple[float, float]:
        return self.value - Z95 * self.stderr, self.value + Z95 * self.stderr


def logistic(x: Array, y: Array, clusters: Sequence[Hashable]) -> tuple[Slope, Slope] | None:
    """Regress right (1) or wrong (0) on the columns of `x` and an intercept, by Newton's method.

    Returns the first column's coefficient (log-odds a unit) and its average marginal effect (probability a unit, delta
    method), with errors clustered as named; None where the data do not determine it: one outcome only, or right and
    wrong are separated.
    """
    import numpy as np

    x = np.column_stack([x, np.ones(len(y))])
    beta = np.zeros(x.shape[1])
    for _ in range(STEPS):
        p = 1 / (1 + np.exp(-np.clip(x @ beta, -500, 500)))
        information = (x * (p * (1 - p))[:, None]).T @ x
        try:
            step = np.linalg.solve(information, x.T @ (y - p))
        except np.linalg.LinAlgError:
            return None
        beta += step
        if not np.isfinite(beta).all() or abs(beta).max() > 1e3:
            return None
        if abs(step).max() < 1e-9:
            break
    else:
        return None
    p = 1 / (1 + np.exp(-(x @ beta)))
    weight = p * (1 - p)
    if weight.max() < 1e-6:
        return None
    bread = np.linalg.inv((x * weight[:, None]).T @ x)
    covariance = bread @ _meat(x * (y - p)[:, None], clusters) @ bread
    gradient = beta[0] * ((weight * (1 - 2 * p))[:, None] * x).mean(0)
    gradient[0] += weight.mean()
    effect = Slope(float(beta[0] * weight.mean()), math.sqrt(float(gradient @ covariance @ gradient)))
    return Slope(float(beta[0]), math.sqrt(float(covariance[0, 0]))), effect


def _meat(scores: Array, clusters: Sequence[Hashable]) -> Array:
    """Sum over clusters of the outer products of summed scores, with the factor G/(G-1)."""
    import numpy as np

    _, codes = np.unique(np.array([str(c) for c in clusters]), return_inverse=True)
    sums = np.zeros((codes.max() + 1, scores.shape[1]))
    np.add.at(sums, codes, scores)
    groups = len(sums)
    found: Array = sums.T @ sums * (groups / max(1, groups - 1))
    return found


def within(x: Array, y: Array, groups: Sequence[Hashable], clusters: Sequence[Hashable]) -> Slope | None:
    """Slope of `y` on `x` with an intercept for each group (fixed effects): only differences within a group count.

    None where `x` varies within no group.
    """
    import numpy as np

    _, codes = np.unique(np.array([str(g) for g in groups]), return_inverse=True)
    sizes = np.bincount(codes)
    dx, dy = (v - (np.bincount(codes, v) / sizes)[codes] for v in (x, y))
    total = float(dx @ dx)
    if total <= 1e-12:
        return None
    slope = float(dx @ dy) / total
    meat = _meat((dx * (dy - slope * dx))[:, None], clusters)
    return Slope(slope, math.sqrt(float(meat[0, 0])) / total)


def conditional_logit(x: Array, y: Array, groups: Sequence[Hashable], clusters: Sequence[Hashable]) -> Slope | None:
    """Log-odds a unit of `x`, given how many of each group are right, so that a group's own level drops out
    (Chamberlain 1980, Rev. Econ. Stud. 47): P(these right | s right) = exp(β Σ x over them) / e_s(exp(β x)), with e_s
    the elementary symmetric polynomial. None where no group has both outcomes and a varying `x`, or β runs away.
    """
    import numpy as np

    xs, right, kept = _groups(x, y, groups, clusters)
    if not len(xs):
        return None
    chosen, beta = np.nansum(xs * right, 1), 0.0
    for _ in range(STEPS):
        mean, variance = _moments(xs, right.sum(1).astype(int), beta)
        information = float(variance.sum())
        if information < 1e-12:
            return None
        step = float((chosen - mean).sum()) / information
        beta += max(-1.0, min(1.0, step))
        if abs(beta) > 30:
            return None
        if abs(step) < 1e-9:
            break
    else:
        return None
    mean, variance = _moments(xs, right.sum(1).astype(int), beta)
    meat = float(_meat(np.asarray(chosen - mean)[:, None], kept)[0, 0])
    return Slope(beta, math.sqrt(meat) / float(variance.sum()))


def _groups(x: Array, y: Array, groups: Sequence[Hashable], clusters: Sequence[Hashable]) -> tuple[Array, Array, Any]:
    """Groups with both outcomes as rows, centred, and padded with nan; their outcomes; their clusters."""
    import numpy as np

    rows: dict[Hashable, list[int]] = {}
    for i, group in enumerate(groups):
        rows.setdefault(group, []).append(i)
    kept = [m for m in rows.values() if 0 < y[m].sum() < len(m) and np.ptp(x[m]) > 0]
    width = max(map(len, kept), default=0)
    xs, right = np.full((len(kept), width), np.nan), np.zeros((len(kept), width))
    for row, members in enumerate(kept):
        xs[row, : len(members)] = x[members] - x[members].mean()
        right[row, : len(members)] = y[members]
    return xs, right, [clusters[m[0]] for m in kept]


def _moments(xs: Array, chosen: NDArray[np.int_], beta: float) -> tuple[Array, Array]:
    """Mean and variance of the sum of x over a subset of `chosen` members, drawn with weight exp(β times that sum)."""
    import numpy as np

    rows, width = xs.shape
    # Polynomials in the size of the subset: weights, and their first and second derivatives by β.
    p0, p1, p2 = np.zeros((3, rows, int(chosen.max()) + 1))
    p0[:, 0] = 1.0
    for i in range(width):
        v = np.nan_to_num(xs[:, i : i + 1])
        w = np.where(np.isnan(xs[:, i : i + 1]), 0.0, np.exp(beta * v))
        n2 = p2[:, :-1] + 2 * v * p1[:, :-1] + v * v * p0[:, :-1]
        n1 = p1[:, :-1] + v * p0[:, :-1]
        n0 = p0[:, :-1].copy()
        p2[:, 1:] += w * n2
        p1[:, 1:] += w * n1
        p0[:, 1:] += w * n0
        scale = p0.max(1, keepdims=True)
        p0, p1, p2 = p0 / scale, p1 / scale, p2 / scale
    at = np.arange(rows), chosen
    mean = p1[at] / p0[at]
    return mean, p2[at] / p0[at] - mean * mean
