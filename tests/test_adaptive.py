"""Stopping early: what is aborted, what is charged, what a resume finds."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, cast

import pytest
from conftest import records, tts

from tts.engines.scripted import Reply, ScriptedEngine
from tts.errors import RequestError
from tts.session import Session
from tts.strategies.self_consistency import SelfConsistency
from tts.types import Budget, Completion, Problem, Prompt, StepScores
from tts.verify.cards import JudgeCard, load
from tts.verify.judge import JudgeVerifier

PROBLEM = Problem("p", "What is 2 + 3?")


def agree(prompt: str, seed: int) -> Reply:
    return Reply("The answer is \\boxed{5}.", latency=0.01)


def disagree(prompt: str, seed: int) -> Reply:
    return Reply(f"The answer is \\boxed{{{seed}}}.")


async def _solve(sessions: Any, strategy: Any, script: Any, **how: Any) -> tuple[Any, Any, Any]:
    async with sessions(script, **how) as session:
        solution = await asyncio.wait_for(strategy.solve(PROBLEM, session), 30)
        return solution, session.close(), session._setup.engine.counters()


@pytest.mark.parametrize(("stop", "after"), [("certain", 17), ("likely", 4), ("beta", 4), ("window", 5)])
def test_the_rest_is_aborted_when_the_rule_fires(sessions: Any, stop: Any, after: int) -> None:
    """One place in the engine: what waits when the rule fires has cost nothing."""
    solution, usage, counters = asyncio.run(_solve(sessions, SelfConsistency(n=32, stop=stop), agree, max_sequences=1))
    assert solution.answer == "5"
    assert len(solution.candidates) == after
    assert solution.details["stopped"]["after"] == after
    each = solution.candidates[0].completion.generated_tokens
    assert abs(solution.details["stopped"]["saved_tokens"] - (32 - after) * each) <= usage.wasted_tokens
    assert usage.generated_tokens == counters["generated_tokens"] == after * each + usage.wasted_tokens
    assert usage.prompt_tokens == counters["prompt_tokens"]


@pytest.mark.parametrize("stop", ["certain", "likely", "beta", "window"])
def test_a_vote_that_stays_open_gets_all_its_samples(sessions: Any, stop: Any) -> None:
    solution, _, _ = asyncio.run(_solve(sessions, SelfConsistency(n=8, stop=stop), disagree))
    assert len(solution.candidates) == 8
    assert not solution.details


def test_first_samples_of_all_come_before_second_ones_of_any(sessions: Any) -> None:
    """Two problems on an engine of one place: siblings take turns."""
    order: list[str] = []

    def script(prompt: str, seed: int) -> Reply:
        order.append("a" if "first" in prompt else "b")
        return Reply("\\boxed{1}", latency=0.005)

    async def main() -> None:
        async with sessions(script, max_sequences=1) as session:

            async def draw(text: str) -> None:
                prompt = session._setup.engine.render([_user(text)])
                async with session.stream(prompt, 4) as finished:
                    async for _ in finished:
                        pass

            await asyncio.gather(draw("first"), draw("second"))

    asyncio.run(main())
    assert sorted(order[:2]) == ["a", "b"]
    assert all(abs(order[:k].count("a") - order[:k].count("b")) <= 2 for k in range(1, 9))


def _user(text: str) -> Any:
    from tts.types import Message

    return Message("user", text)


def test_where_nothing_is_served_by_priority_a_few_go_at_a_time(sessions: Any) -> None:
    running = most = 0

    async def main() -> Any:
        nonlocal running, most
        async with sessions(agree) as session:
            engine = session._setup.engine
            engine.by_priority = False
            generate = engine.generate

            async def counted(*args: Any, **how: Any) -> Any:
                nonlocal running, most
                running += 1
                most = max(most, running)
                try:
                    return await generate(*args, **how)
                finally:
                    running -= 1

            engine.generate = counted
            return await SelfConsistency(n=32, stop="beta").solve(PROBLEM, session)

    solution = asyncio.run(main())
    assert most == 4
    assert 4 <= len(solution.candidates) <= 8


def test_a_resume_takes_what_is_in_the_journal_and_asks_for_no_more_than_it_needs(
    sessions: Any, tmp_path: Path
) -> None:
    path = tmp_path / "j"
    first, _, _ = asyncio.run(
        _solve(sessions, SelfConsistency(n=32, stop="beta"), agree, journal=path, max_sequences=4)
    )
    again, usage, counters = asyncio.run(_solve(sessions, SelfConsistency(n=32, stop="beta"), agree, journal=path))
    assert counters["generated_tokens"] == 0
    assert again.answer == first.answer
    assert len(again.candidates) == 4
    finished = sum(c.completion.generated_tokens for c in again.candidates)
    assert usage.generated_tokens == finished + usage.wasted_tokens


def test_a_full_pool_answers_what_a_rule_would_have_saved(sessions: Any, tmp_path: Path) -> None:
    path = tmp_path / "j"
    asyncio.run(_solve(sessions, SelfConsistency(n=16), agree, journal=path))
    solution, usage, counters = asyncio.run(_solve(sessions, SelfConsistency(n=16, stop="beta"), agree, journal=path))
    assert counters["generated_tokens"] == usage.wasted_tokens == 0
    assert len(solution.candidates) == usage.calls == 4


@pytest.mark.parametrize("stop", ["certain", "likely", "beta", "window"])
@pytest.mark.parametrize("budget", [Budget(tokens=9), Budget(calls=2), Budget(seconds=0.05)], ids=str)
def test_rules_keep_budgets(sessions: Any, stop: Any, budget: Budget) -> None:
    slow = lambda p, s: Reply("The answer is \\boxed{5}.", latency=3.0 if budget.seconds else 0.0)  # noqa: E731
    _, usage, _ = asyncio.run(_solve(sessions, SelfConsistency(n=8, stop=stop), slow, budget=budget))
    assert budget.tokens is None or usage.generated_tokens <= budget.tokens
    assert budget.calls is None or usage.calls <= budget.calls
    assert budget.seconds is None or usage.seconds < 1.0


def test_what_was_drawn_comes_back_after_a_rewind_and_is_charged_once(sessions: Any) -> None:
    async def main() -> None:
        async with sessions(disagree) as session:
            prompt = session.ask(PROBLEM)
            few = await session.sample(prompt, 3)
            spent = session.usage.generated_tokens
            session.rewind()
            many = await session.sample(prompt, 5)
            assert many[:3] == few
            assert session.usage.calls == 5
            assert session.usage.generated_tokens == spent + sum(c.generated_tokens for c in many[3:])
            assert session._setup.engine.counters()["generated_tokens"] == session.usage.generated_tokens

    asyncio.run(main())


SCRIPT = """
from tts.engines.scripted import Reply

def slow(prompt, seed):
    return Reply("The answer is \\\\boxed{5}.", latency=0.3 if seed % 2 else 30.0)
"""


@pytest.fixture
def slow(tmp_path: Path) -> str:
    (tmp_path / "slow.py").write_text(SCRIPT)
    return f"script={tmp_path / 'slow.py'}:slow"


def test_a_run_ends_at_its_deadline_and_what_has_finished_votes(slow: str, sums: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ["eval", sums, "--engine", "scripted", "-M", slow, "-n", 4, "--output", run, "--concurrency", 4]
    done = tts(*words, "--total-seconds", 1.5, "--json")
    assert done.returncode == 0, done.stderr
    assert "--resume" in done.stderr
    found = records(run)
    assert len(found) == 12
    begun = [r for r in found if r.get("begun", True)]
    assert 4 <= len(begun) < 12
    for record in begun:
        finished = [c for c in record["solution"]["candidates"] if c["finish"] == "stop"]
        assert record["solution"]["answer"] == ("5" if finished else None)
    assert {r["status"] for r in found if not r.get("begun", True)} == {"over_budget"}
    assert json.loads((run / "manifest.json").read_text())["budget"] == "total_seconds=1.5"
    assert json.loads((run / "manifest.json").read_text())["lives"][0]["seconds"] < 3.0
    again = tts(*words, "--total-seconds", 1.5, "--resume", "--json")
    assert again.returncode == 0, again.stderr
    more = [r for r in records(run) if r.get("begun", True)]
    assert len(more) > len(begun)
    assert [r for r in more if r in begun] == begun


class Trusts:
    """A verifier that trusts one answer and takes its time; it notes when a scoring begins and ends."""

    name, key, flops_per_token = "trusts", "trusts", None
    notes: ClassVar[list[str]] = []

    def __init__(self, answer: str, seconds: float = 0.0, fails: bool = False) -> None:
        self.answer, self.seconds, self.fails = answer, seconds, fails
        self.begun = self.ended = 0

    async def score(self, prompt: Prompt, completion: Completion, session: Session, request_id: str) -> StepScores:
        self.begun += 1
        await asyncio.sleep(self.seconds)
        self.ended += 1
        if self.fails:
            raise RequestError("it does not like to")
        return StepScores((), float(self.answer in completion.text), tokens=7)

    async def abort(self, request_id: str) -> None: ...

    async def close(self) -> None: ...


class Together(Trusts):
    """The same, that must see all candidates beside each other."""

    async def compare(self, completions: Sequence[Completion], session: Session) -> list[StepScores]:
        self.begun += len(completions)
        return [StepScores((), float(self.answer in c.text), tokens=7) for c in completions]


def in_turn(*answers: str, latency: float = 0.0) -> Any:
    """A script that answers so, one after the other."""
    left = itertools.cycle(answers)
    return lambda prompt, seed: Reply(f"The answer is \\boxed{{{next(left)}}}.", latency=latency)


@pytest.mark.parametrize("stop", ["beta", "likely"])
def test_weighted_votes_are_decided_by_their_weights(sessions: Any, stop: Any) -> None:
    """After 5, 7, 5 the verifier's two votes to none are seven eighths; two to one are not, and 7 gets as many as 5."""
    verifier = Trusts("5")
    strategy = SelfConsistency(n=8, stop=stop, threshold=0.8)
    how: dict[str, Any] = {"max_sequences": 1, "verifier": verifier}
    solution, usage, counters = asyncio.run(_solve(sessions, strategy, in_turn("5", "7"), **how))
    assert solution.answer == "5"
    assert solution.details["stopped"]["after"] == len(solution.candidates) == 3
    assert [c.scores["trusts"] for c in solution.candidates] == [1.0, 0.0, 1.0]
    assert usage.verifier_tokens == 2 * 7  # an equal text is not read again
    assert usage.generated_tokens == counters["generated_tokens"]
    by_count = replace(strategy, select="majority")
    solution, _, _ = asyncio.run(_solve(sessions, by_count, in_turn("5", "7"), **how))
    assert len(solution.candidates) == 8


def spelled(prompt: str, seed: int) -> Reply:
    """The same answer in a text of its own for each sample."""
    return Reply(f"By way of {seed}: \\boxed{{5}}.", latency=0.001)


class Unequal(Trusts):
    """The first two scorings end as soon as two more have begun, which take their time."""

    arrived = 0

    async def score(self, *args: Any) -> StepScores:
        first = self.arrived < 2
        self.arrived += 1
        while first and self.arrived < 4:
            await asyncio.sleep(0.001)
        self.seconds = 0.0 if first else 0.05
        return await super().score(*args)


def test_what_is_being_scored_when_the_rule_fires_is_charged(sessions: Any) -> None:
    verifier = Unequal("5")
    strategy = SelfConsistency(n=8, stop="beta", threshold=0.8)
    solution, usage, counters = asyncio.run(_solve(sessions, strategy, spelled, verifier=verifier))
    assert len(solution.candidates) == 2
    assert verifier.begun == verifier.ended >= 4
    assert usage.verifier_tokens == verifier.begun * 7
    assert usage.generated_tokens == counters["generated_tokens"]


def test_what_is_aborted_is_not_scored(sessions: Any) -> None:
    def script(prompt: str, seed: int) -> Reply:
        return replace(spelled(prompt, seed), latency=0.001 if next(turn) < 2 else 5.0)

    turn = itertools.count()
    verifier = Trusts("5")
    strategy = SelfConsistency(n=8, stop="beta", threshold=0.8)
    solution, usage, _ = asyncio.run(_solve(sessions, strategy, script, verifier=verifier))
    assert len(solution.candidates) == verifier.begun == 2
    assert usage.seconds < 2


def test_judgements_that_nobody_wants_are_aborted(sessions: Any) -> None:
    """The judge takes half a minute over all but two."""

    def rate(prompt: str, seed: int) -> Reply:
        return Reply("Score: 10", latency=0.1 if next(turn) < 2 else 30.0)

    turn = itertools.count()
    engine = ScriptedEngine(rate)
    verifier = JudgeVerifier(cast(JudgeCard, load("judge-score")[0]), engine)
    strategy = SelfConsistency(n=8, stop="beta", threshold=0.8)
    solution, usage, counters = asyncio.run(_solve(sessions, strategy, spelled, verifier=verifier))
    assert len(solution.candidates) == 2
    assert usage.seconds < 5
    assert usage.calls > 8 + 2
    assert usage.generated_tokens == counters["generated_tokens"] + engine.counters()["generated_tokens"]


def test_scoring_takes_no_place_from_generation(sessions: Any) -> None:
    """Without priorities four are generated at a time, also while the verifier waits for the last of all."""

    class Patient(Trusts):
        async def score(self, *args: Any) -> StepScores:
            arrived.append(args)
            while len(arrived) < 8:
                await asyncio.sleep(0.001)
            return await super().score(*args)

    async def main() -> Any:
        async with sessions(spelled, verifier=Patient("eight")) as session:
            session._setup.engine.by_priority = False
            return await asyncio.wait_for(SelfConsistency(n=8, stop="beta").solve(PROBLEM, session), 10)

    arrived: list[Any] = []
    assert len(asyncio.run(main()).candidates) == 8


def test_a_resume_of_weighted_votes_takes_scores_from_the_journal(sessions: Any, tmp_path: Path) -> None:
    strategy = SelfConsistency(n=8, stop="beta", threshold=0.8)
    how: dict[str, Any] = {"journal": tmp_path / "j", "max_sequences": 1}
    first, spent, _ = asyncio.run(_solve(sessions, strategy, in_turn("5", "7"), verifier=Trusts("5"), **how))
    again = Trusts("5")
    second, usage, counters = asyncio.run(_solve(sessions, strategy, in_turn("8"), verifier=again, **how))
    assert counters["generated_tokens"] == again.begun == 0
    assert [c.answer for c in second.candidates] == [c.answer for c in first.candidates] == ["5", "7", "5"]
    assert usage.verifier_tokens == spent.verifier_tokens == 2 * 7


@pytest.mark.parametrize("stop", ["certain", "likely", "beta", "window"])
def test_weighted_votes_of_a_verifier_that_fails_are_an_error(sessions: Any, stop: Any) -> None:
    strategy = SelfConsistency(n=4, stop=stop, window=2)
    with pytest.raises(RequestError, match=r"trusts.*does not like to"):
        asyncio.run(_solve(sessions, strategy, in_turn("5", "7"), verifier=Trusts("5", fails=True)))


def test_what_compares_candidates_scores_them_when_the_count_has_decided(sessions: Any) -> None:
    verifier = Together("7")
    strategy = SelfConsistency(n=32, stop="beta")
    script = in_turn("7", "5", "5", "5", "5", "5")
    solution, usage, _ = asyncio.run(_solve(sessions, strategy, script, verifier=verifier, max_sequences=1))
    assert solution.answer == "7"
    assert 6 <= len(solution.candidates) == verifier.begun < 12
    assert usage.verifier_tokens == 0  # a comparison is journalled by its own calls
