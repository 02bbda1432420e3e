"""Metering, seeds, budgets and replay of one problem, on the scripted engine."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path
from typing import Any

import pytest

from tts.engines.scripted import Reply
from tts.errors import EngineDead, RequestError
from tts.session import Session
from tts.types import Budget, Completion, Problem, Prompt, Sampling, StepScores

TEN = "one two three four five six seven eight nine ten"


def ten(prompt: str, seed: int) -> Reply:
    return Reply(TEN)


async def _sample(sessions: Any, n: int, **how: Any) -> tuple[Any, list[Any]]:
    async with sessions(**how) as session:
        return session, await session.sample(session.ask(session.problem), n)


def test_usage_is_what_the_engine_counted(sessions: Any) -> None:
    async def main() -> None:
        async with sessions(ten) as session:
            completions = await session.sample(session.ask(session.problem), 3)
            assert [c.generated_tokens for c in completions] == [10, 10, 10]
            counters = session._setup.engine.counters()
            assert session.usage.generated_tokens == counters["generated_tokens"] == 30
            assert session.usage.prompt_tokens == counters["prompt_tokens"] > 0
            assert session.usage.calls == 3
            assert session.usage.flops == 2e6 * (session.usage.prompt_tokens + 30)

    asyncio.run(main())


def test_a_larger_n_keeps_the_samples_of_a_smaller_one(sessions: Any) -> None:
    _, few = asyncio.run(_sample(sessions, 4))
    _, many = asyncio.run(_sample(sessions, 8))
    assert [c.seed for c in many[:4]] == [c.seed for c in few]
    assert [c.text for c in many[:4]] == [c.text for c in few]
    assert len({c.seed for c in many}) == 8


@pytest.mark.parametrize("other", [{"seed": 1}, {"problem": Problem("q", "What is 2 + 3?")}])
def test_seeds_differ_between_runs_and_problems(sessions: Any, other: dict[str, Any]) -> None:
    _, here = asyncio.run(_sample(sessions, 4))
    _, there = asyncio.run(_sample(sessions, 4, **other))
    assert not {c.seed for c in here} & {c.seed for c in there}


def test_a_second_draw_of_the_same_prompt_goes_on_where_the_first_ended(sessions: Any) -> None:
    async def main() -> list[int]:
        async with sessions(ten) as session:
            prompt = session.ask(session.problem)
            return [c.seed for _ in range(2) for c in await session.sample(prompt, 2)]

    _, at_once = asyncio.run(_sample(sessions, 4, script=ten))
    assert asyncio.run(main()) == [c.seed for c in at_once]


def test_token_budget_is_shared_and_cuts(sessions: Any) -> None:
    session, completions = asyncio.run(_sample(sessions, 4, script=ten, budget=Budget(tokens=20)))
    assert [c.generated_tokens for c in completions] == [5, 5, 5, 5]
    assert {c.finish for c in completions} == {"length"}
    assert session.over_budget
    assert session.usage.generated_tokens == 20


def test_unused_tokens_return_to_the_budget(sessions: Any) -> None:
    async def main() -> None:
        async with sessions(ten, budget=Budget(tokens=100)) as session:
            prompt = session.ask(session.problem)
            for _ in range(10):
                (completion,) = await session.sample(prompt)
                assert completion.finish == "stop"
            assert not session.over_budget
            assert await session.sample(prompt) == []
            assert session.over_budget

    asyncio.run(main())


def test_call_budget_admits_no_more(sessions: Any) -> None:
    session, completions = asyncio.run(_sample(sessions, 4, script=ten, budget=Budget(calls=3)))
    assert len(completions) == 3
    assert session.over_budget


def test_flops_budget_counts_the_prompt(sessions: Any) -> None:
    async def main() -> None:
        async with sessions(ten) as free:
            length = len(free.ask(free.problem).token_ids)
        async with sessions(ten, budget=Budget(flops=2e6 * (2 * length + 6))) as session:
            completions = await session.sample(session.ask(session.problem), 2)
            assert [c.generated_tokens for c in completions] == [3, 3]
            assert session.usage.flops <= 2e6 * (2 * length + 6)

    asyncio.run(main())


def test_the_deadline_aborts_and_returns_what_there_is(sessions: Any) -> None:
    def script(prompt: str, seed: int) -> Reply:
        return Reply(TEN, latency=60.0)

    async def main() -> None:
        async with sessions(script, budget=Budget(seconds=0.2)) as session:
            began = asyncio.get_running_loop().time()
            completions = await session.sample(session.ask(session.problem), 3)
            assert asyncio.get_running_loop().time() - began < 2.0
            assert {c.finish for c in completions} == {"abort"}
            assert session.over_budget
            assert session.usage.wasted_tokens == session.usage.generated_tokens
            assert await session.sample(session.ask(session.problem)) == []

    asyncio.run(main())


def test_leaving_a_stream_aborts_the_rest(sessions: Any) -> None:
    def script(prompt: str, seed: int) -> Reply:
        return Reply(TEN, latency=0.01 if seed % 2 else 30.0)

    async def main() -> None:
        async with sessions(script, max_sequences=64) as session:
            async with session.stream(session.ask(session.problem), 16) as stream:
                async for completion in stream:
                    assert completion.finish == "stop"
                    break
            assert not session._calls.in_flight
            assert session.usage.calls == 16

    asyncio.run(asyncio.wait_for(main(), 10))


def test_a_call_dropped_before_it_was_sent_is_not_sent(sessions: Any) -> None:
    async def main() -> None:
        async with sessions(lambda p, s: Reply(TEN, latency=5.0)) as session:
            (call,) = session.submit([session.ask(session.problem)])
            await call.drop()
            assert await call is None
            assert session.usage.calls == session.usage.generated_tokens == 0
            assert not session._calls.in_flight

    asyncio.run(asyncio.wait_for(main(), 2))


def test_what_finished_and_was_not_taken_from_a_stream_is_wasted(sessions: Any) -> None:
    async def main() -> None:
        async with sessions(lambda p, s: Reply(TEN, latency=0.05)) as session:
            async with session.stream(session.ask(session.problem), 4) as stream:
                async for _ in stream:
                    break
            assert session.usage.generated_tokens == 4 * 10
            assert session.usage.wasted_tokens == 3 * 10

    asyncio.run(asyncio.wait_for(main(), 5))


def test_a_prompt_that_does_not_fit_is_a_request_error(sessions: Any) -> None:
    with pytest.raises(RequestError, match="the model takes 5"):
        asyncio.run(_sample(sessions, 1, max_model_len=5))


def test_max_tokens_ends_at_the_context(sessions: Any) -> None:
    async def main() -> None:
        async with sessions(ten) as free:
            length = len(free.ask(free.problem).token_ids)
        async with sessions(ten, max_model_len=length + 4, sampling=Sampling(max_tokens=None)) as session:
            (completion,) = await session.sample(session.ask(session.problem))
            assert (completion.finish, completion.generated_tokens) == ("length", 4)
            assert not session.over_budget  # the model's limit, not the budget's

    asyncio.run(main())


def test_a_failed_request_leaves_its_siblings_in_the_journal(sessions: Any, tmp_path: Path) -> None:
    calls: list[int] = []

    def script(prompt: str, seed: int) -> Reply:
        calls.append(seed)
        return Reply(TEN, error="request" if len(calls) == 2 else None)

    async def main() -> None:
        async with sessions(script, journal=tmp_path / "j") as session:
            with pytest.raises(RequestError):
                await session.sample(session.ask(session.problem), 4)
        assert len(calls) == 4
        async with sessions(script, journal=tmp_path / "j") as session:
            completions = await session.sample(session.ask(session.problem), 4)
            assert len(completions) == 4
            assert len(calls) == 5  # only the failed one again
            assert session.usage.generated_tokens == 40

    asyncio.run(main())


def test_a_dead_engine_is_raised_as_such(sessions: Any) -> None:
    with pytest.raises(EngineDead):
        asyncio.run(_sample(sessions, 2, script=lambda prompt, seed: Reply(error="dead")))


def test_replay_costs_no_calls_and_counts_the_same(sessions: Any, tmp_path: Path) -> None:
    async def run() -> tuple[Any, Any, Any]:
        async with sessions(ten, journal=tmp_path / "j") as session:
            completions = await session.sample(session.ask(session.problem), 5)
            return completions, session.usage, session._setup.engine.counters()["generated_tokens"]

    first, usage, generated = asyncio.run(run())
    again, usage_again, generated_again = asyncio.run(run())
    assert again == first
    assert (generated, generated_again) == (50, 0)
    assert (usage_again.generated_tokens, usage_again.prompt_tokens) == (usage.generated_tokens, usage.prompt_tokens)


def test_aborted_calls_stay_in_the_ledger_after_a_resume(sessions: Any, tmp_path: Path) -> None:
    async def run(latency: float) -> Any:
        script = lambda prompt, seed: Reply(TEN, latency=latency)  # noqa: E731
        async with sessions(script, journal=tmp_path / "j") as session:
            task = asyncio.ensure_future(session.sample(session.ask(session.problem), 2))
            if latency:
                await asyncio.sleep(latency / 2)
                await session.stop()
            await task
            return session.usage

    spent = asyncio.run(run(0.4))
    assert 0 < spent.wasted_tokens == spent.generated_tokens < 20
    resumed = asyncio.run(run(0.0))
    assert resumed.wasted_tokens == spent.wasted_tokens
    assert resumed.generated_tokens == 20 + spent.wasted_tokens


def test_a_replayed_problem_does_not_get_its_seconds_anew(sessions: Any, tmp_path: Path) -> None:
    slow = lambda prompt, seed: Reply(TEN, latency=0.3)  # noqa: E731

    async def run() -> Any:
        async with sessions(slow, journal=tmp_path / "j", budget=Budget(seconds=0.5)) as session:
            prompt = session.ask(session.problem)
            return [(await session.sample(prompt)), (await session.sample(prompt)), session.elapsed]

    first, second, _ = asyncio.run(run())
    assert (first[0].finish, second[0].finish) == ("stop", "abort")
    replayed, after, elapsed = asyncio.run(run())
    assert replayed == first
    assert elapsed >= 0.5
    assert after == [] or after[0].finish == "abort"


def test_calls_aborted_in_an_earlier_life_are_not_charged_to_the_budget(sessions: Any, tmp_path: Path) -> None:
    async def run(latency: float) -> Any:
        script = lambda prompt, seed: Reply(TEN, latency=latency)  # noqa: E731
        async with sessions(script, journal=tmp_path / "j", budget=Budget(calls=2, tokens=20)) as session:
            task = asyncio.ensure_future(session.sample(session.ask(session.problem), 2))
            if latency:
                await asyncio.sleep(latency / 2)
                await session.stop()
            return await task, session

    asyncio.run(run(0.4))
    completions, session = asyncio.run(run(0.0))
    assert [c.generated_tokens for c in completions] == [10, 10]
    assert not session.over_budget
    assert session.usage.wasted_tokens > 0


def test_a_sample_cut_by_one_budget_does_not_serve_another(sessions: Any, tmp_path: Path) -> None:
    async def run(budget: Budget) -> Any:
        async with sessions(ten, journal=tmp_path / "j", budget=budget) as session:
            return await session.sample(session.ask(session.problem), 2)

    assert [c.generated_tokens for c in asyncio.run(run(Budget(tokens=8)))] == [4, 4]
    assert [c.generated_tokens for c in asyncio.run(run(Budget()))] == [10, 10]
    assert [c.generated_tokens for c in asyncio.run(run(Budget(tokens=8)))] == [4, 4]


def test_only_a_closed_box_counts_in_a_truncated_text(sessions: Any) -> None:
    async def main() -> None:
        async with sessions(
            lambda p, s: Reply("the answer is 12 and more"), sampling=Sampling(max_tokens=4)
        ) as session:
            (candidate,) = session.read(await session.sample(session.ask(session.problem)))
            assert (candidate.completion.finish, candidate.answer) == ("length", None)
        async with sessions(lambda p, s: Reply("so \\boxed{12} and more"), sampling=Sampling(max_tokens=2)) as session:
            (candidate,) = session.read(await session.sample(session.ask(session.problem)))
            assert (candidate.completion.finish, candidate.answer) == ("length", "12")

    asyncio.run(main())


class Counts:
    """A verifier whose score is the number of words, that knows one it refuses and one it gives no number for."""

    name, key, flops_per_token = "counts", "counts", 3.0

    def __init__(self) -> None:
        self.asked = 0

    async def score(self, prompt: Prompt, completion: Completion, session: Session, request_id: str) -> StepScores:
        self.asked += 1
        if "refused" in completion.text:
            raise RequestError("it was refused")
        value = math.nan if "nothing" in completion.text else len(completion.text.split()) / 10
        return StepScores((value,), value, tokens=10, cached_tokens=4)

    async def abort(self, request_id: str) -> None: ...

    async def close(self) -> None: ...


def test_scores_are_metered_and_computed_once(sessions: Any, tmp_path: Path) -> None:
    verifier = Counts()

    async def main() -> tuple[list[StepScores], Any]:
        async with sessions(ten, verifier=verifier, journal=tmp_path / "j.sqlite") as session:
            prompt = session.ask(session.problem)
            found = await session.score(prompt, [Completion("one two", "stop"), Completion("one", "stop")])
            return found, session.usage

    first, usage = asyncio.run(main())
    again, replayed = asyncio.run(main())
    assert [s.value for s in first] == [0.2, 0.1]
    assert again == first
    assert verifier.asked == 2
    assert (usage.verifier_tokens, usage.verifier_cached_tokens, usage.flops) == (20, 8, 36.0)
    assert replayed.verifier_tokens == 20


def test_an_equal_text_is_read_and_charged_once_in_a_life_and_in_the_next(sessions: Any, tmp_path: Path) -> None:
    """Whether it comes at the same time or later."""

    class Slow(Counts):
        async def score(self, prompt: Prompt, completion: Completion, session: Session, request_id: str) -> StepScores:
            await asyncio.sleep(0.01)
            return await super().score(prompt, completion, session, request_id)

    async def main(verifier: Counts) -> int:
        async with sessions(ten, verifier=verifier, journal=tmp_path / "j.sqlite") as session:
            prompt = session.ask(session.problem)
            await session.score(prompt, [Completion("one two", "stop")] * 3)
            await session.score(prompt, [Completion("one two", "stop")])
            return int(session.usage.verifier_tokens)

    verifier = Slow()
    assert [asyncio.run(main(verifier)) for _ in range(2)] == [10, 10]
    assert verifier.asked == 1


def test_an_equal_text_does_not_wait_for_one_that_failed(sessions: Any) -> None:
    async def main(verifier: Counts) -> list[StepScores]:
        async with sessions(ten, verifier=verifier) as session:
            asked = [Completion(text, "stop") for text in ("refused", "refused", "one two")]
            return list(await session.score(session.ask(session.problem), asked))

    verifier = Counts()
    assert [s.value for s in asyncio.run(main(verifier))] == [None, None, 0.2]
    assert verifier.asked == 3


def test_what_cannot_be_scored_has_an_error_and_no_value(sessions: Any) -> None:
    async def main(*texts: str) -> list[StepScores]:
        async with sessions(ten, verifier=Counts()) as session:
            completions = [Completion(text, "stop") for text in texts]
            found: list[StepScores] = await session.score(session.ask(session.problem), completions)
            return found

    good, refused, nothing = asyncio.run(main("good", "refused", "nothing"))
    assert (good.value, good.error) == (0.1, None)
    assert (refused.value, refused.error) == (None, "it was refused")
    assert nothing.value is None
    assert nothing.error == "a score that is not a number"
    with pytest.raises(RequestError, match="it was refused"):
        asyncio.run(main("refused", "refused"))


def test_a_response_goes_on_by_its_own_tokens(sessions: Any) -> None:
    async def main() -> None:
        async with sessions(lambda p, s: Reply("first step.\n\nsecond step.")) as session:
            prompt = session.ask(session.problem)
            (first,) = await session.sample(prompt, sampling=Sampling(max_tokens=50, stop=("\n\n",)))
            assert (first.text, first.finish, first.stop, first.complete) == ("first step.\n\n", "stop", "\n\n", False)
            then = session.extend(prompt, first)
            assert then.token_ids == prompt.token_ids + first.token_ids
            forced = session.extend(then, " Wait")
            assert forced.text == prompt.text + "first step.\n\n Wait"
            (last,) = await session.sample(forced, sampling=Sampling(max_tokens=2))
            whole = session.join([first, " Wait", last])
            assert whole.text == "first step.\n\n Waitfirst step."
            assert (whole.finish, whole.generated_tokens) == ("length", first.generated_tokens + 2)
            assert whole.logprob_sum == pytest.approx(-0.5 * whole.generated_tokens)

    asyncio.run(main())
