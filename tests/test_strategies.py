"""One contract for every strategy: answers, budgets, replay, failures."""

from __future__ import annotations

import asyncio
import importlib.util
from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from typing import Any

import pytest

from tts.engines.scripted import Reply
from tts.errors import EngineDead, RequestError
from tts.selection import aggregate
from tts.session import Session
from tts.strategies import STRATEGIES
from tts.types import Budget, Completion, Problem, Prompt, Sampling, StepScores

WITHOUT = pytest.mark.skipif(importlib.util.find_spec("treequest") is None, reason="needs the extra abmcts")
EVERY = pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[WITHOUT] if n == "ab-mcts" else []) for n in STRATEGIES]
)
PROBLEM = Problem("p", "What is 2 + 3?")


def build(name: str, n: int = 4) -> Any:
    cls: Any = STRATEGIES[name]
    return cls(n=n) if any(f.name == "n" for f in fields(cls)) else cls()


def right(prompt: str, seed: int) -> Reply:
    return Reply("The answer is \\boxed{5}.")


def half(prompt: str, seed: int) -> Reply:
    return Reply("The answer is \\boxed{5}." if seed % 2 else "I do not know.")


async def _solve(sessions: Any, name: str, script: Any, **how: Any) -> tuple[Any, Any]:
    if getattr(STRATEGIES[name], "needs_verifier", False):
        how.setdefault("verifier", Likes("5"))
    async with sessions(script, **how) as session:
        solution = await asyncio.wait_for(build(name).solve(PROBLEM, session), 30)
        session.close()
        return solution, session


@EVERY
def test_it_is_a_frozen_value_with_a_source(name: str) -> None:
    strategy = build(name)
    for field in fields(strategy):
        with pytest.raises(FrozenInstanceError):
            setattr(strategy, field.name, 1)
    assert "arXiv:" in (type(strategy).__doc__ or "")
    assert all(f.metadata.get("help") for f in fields(strategy))


@EVERY
def test_it_finds_the_answer_and_keeps_every_candidate(sessions: Any, name: str) -> None:
    solution, session = asyncio.run(_solve(sessions, name, right))
    assert solution.answer == "5"
    tree = solution.details.get("tree")
    made = [c.completion.generated_tokens for c in solution.candidates]
    assert solution.candidates
    if tree is not None:
        assert {node["parent"] for node in tree} <= {None, *(node["id"] for node in tree)}
        made = [node["tokens"] for node in tree]
    assert len(made) == session.usage.calls
    assert sum(made) == session.usage.generated_tokens


@EVERY
def test_an_answer_beats_none(sessions: Any, name: str) -> None:
    solution, _ = asyncio.run(_solve(sessions, name, half))
    answers = {c.answer for c in solution.candidates}
    assert solution.answer == ("5" if "5" in answers else None)


@EVERY
def test_no_answer_is_none(sessions: Any, name: str) -> None:
    solution, _ = asyncio.run(_solve(sessions, name, lambda p, s: Reply("No idea at all, sorry.")))
    assert solution.answer is None
    assert solution.candidates


@EVERY
@pytest.mark.parametrize(
    "budget", [Budget(tokens=1), Budget(tokens=7), Budget(calls=1), Budget(flops=1.0), Budget(seconds=0.2)], ids=str
)
def test_it_ends_within_any_budget(sessions: Any, name: str, budget: Budget) -> None:
    slow = lambda p, s: Reply("The answer is \\boxed{5}.", latency=5.0 if budget.seconds else 0.0)  # noqa: E731
    _, session = asyncio.run(_solve(sessions, name, slow, budget=budget))
    usage = session.usage
    assert budget.tokens is None or usage.generated_tokens <= budget.tokens
    assert budget.calls is None or usage.calls <= budget.calls
    assert budget.flops is None or usage.flops <= budget.flops
    assert budget.seconds is None or usage.seconds < budget.seconds + 1.0
    assert session.over_budget or usage.calls <= 1


@EVERY
def test_replay_from_the_journal_makes_no_call_and_the_same_solution(sessions: Any, name: str, tmp_path: Path) -> None:
    first, spent = asyncio.run(_solve(sessions, name, half, journal=tmp_path / "j"))
    again, session = asyncio.run(_solve(sessions, name, half, journal=tmp_path / "j"))
    assert again == first
    assert session._setup.engine.counters()["generated_tokens"] == 0
    assert session.usage.generated_tokens == spent.usage.generated_tokens


@EVERY
@pytest.mark.parametrize(("error", "raised"), [("request", RequestError), ("dead", EngineDead)])
def test_failures_are_raised_not_answered(sessions: Any, name: str, error: str, raised: type[Exception]) -> None:
    with pytest.raises(raised):
        asyncio.run(_solve(sessions, name, lambda p, s: Reply(error=error)))


@EVERY
def test_it_never_sees_a_target(name: str) -> None:
    assert "target" not in {f.name for f in fields(PROBLEM)}
    assert not {"target", "Example", "Checker"} & set(vars(type(build(name))))


def test_votes_are_over_equal_answers(sessions: Any) -> None:
    spellings = ["\\boxed{1/2}", "\\boxed{0.5}", "\\boxed{\\frac{1}{2}}", "\\boxed{3}", "\\boxed{3}"]

    def script(prompt: str, seed: int) -> Reply:
        return Reply(spellings.pop())

    async def main() -> Any:
        async with sessions(script) as session:
            return await STRATEGIES["self-consistency"](n=5).solve(PROBLEM, session)  # type: ignore[call-arg]

    assert asyncio.run(main()).answer in ("1/2", "0.5", "\\frac{1}{2}")


@pytest.mark.parametrize("select", ["self-certainty", "logprob-mean", "perplexity", "logprob-sum"])
def test_best_of_n_takes_the_highest_score_and_records_it(sessions: Any, select: str) -> None:
    confident = {"5": -0.1, "6": -0.9}

    def script(prompt: str, seed: int) -> Reply:
        value = "5" if seed % 3 == 0 else "6"
        return Reply(f"The answer is \\boxed{{{value}}}.", logprob=confident[value])

    async def main() -> Any:
        async with sessions(script) as session:
            return await STRATEGIES["best-of-n"](n=16, select=select).solve(PROBLEM, session)  # type: ignore[call-arg]

    solution = asyncio.run(main())
    assert solution.answer == "5"
    assert all(select in c.scores for c in solution.candidates)


class Likes:
    """A verifier that likes one answer, and would give the others together more."""

    name, key, flops_per_token = "likes", "likes", 2.0

    def __init__(self, favourite: str) -> None:
        self.favourite = favourite

    async def score(self, prompt: Prompt, completion: Completion, session: Session, request_id: str) -> StepScores:
        liked = 0.9 if self.favourite in completion.text else 0.5
        return StepScores((0.2, liked), liked, tokens=7)

    async def abort(self, request_id: str) -> None: ...

    async def close(self) -> None: ...


@pytest.mark.parametrize(("select", "answer"), [("highest", "6"), ("weighted", "5"), ("auto", "5"), ("majority", "5")])
def test_best_of_n_by_a_verifier(sessions: Any, select: str, answer: str) -> None:
    replies = ["\\boxed{5}", "\\boxed{5}", "\\boxed{6}"]

    async def main() -> Any:
        async with sessions(lambda p, s: Reply(replies.pop()), verifier=Likes("6")) as session:
            return await STRATEGIES["best-of-n"](n=3, select=select).solve(PROBLEM, session), session.usage  # type: ignore[call-arg]

    solution, usage = asyncio.run(main())
    assert solution.answer == answer
    assert usage.verifier_tokens == 14  # two texts: equal ones are read once
    assert [c.scores["likes:steps"] for c in solution.candidates] == [
        [0.2, c.scores["likes"]] for c in solution.candidates
    ]


@pytest.mark.parametrize(("how", "value"), [("last", 0.5), ("min", 0.25), ("mean", 0.5), ("prod", 0.09375)])
def test_step_scores_come_together(how: Any, value: float) -> None:
    assert aggregate([0.75, 0.25, 0.5], how) == pytest.approx(value)


def test_self_certainty_asks_for_log_probabilities() -> None:
    cls: Any = STRATEGIES["best-of-n"]
    assert cls(top=7).sampling(Sampling(), None).top_logprobs == 7
    assert cls(select="logprob-mean").sampling(Sampling(), None).top_logprobs == 0
    assert cls().sampling(Sampling(), "likes").top_logprobs == 0
