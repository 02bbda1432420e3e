"""What answering from notes costs, and when it pays (Lin et al. 2025, arXiv:2504.13171, section 5)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from tts.metrics import clusters
from tts.paired import Difference, difference
from tts.stats import Estimate, estimate

LATENCY_FACTOR = 10.0
"""t: what a token costs while somebody waits, in tokens at sleep. The paper's value."""

QUERIES = (1, 2, 5, 10)
"""Questions a context at which the paper gives the cost."""


@dataclass(frozen=True, slots=True)
class Spending:
    """A run's cost a question, in generated tokens. `queries` is the mean number of questions on a context, and
    `sleep` what the notes about one context took, whoever made them.

    With `prefill` above 0 a computed prompt token counts as that many generated ones. `solved` has the share of each
    question's attempts that were right, `groups` its cluster where the benchmark's card names one.
    """

    accuracy: Estimate
    problems: int
    test: float
    sleep: float
    queries: float
    test_seconds: float
    solved: Mapping[str, float] = field(default_factory=dict, repr=False)
    groups: Mapping[str, str] = field(default_factory=dict, repr=False)

    def cost(self, t: float = LATENCY_FACTOR, queries: float | None = None) -> float:
        """t × test tokens + sleep tokens ÷ queries on the context."""
        return t * self.test + self.sleep / (queries or self.queries)

    def break_even(self, plain: Spending, t: float = LATENCY_FACTOR) -> float:
        """Queries a context from which this costs no more than `plain`; infinite where it never does."""
        saved = t * (plain.test - self.test)
        return self.sleep / saved if saved > 0 else math.inf


Cost = Callable[[Spending], float]


def spending(records: Iterable[Mapping[str, Any]], prefill: float = 0.0) -> Spending:
    """What a run spent, from its records. A run without notes has no sleep and one query a context.

    Raises:
        ValueError: no record was scored.
    """
    correct: dict[str, list[bool]] = {}
    metadata: dict[str, Mapping[str, Any]] = {}
    tests: list[float] = []
    seconds: list[float] = []
    notes: dict[str, tuple[float, int]] = {}
    for record in records:
        if record["status"] == "error" or record["grade"]["correct"] is None:
            continue
        usage = record.get("phases", {}).get("test", record["usage"])
        correct.setdefault(record["problem_id"], []).append(record["grade"]["correct"])
        metadata[record["problem_id"]] = record.get("metadata") or {}
        tests.append(usage["generated_tokens"] + prefill * (usage["prompt_tokens"] - (usage["cached_tokens"] or 0)))
        seconds.append(usage["seconds"])
        if sleep := record["solution"].get("sleep"):
            spent = sleep["generated_tokens"] + prefill * sleep["prompt_tokens"]
            notes[sleep["context"]] = (spent, notes.get(sleep["context"], (0.0, 0))[1] + 1)
    if not correct:
        raise ValueError("no record was scored")
    queries = fmean(count for _, count in notes.values()) if notes else 1.0
    slept = fmean(tokens for tokens, _ in notes.values()) if notes else 0.0
    solved = {name: fmean(map(float, attempts)) for name, attempts in correct.items()}
    named = clusters(metadata.values())
    accuracy = estimate(list(solved.values()), named)
    groups = dict(zip(solved, named, strict=True)) if named else {}
    return Spending(accuracy, len(correct), fmean(tests), slept, queries, fmean(seconds), solved, groups)


def frontier(runs: Mapping[str, Spending], cost: Cost = lambda s: s.test) -> list[tuple[str, Spending]]:
    """The runs by cost (test tokens if not given), without those that a cheaper one equals in accuracy."""
    best: list[tuple[str, Spending]] = []
    for name, spent in sorted(runs.items(), key=lambda item: (cost(item[1]), -item[1].accuracy.value)):
        if not best or spent.accuracy.value > best[-1][1].accuracy.value:
            best.append((name, spent))
    return best


def rival(run: Spending, plain: Mapping[str, Spending]) -> str | None:
    """The run of least test tokens among `plain` that is no less accurate; None where there is none."""
    return next((name for name, p in frontier(plain) if p.accuracy.value >= run.accuracy.value), None)


@dataclass(frozen=True, slots=True)
class Crossing:
    """From `budget` on, up to the most that any run took, the best run without notes beats the best with them.

    `cheapest`: the budget is the least that any run took. `gain` is plain minus slept at the largest budget, over the
    questions that both have; None where they share none.
    """

    budget: float
    cheapest: bool
    plain: str
    slept: str | None
    gain: Difference | None


def crossing(slept: Mapping[str, Spending], plain: Mapping[str, Spending], cost: Cost) -> Crossing | None:
    """Where thinking only at test time begins to win as budgets grow; None where notes keep up to the end."""
    budgets = sorted({cost(s) for s in (*slept.values(), *plain.values())})
    fronts = frontier(slept, cost), frontier(plain, cost)

    def best(side: int, budget: float) -> str | None:
        return next((name for name, s in reversed(fronts[side]) if cost(s) <= budget), None)

    found = None
    for budget in reversed(budgets):
        with_notes, without = best(0, budget), best(1, budget)
        if without is None:
            break
        if with_notes and slept[with_notes].accuracy.value >= plain[without].accuracy.value:
            break
        found = budget
    if found is None:
        return None
    with_notes, without = best(0, budgets[-1]), best(1, budgets[-1])
    assert without is not None
    gain = gained(slept[with_notes], plain[without]) if with_notes else None
    return Crossing(found, found == budgets[0], without, with_notes, gain)


def gained(a: Spending, b: Spending) -> Difference | None:
    """b minus a, paired by question."""
    shared = [name for name in a.solved if name in b.solved]
    if not shared:
        return None
    groups = [a.groups[name] for name in shared] if a.groups else None
    return difference([a.solved[name] for name in shared], [b.solved[name] for name in shared], groups)
