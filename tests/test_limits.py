"""What budgets and deadlines leave: nothing drawn is lost, nothing is paid twice, and the end of time is no error."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tts.allotment import Allotment
from tts.engines.scripted import Reply, Script, ScriptedEngine, arithmetic
from tts.errors import InputError, RequestError
from tts.evaluate import Stop, evaluate
from tts.journal import Journal
from tts.session import Session, Setup
from tts.settings import resolve
from tts.strategies.ab_mcts import ABMCTS
from tts.strategies.best_of_n import BestOfN
from tts.strategies.compute_optimal import ComputeOptimal
from tts.strategies.deepconf import DeepConf
from tts.strategies.dvts import DVTS
from tts.strategies.mcts import MCTS
from tts.strategies.self_consistency import SelfConsistency
from tts.strategies.sleep_time import SleepTime
from tts.tree import Path as Branch
from tts.tree import Tree
from tts.types import Budget, Completion, Example, Problem, Prompt, Sampling, StepScores
from tts.verify.cards import load
from tts.verify.judge import JudgeVerifier
from tts.verify.pool import CheckerPool
from tts.verify.rule import RuleVerifier

FIVE = "So it is \\boxed{5}."
TOKENS = 4
"""Of `FIVE`."""


def quick(prompt: str, seed: int) -> Reply:
    return Reply(FIVE)


def after(latency: float) -> Script:
    return lambda prompt, seed: Reply(FIVE, latency=latency)


def torn(prompt: str, seed: int) -> Reply:
    """Every sample has an answer of its own, so that no vote is ever decided."""
    return Reply(f"So it is \\boxed{{{seed}}}.")


def examples(n: int, context: str | None = None) -> list[Example]:
    return [Example(Problem(f"p{i}", f"What is {i} + 5?", context), "5") for i in range(n)]


class Nobody:
    def began(self, problem_id: str) -> None: ...
    def ended(self, record: Any) -> None: ...


async def run(
    strategy: Any,
    engine: ScriptedEngine,
    asked: Sequence[Example] | int = 1,
    *,
    verifier: Any = None,
    budget: Budget | None = None,
    seconds: float | None = None,
    stop: Stop | None = None,
    journal: Path | None = None,
    reuse: Sequence[Path] = (),
    total: int | None = None,
    most: int = 8,
    by_score: bool = False,
) -> list[Any]:
    """The records of a run, sorted by problem; with `total` its tokens are given out sample by sample."""
    found: list[Any] = []
    how: Any = {"write": found.append, "watch": Nobody(), "stop": stop or Stop(), "seconds": seconds}
    problems = examples(asked) if isinstance(asked, int) else asked
    with Journal(journal, reuse) as calls:
        async with CheckerPool(workers=1) as checker:
            setup = Setup(engine, calls, checker, verifier, Sampling(max_tokens=40), budget or Budget())
            if total is None:
                await evaluate(problems, strategy, setup, concurrency=8, **how)
            else:
                given = Allotment(strategy, setup, tokens=total, most=most, by_score=by_score)
                await given.run(problems, **how)
    return sorted(found, key=lambda r: r["problem_id"])


def drawn(record: Any) -> int:
    return len(record["solution"]["candidates"])


def generated(records: Sequence[Any]) -> int:
    return sum(r["usage"]["generated_tokens"] for r in records)


class Slow(RuleVerifier):
    """Takes its time over every scoring."""

    def __init__(self, seconds: float) -> None:
        card: Any = load("scripted")[0]
        super().__init__(card)
        self._seconds, self._ends = seconds, dict[str, asyncio.Event]()

    async def score(self, prompt: Prompt, completion: Completion, session: Session, request_id: str) -> StepScores:
        end = self._ends[request_id] = asyncio.Event()
        try:
            await asyncio.wait_for(end.wait(), self._seconds)
        except TimeoutError:
            return await super().score(prompt, completion, session, request_id)
        raise RequestError("the scoring was aborted")

    async def abort(self, request_id: str) -> None:
        if request_id in self._ends:
            self._ends[request_id].set()


def judge(engine: ScriptedEngine | None = None) -> JudgeVerifier:
    card: Any = load("judge-score")[0]
    return JudgeVerifier(card, engine)


def judging(prompt: str, seed: int) -> Reply:
    """A policy that judges too, at more length than it answers."""
    return Reply("it seems fine to me, after some thought about it. Score: 7" if "core" in prompt else FIVE)


# -- one run's time is not another's --------------------------------------------------------------------------------


def test_each_run_has_its_own_time() -> None:
    async def main() -> None:
        stop, engine = Stop(), ScriptedEngine(after(0.1), max_sequences=4)
        first = await run(SelfConsistency(n=2), engine, 40, seconds=0.25, stop=stop)
        assert any(not r.get("begun", True) for r in first)
        second = await run(SelfConsistency(n=2), engine, 3, seconds=30, stop=stop)
        assert [(r["status"], drawn(r)) for r in second] == [("ok", 2)] * 3
        given = await run(SelfConsistency(), engine, 3, seconds=30, stop=stop, total=10**4, most=2)
        assert [(r["status"], drawn(r)) for r in given] == [("ok", 2)] * 3
        assert (stop.expired, stop.any_expired) == (False, True)

    asyncio.run(main())


# -- what was drawn comes back whatever the limits --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "samples"),
    [
        ({"budget": Budget(calls=3)}, 3),
        ({"budget": Budget(tokens=10 * TOKENS)}, 8),
        ({"budget": Budget(tokens=40 + 2 * TOKENS)}, 8),
        ({"budget": Budget(flops=2e6 * 600)}, None),
        ({"budget": Budget(seconds=0.5)}, None),
        ({"seconds": 0.5}, None),
    ],
)
def test_samples_of_a_shared_budget_all_vote(limits: Any, samples: int | None) -> None:
    timed = "seconds" in limits or limits["budget"].seconds
    script: Script = (lambda p, s: Reply(torn(p, s).text, latency=0.2)) if timed else torn
    engine = ScriptedEngine(script, max_sequences=1 if timed else 64)
    found = asyncio.run(run(SelfConsistency(), engine, 1, total=10**4, **limits))
    (record,) = found
    assert generated(found) == engine.counters()["generated_tokens"]
    kept = sum(c["generated_tokens"] for c in record["solution"]["candidates"])
    assert kept == generated(found) > 0
    assert record["usage"]["calls"] == drawn(record)
    assert samples is None or drawn(record) == samples
    assert record["solution"]["answer"] is not None


def test_a_sample_that_the_deadline_cut_stays_a_candidate_after_a_rewind(sessions: Any) -> None:
    async def main() -> None:
        async with sessions(after(0.6), budget=Budget(seconds=0.3)) as session:
            prompt = session.ask(session.problem)
            before = await session.sample(prompt, 2)
            assert [c.finish for c in before] == ["abort"] * 2
            session.rewind()
            assert await session.sample(prompt, 2) == before
            assert session.usage.calls == 2

    asyncio.run(main())


@pytest.mark.parametrize(
    ("budget", "samples"), [(Budget(calls=8), 8), (Budget(calls=4), 4), (Budget(tokens=4 * TOKENS + 12), 16)]
)
def test_compute_optimal_pays_for_its_first_samples_once(budget: Budget, samples: int) -> None:
    engine = ScriptedEngine(torn)
    (record,) = asyncio.run(run(ComputeOptimal(), engine, budget=budget))
    assert drawn(record) == samples
    assert record["usage"]["generated_tokens"] == engine.counters()["generated_tokens"]
    assert record["solution"]["placed"]["bin"] == 1


def test_a_rewind_does_not_charge_a_judge_of_another_model_again(sessions: Any) -> None:
    async def main() -> None:
        other = ScriptedEngine(judging, model="other")
        async with sessions(quick, verifier=judge(other)) as session:
            prompt = session.ask(session.problem)
            for _ in range(2):
                found = await session.sample(prompt, 3)
                await session.score(prompt, found)
                session.rewind()
            both = session._setup.engine.counters()["generated_tokens"] + other.counters()["generated_tokens"]
            assert session.usage.generated_tokens == both
            assert session.usage.calls == 6

    asyncio.run(main())


def test_a_reused_sample_must_have_come_in_time(tmp_path: Path) -> None:
    def script(prompt: str, seed: int) -> Reply:
        return Reply(FIVE, latency=0.05 if seed % 2 else 1.0)

    async def main() -> None:
        one, two, three = (tmp_path / name for name in ("one", "two", "three"))
        (all_of_them,) = await run(SelfConsistency(n=8), ScriptedEngine(script), journal=one)
        assert drawn(all_of_them) == 8
        alone, reusing = ScriptedEngine(script), ScriptedEngine(script)
        tight = Budget(seconds=0.5)
        (fresh,) = await run(SelfConsistency(n=8), alone, budget=tight, journal=two)
        (reused,) = await run(SelfConsistency(n=8), reusing, budget=tight, journal=three, reuse=[one])
        kinds = [[c["finish"] for c in r["solution"]["candidates"]] for r in (fresh, reused)]
        assert kinds[0] == kinds[1]
        assert set(kinds[0]) == {"stop", "abort"}
        assert reused["usage"]["seconds"] < 0.9

    asyncio.run(main())


def test_a_reused_score_must_have_come_in_time(tmp_path: Path) -> None:
    async def main() -> None:
        one, two = tmp_path / "one", tmp_path / "two"
        await run(BestOfN(n=2), ScriptedEngine(quick), verifier=Slow(1.0), journal=one)
        (record,) = await run(
            BestOfN(n=2),
            ScriptedEngine(quick),
            verifier=Slow(1.0),
            journal=two,
            reuse=[one],
            budget=Budget(seconds=0.3),
        )
        assert [c["scores"] for c in record["solution"]["candidates"]] == [{}, {}]
        assert (record["status"], record["solution"]["answer"]) == ("over_budget", "5")

    asyncio.run(main())


# -- the end of a budget is a vote, not an error ----------------------------------------------------------------------


@pytest.mark.parametrize("how", [{"budget": Budget(seconds=0.3)}, {"seconds": 0.3}], ids=["problem", "run"])
@pytest.mark.parametrize("select", ["auto", "highest", "filtered", "product"])
def test_a_deadline_before_any_score_leaves_the_majority(select: Any, how: Any) -> None:
    engine = ScriptedEngine(after(0.05))
    (record,) = asyncio.run(run(BestOfN(n=4, select=select), engine, verifier=Slow(9.0), **how))
    assert record["error"] is None
    assert (record["status"], record["solution"]["answer"], drawn(record)) == ("over_budget", "5", 4)
    assert all("unscored" in c for c in record["solution"]["candidates"])


@pytest.mark.parametrize("strategy", [DVTS(n=4, width=2), MCTS(n=4), ABMCTS(n=4)], ids=lambda s: type(s).__name__)
def test_a_deadline_in_mid_search_is_no_error(strategy: Any) -> None:
    asyncio.run(run(strategy, ScriptedEngine(), verifier=Slow(0.0)))  # loads what it needs
    engine = ScriptedEngine(lambda p, s: replace(arithmetic(p, s), latency=0.05))
    (record,) = asyncio.run(run(strategy, engine, verifier=Slow(0.3), budget=Budget(seconds=0.5)))
    assert (record["status"], record["error"]) == ("over_budget", None)
    assert record["solution"]["tree"]


def test_doubt_at_the_deadline_is_no_error() -> None:
    engine = ScriptedEngine(lambda p, s: Reply(FIVE + " and more" * 200, latency=1.0))
    (record,) = asyncio.run(run(DeepConf(n=4, warmup=2), engine, budget=Budget(seconds=0.3)))
    assert (record["status"], record["error"], record["solution"]["answer"]) == ("over_budget", None, "5")


@pytest.mark.parametrize("beside", [False, True], ids=["itself", "another"])
@pytest.mark.parametrize("strategy", [BestOfN(n=4), SelfConsistency(n=4)], ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("budget", [Budget(calls=4), Budget(tokens=4 * TOKENS)], ids=str)
def test_a_judge_whom_the_budget_does_not_reach_is_no_error(budget: Budget, strategy: Any, beside: bool) -> None:
    verifier = judge(ScriptedEngine(judging, model="other") if beside else None)
    (record,) = asyncio.run(run(strategy, ScriptedEngine(judging), verifier=verifier, budget=budget))
    assert record["error"] is None
    assert (record["status"], record["solution"]["answer"], drawn(record)) == ("over_budget", "5", 4)


def test_a_verifier_that_fails_within_the_budget_is_still_an_error() -> None:
    class Refuses(RuleVerifier):
        async def score(self, prompt: Prompt, completion: Completion, session: Session, request_id: str) -> StepScores:
            raise RequestError("it was refused")

    card: Any = load("scripted")[0]
    (record,) = asyncio.run(run(BestOfN(n=2), ScriptedEngine(quick), verifier=Refuses(card), budget=Budget(tokens=900)))
    assert (record["status"], record["error"]) == ("error", "verifier 'scripted': it was refused")


# -- admission ---------------------------------------------------------------------------------------------------------


def test_calls_keep_their_places_where_some_are_not_admitted(sessions: Any) -> None:
    async def main() -> None:
        budget = Budget(flops=2e6 * 60)
        async with sessions(quick, budget=budget, sampling=Sampling(max_tokens=10)) as session:
            engine = session._setup.engine
            long, short = (Prompt("w " * n, engine.encode("w " * n)) for n in (200, 5))
            first, second = session.submit([long, short])
            assert first is None
            assert await second is not None
            tree = Tree(session, long, MCTS())
            calls = tree._ask([Branch(None, long), Branch(None, short)])
            assert calls[0] is None
            assert calls[1] is not None
            assert await calls[1] is not None
            assert session.over_budget

    asyncio.run(main())


@pytest.mark.parametrize("budget", [Budget(tokens=3), Budget(flops=2e6 * 80)], ids=str)
def test_a_small_budget_gives_some_what_all_cannot_have(sessions: Any, budget: Budget) -> None:
    async def main() -> None:
        async with sessions(quick, budget=budget) as session:
            found = await session.sample(session.ask(session.problem), 8)
            assert 0 < len(found) < 8
            assert session.over_budget
            assert session.usage.generated_tokens <= (budget.tokens or 999)
            assert session.usage.flops <= (budget.flops or 1e99)

    asyncio.run(main())


@pytest.mark.parametrize(
    "budget", [Budget(calls=5), Budget(calls=9), Budget(tokens=60), Budget(flops=2e6 * 900)], ids=str
)
@pytest.mark.parametrize("beside", [False, True], ids=["itself", "another"])
def test_a_judge_and_the_search_it_guides_share_one_budget(budget: Budget, beside: bool) -> None:
    def late(prompt: str, seed: int) -> Reply:
        return replace(arithmetic(prompt, seed), latency=0.02 + seed % 7 / 50)

    def script(prompt: str, seed: int) -> Reply:
        return judging(prompt, seed) if "core" in prompt else late(prompt, seed)

    verifier = judge(ScriptedEngine(judging, model="other") if beside else None)
    (record,) = asyncio.run(run(DVTS(n=4, width=2), ScriptedEngine(script), verifier=verifier, budget=budget))
    usage = record["usage"]
    assert record["error"] is None
    assert usage["calls"] <= (budget.calls or 99)
    assert usage["generated_tokens"] <= (budget.tokens or 9999)
    assert usage["flops"] <= (budget.flops or 1e99)


@pytest.mark.parametrize(
    "strategy", [MCTS(n=8), ABMCTS(n=8), BestOfN(n=8), DVTS(n=8, width=2)], ids=lambda s: type(s).__name__
)
@pytest.mark.parametrize("flops", [3e8, 1e9, 2e9])
def test_a_verifiers_reading_is_within_the_budget(strategy: Any, flops: float) -> None:
    class Dear(RuleVerifier):
        flops_per_token: float | None = 2e7

    card: Any = load("scripted")[0]
    (record,) = asyncio.run(run(strategy, ScriptedEngine(), verifier=Dear(card), budget=Budget(flops=flops)))
    assert record["error"] is None
    assert record["usage"]["flops"] <= flops


# -- a budget for the whole set, judges included -----------------------------------------------------------------------


@pytest.mark.parametrize("beside", [False, True], ids=["itself", "another"])
@pytest.mark.parametrize("strategy", [BestOfN(), SelfConsistency()], ids=lambda s: type(s).__name__)
def test_the_tokens_of_a_judge_are_the_sets_too(strategy: Any, beside: bool) -> None:
    policy, other = ScriptedEngine(judging), ScriptedEngine(judging, model="other")
    by_score = strategy.selector("judge-score") == "weighted"
    card: Any = load("judge-score")[0].model_copy(update={"max_tokens": 20})
    found = asyncio.run(
        run(
            strategy, policy, 4, verifier=JudgeVerifier(card, other if beside else None),
            total=400, most=64, by_score=by_score,
        )
    )  # fmt: skip
    engines = policy.counters()["generated_tokens"] + other.counters()["generated_tokens"]
    assert generated(found) == engines
    assert 300 < engines <= 400
    candidates = [c for r in found for c in r["solution"]["candidates"]]
    assert all("judge-score" in c["scores"] for c in candidates)
    assert by_score


def test_a_judge_that_compares_cannot_be_paid_sample_by_sample() -> None:
    given = {"engine": "scripted", "strategy": "best-of-n", "verifier": "judge-pairwise", "total_tokens": 100}
    with pytest.raises(InputError, match="compares all at the end"):
        resolve(given, None)


# -- asleep ------------------------------------------------------------------------------------------------------------


def dreaming(latency: float) -> Script:
    return lambda p, s: Reply("pears: 3" if "no question yet" in p else FIVE, latency=latency)


def test_a_problem_asleep_when_time_is_up_was_not_begun(tmp_path: Path) -> None:
    async def main() -> None:
        asked, journal = examples(3, "Ann has 3 pears."), tmp_path / "journal"
        engine = ScriptedEngine(dreaming(2.0))
        found = await run(SleepTime(), engine, asked, seconds=0.3, journal=journal)
        assert [(r["status"], r["error"], r.get("begun", True)) for r in found] == [("over_budget", None, False)] * 3
        assert generated(found) == engine.counters()["generated_tokens"]
        assert sum("phases" in r for r in found) == 1
        again = ScriptedEngine(dreaming(0.0))
        done = await run(SleepTime(), again, asked, seconds=30, journal=journal)
        assert [(r["status"], r["solution"]["answer"]) for r in done] == [("ok", "5")] * 3

    asyncio.run(main())


def test_notes_that_fail_are_an_error_while_there_is_time() -> None:
    engine = ScriptedEngine(lambda p, s: Reply("", error="request"))
    found = asyncio.run(run(SleepTime(), engine, examples(2, "Ann has 3 pears."), seconds=30))
    assert [r["status"] for r in found] == ["error"] * 2


def test_what_notes_cost_stays_on_the_account_when_they_are_in_a_store_too(tmp_path: Path) -> None:
    async def main() -> None:
        journal, strategy = tmp_path / "journal", SleepTime(store=str(tmp_path / "store"))
        asked = examples(2, "Ann has 3 pears.")
        before = await run(strategy, ScriptedEngine(quick), asked, journal=journal)
        again = ScriptedEngine(quick)
        resumed = await run(strategy, again, asked, journal=journal)  # as after a kill before any record
        assert again.counters()["generated_tokens"] == 0
        for one, other in zip(before, resumed, strict=True):
            for spent in (
                one["usage"],
                other["usage"],
                *one.get("phases", {}).values(),
                *other.get("phases", {}).values(),
            ):
                spent.pop("seconds"), spent.pop("queue_seconds")
        assert [r["usage"] for r in resumed] == [r["usage"] for r in before]
        assert [r.get("phases") for r in resumed] == [r.get("phases") for r in before]
        elsewhere = await run(strategy, ScriptedEngine(quick), asked, journal=tmp_path / "other")
        assert not any("phases" in r for r in elsewhere)

    asyncio.run(main())
