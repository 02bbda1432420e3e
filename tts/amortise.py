"""What answering from notes costs, and when it pays (Lin et al. 2025, arXiv:2504.13171, section 5)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from tts.stats import Estimate, estimate

LATENCY_FACTOR = 10.0
"""t: what a token costs while somebody waits, in tokens at sleep. The paper's value."""

QUERIES = (1, 2, 5, 10)
"""Questions a context at which the paper gives the cost."""


@dataclass(frozen=True, slots=True)
class Spending:
    """A run's cost a question, in generated tokens. `queries` is the mean number of questions on a context, and
    `sleep` what the notes about one context took, whoever made them.

    With `prefill` above 0 a computed prompt token counts as that many generated ones.
    """

    accuracy: Estimate
    problems: int
    test: float
    sleep: float
    queries: float
    test_seconds: float

    def cost(self, t: float = LATENCY_FACTOR, queries: float | None = None) -> float:
        """t × test tokens + sleep tokens ÷ queries on the context."""
        return t * self.test + self.sleep / (queries or self.queries)

    def break_even(self, plain: Spending, t: float = LATENCY_FACTOR) -> float:
        """Queries a context from which this costs no more than `plain`; infinite where it never does."""
        saved = t * (plain.test - self.test)
        return self.sleep / saved if saved > 0 else math.inf


def spending(records: Iterable[Mapping[str, Any]], prefill: float = 0.0) -> Spending:
    """What a run spent, from its records. A run without notes has no sleep and one query a context.

    Raises:
        ValueError: no record was scored.
    """
    correct: dict[str, list[bool]] = {}
    tests: list[float] = []
    seconds: list[float] = []
    notes: dict[str, tuple[float, int]] = {}
    for record in records:
        if record["status"] == "error" or record["grade"]["correct"] is None:
            continue
        usage = record.get("phases", {}).get("test", record["usage"])
        correct.setdefault(record["problem_id"], []).append(record["grade"]["correct"])
        tests.append(usage["generated_tokens"] + prefill * (usage["prompt_tokens"] - (usage["cached_tokens"] or 0)))
        seconds.append(usage["seconds"])
        if sleep := record["solution"].get("sleep"):
            spent = sleep["generated_tokens"] + prefill * sleep["prompt_tokens"]
            notes[sleep["context"]] = (spent, notes.get(sleep["context"], (0.0, 0))[1] + 1)
    if not correct:
        raise ValueError("no record was scored")
    queries = fmean(count for _, count in notes.values()) if notes else 1.0
    slept = fmean(tokens for tokens, _ in notes.values()) if notes else 0.0
    accuracy = estimate([fmean(map(float, attempts)) for attempts in correct.values()])
    return Spending(accuracy, len(correct), fmean(tests), slept, queries, fmean(seconds))


def frontier(runs: Mapping[str, Spending]) -> list[tuple[str, Spending]]:
    """The runs by test tokens, without those that a cheaper one equals in accuracy."""
    best: list[tuple[str, Spending]] = []
    for name, spent in sorted(runs.items(), key=lambda item: (item[1].test, -item[1].accuracy.value)):
        if not best or spent.accuracy.value > best[-1][1].accuracy.value:
            best.append((name, spent))
    return best
