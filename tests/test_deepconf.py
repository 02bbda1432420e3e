"""Group confidence, the floor, traces cut in mid-flight, and votes by confidence."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tts.engines.confidence import GroupConfidence, groups_of
from tts.engines.scripted import Reply
from tts.selection import top_share
from tts.strategies.best_of_n import BestOfN
from tts.strategies.deepconf import DeepConf
from tts.types import Problem, Sampling

PROBLEM = Problem("p", "What is 2 + 3?")


@pytest.mark.parametrize("window", [1, 3, 7, 50])
def test_groups_are_what_their_definition_says(window: int) -> None:
    rng = random.Random(window)
    rows = [[-rng.random() for _ in range(4)] for _ in range(40)]
    confidences = [-sum(row) / 4 for row in rows]
    groups = groups_of(rows, window)
    assert groups is not None
    means = [sum(confidences[i : i + window]) / window for i in range(40 - window + 1)]
    assert groups.lowest == pytest.approx(min(means) if means else sum(confidences) / 40)
    last = confidences[-window:]
    assert groups.tail == pytest.approx(sum(last) / len(last))


def test_the_floor_is_for_full_groups() -> None:
    groups = GroupConfidence(3, floor=1.0)
    for confidence, below in [(0.1, False), (0.1, False), (3.5, False), (0.2, False), (0, False), (0.3, True)]:
        groups.add([-confidence, -confidence])
        assert groups.below == below, groups.tokens
    assert GroupConfidence(3).lowest is None
    assert groups_of([[-1.0]], 0) is None


def test_a_masked_token_does_not_make_it_infinite() -> None:
    groups = groups_of([[-1.0, float("-inf")]], 4)
    assert groups is not None
    assert groups.lowest == pytest.approx(50.5)


@pytest.mark.parametrize(("percent", "value"), [(100, 1.0), (0, 5.0), (50, 3.0), (10, 4.6)])
def test_the_best_share_is_a_percentile(percent: float, value: float) -> None:
    assert top_share([5.0, 1.0, 3.0, 2.0, 4.0], percent) == pytest.approx(value)


WORDS = "one two three four five six seven eight nine then the answer is "


class Traces:
    """Three of four warm-up traces say 5; later ones by turns are sure of 5, and doubtful from their third word on."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, prompt: str, seed: int) -> Reply:
        self.count += 1
        if self.count <= 4 or self.count % 2:
            answer = "6" if self.count == 2 else "5"
            return Reply(f"{WORDS}\\boxed{{{answer}}}.", confidences=[3.0])
        return Reply(f"{WORDS}\\boxed{{7}}.", confidences=[3.0, 3.0, 0.5])


def _solve(sessions: Any, strategy: Any, script: Any, **how: Any) -> Any:
    async def main() -> Any:
        async with sessions(script, **how) as session:
            solution = await asyncio.wait_for(strategy.solve(PROBLEM, session), 30)
            return solution, session.close(), session._setup.engine.counters()

    return asyncio.run(main())


ONLINE = DeepConf(n=12, warmup=4, eta=90, window=4)


def test_doubtful_traces_are_cut_and_have_no_vote(sessions: Any, tmp_path: Path) -> None:
    solution, usage, counters = _solve(sessions, ONLINE, Traces(), journal=tmp_path / "j")
    cut = [c for c in solution.candidates if c.completion.doubted]
    assert solution.answer == "5"
    assert len(solution.candidates) == 12
    assert len(cut) == solution.details["deepconf"]["cut"] == 4
    assert {c.answer for c in cut} == {None}
    assert {c.completion.generated_tokens for c in cut} == {4}  # the first full group has a mean of 1.75
    assert usage.wasted_tokens == 16
    assert usage.generated_tokens == counters["generated_tokens"]
    again, spent, none = _solve(sessions, ONLINE, Traces(), journal=tmp_path / "j")
    assert none["generated_tokens"] == 0
    assert again == solution
    assert spent.generated_tokens == usage.generated_tokens


def test_agreement_ends_sampling(sessions: Any) -> None:
    def sure(prompt: str, seed: int) -> Reply:
        return Reply("\\boxed{5}", confidences=[2.0])

    solution, usage, _ = _solve(sessions, ONLINE, sure)
    assert len(solution.candidates) == usage.calls == 4


def test_votes_weigh_by_confidence_and_offline_the_best_share_votes(sessions: Any) -> None:
    replies = [("6", 9.0), ("5", 2.0), ("5", 2.0), ("5", 2.0)]

    def script(prompt: str, seed: int) -> Reply:
        answer, confidence = replies[script.turn % 4]  # type: ignore[attr-defined]
        script.turn += 1  # type: ignore[attr-defined]
        return Reply(f"\\boxed{{{answer}}}", confidences=[confidence])

    for eta, answer in ((100, "6"), (10, "6")):
        script.turn = 0  # type: ignore[attr-defined]
        solution, _, _ = _solve(sessions, DeepConf(n=4, mode="offline", eta=eta, window=2), script)
        assert solution.answer == answer, eta
        assert {c.scores["group-confidence"] for c in solution.candidates} == {9.0, 2.0}


def test_where_the_floor_leaves_no_answer_all_vote(sessions: Any) -> None:
    def script(prompt: str, seed: int) -> Reply:
        script.turn += 1  # type: ignore[attr-defined]
        return Reply("I do not know", confidences=[9.0]) if script.turn == 1 else Reply("\\boxed{5}", confidences=[1.0])  # type: ignore[attr-defined]

    script.turn = 0  # type: ignore[attr-defined]
    solution, _, _ = _solve(sessions, DeepConf(n=4, mode="offline", eta=1, window=2), script)
    assert solution.answer == "5"


@pytest.mark.parametrize("select", ["group-confidence", "tail-confidence"])
def test_best_of_n_by_stored_confidences(sessions: Any, select: Any) -> None:
    def script(prompt: str, seed: int) -> Reply:
        return Reply("\\boxed{5}", confidences=[3.0]) if seed % 2 else Reply("\\boxed{6}", confidences=[1.0])

    strategy = BestOfN(n=8, select=select, window=4)
    sampling = strategy.sampling(Sampling(max_tokens=100), None)
    assert sampling == replace(Sampling(max_tokens=100), top_logprobs=20, confidence_window=4)
    solution, _, _ = _solve(sessions, strategy, script, sampling=sampling)
    assert solution.answer == "5"
    assert {c.scores[select] for c in solution.candidates} == {3.0, 1.0}
