"""Accuracy against compute from one run's pool of samples: what each way of choosing makes of k of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_CURVE = re.compile(r"(pass|maj|best|weighted)@(\d+)(?::(.+))?")
NAMES = {
    "maj": "self-consistency (maj@k)",
    "best": "best of k by {0} (best@k)",
    "weighted": "best of k by {0}, weighted (weighted@k)",
    "pass": "any of k right (pass@k, an upper bound)",
}


@dataclass(frozen=True, slots=True)
class Point:
    """Accuracy in [0, 1] with its 95 % interval, at k samples and the generated tokens a problem they take."""

    k: int
    tokens: float
    value: float
    low: float
    high: float


def curves(results: Mapping[str, Any]) -> dict[str, list[Point]]:
    """The curves of a run's results.json. At k = 1 all are one: the mean accuracy of a single sample."""
    candidates = results["counts"]["candidates"]
    each = results["usage"]["generated_tokens"] / candidates if candidates else 0.0
    found: dict[str, list[Point]] = {}
    for metric, m in results["metrics"].items():
        if match := _CURVE.fullmatch(metric):
            kind, k, scorer = match[1], int(match[2]), match[3] or ""
            low, high = m["ci"] or (m["value"], m["value"])
            found.setdefault(NAMES[kind].format(scorer), []).append(Point(k, k * each, m["value"], low, high))
    single = {"one sample (avg@1)": [p for p in found.get(NAMES["pass"], []) if p.k == 1]}
    return single | {name: [p for p in points if p.k > 1] for name, points in found.items()}
