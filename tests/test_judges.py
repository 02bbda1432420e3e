"""Verifiers that need no reward model: judges, P(True), confidence, rules."""

from __future__ import annotations

import asyncio
import math
import time
from pathlib import Path
from typing import Any

import pytest

from tts import engines
from tts.engines.confidence import mean_entropy
from tts.engines.scripted import Reply, ScriptedEngine
from tts.errors import EngineUnavailable, InputError, RequestError
from tts.settings import Settings, check_verifier
from tts.strategies import STRATEGIES
from tts.types import Budget, Completion, Problem, Prompt
from tts.verify import cards
from tts.verify.confidence import ConfidenceVerifier
from tts.verify.judge import JudgeVerifier, PairwiseJudge, p_true
from tts.verify.rule import RuleVerifier, sums

PROBLEM = Problem("p", "What is 2 + 3?")
GOOD, BAD = Completion("It is 5. \\boxed{5}", "stop"), Completion("It is 6. \\boxed{6}", "stop")


def card(name: str, **changes: Any) -> Any:
    return cards.load(name)[0].model_copy(update=changes)


def by_right(*, good: str, bad: str) -> Any:
    """A script that says `good` of a response with 5 in it."""
    return lambda prompt, seed: Reply(good if "It is 5" in prompt else bad)


async def scores(sessions: Any, script: Any, verifier: Any, *completions: Completion, **more: Any) -> Any:
    async with sessions(script, verifier=verifier, problem=PROBLEM, **more) as session:
        return await session.score(session.ask(PROBLEM), list(completions)), session.usage


@pytest.mark.parametrize(
    ("name", "good", "bad", "wanted"),
    [
        ("judge-score", "No mistake.\nScore: 9", "It is 5, not 6.\n**Score:** 1.5", (0.9, 0.15)),
        ("judge-verify", "2 + 3 = 5.\nVerdict: yes", "2 + 3 = 5, not 6.\nVerdict: **no**", (1.0, 0.0)),
    ],
)
def test_a_judge_reads_what_it_is_told(sessions: Any, name: str, good: str, bad: str, wanted: Any) -> None:
    judge = JudgeVerifier(card(name))
    found, usage = asyncio.run(scores(sessions, by_right(good=good, bad=bad), judge, GOOD, BAD))
    assert tuple(s.value for s in found) == pytest.approx(wanted)
    assert usage.calls == 2 * card(name).votes
    assert usage.generated_tokens > 0


def test_a_judgement_that_cannot_be_read_is_no_score(sessions: Any) -> None:
    judge = JudgeVerifier(card("judge-score"))
    found, _ = asyncio.run(scores(sessions, by_right(good="Score: 8", bad="Score: 11 of 10"), judge, GOOD, BAD))
    assert [(s.value, s.error) for s in found] == [(0.8, None), (None, "the judgement cannot be read")]
    with pytest.raises(RequestError, match="cannot be read"):
        asyncio.run(scores(sessions, lambda p, s: Reply("Well."), judge, GOOD))


def test_unread_votes_are_left_out_of_the_mean(sessions: Any) -> None:
    said = ["Verdict: yes", "Hm.", "Verdict: no", "Verdict: yes"]
    judge = JudgeVerifier(card("judge-verify"))
    found, _ = asyncio.run(scores(sessions, lambda p, s: Reply(said.pop()), judge, GOOD))
    assert found[0].value == pytest.approx(2 / 3)


def test_judging_keeps_to_the_budget_and_the_journal(sessions: Any, tmp_path: Path) -> None:
    judge = JudgeVerifier(card("judge-verify"))
    script = by_right(good="Verdict: yes", bad="Verdict: no")
    found, usage = asyncio.run(scores(sessions, script, judge, GOOD, BAD, budget=Budget(calls=4)))
    assert [s.value for s in found] == [1.0, None]
    assert "budget" in found[1].error
    assert usage.calls == 4
    first, _ = asyncio.run(scores(sessions, script, judge, GOOD, journal=tmp_path / "j"))
    again, _ = asyncio.run(scores(sessions, lambda p, s: Reply("never asked"), judge, GOOD, journal=tmp_path / "j"))
    assert first == again


def test_a_tournament_ranks_and_changes_places(sessions: Any) -> None:
    asked: list[str] = []

    def prefers_right(prompt: str, seed: int) -> Reply:
        asked.append(prompt)
        one, other = prompt.index("Response A:"), prompt.index("Response B:")
        right = prompt.find("It is 5")
        return Reply(f"Better: {'A' if one < right < other else 'B'}")

    judge = PairwiseJudge(card("judge-pairwise", votes=2))
    others = [Completion(f"It is {i}.", "stop") for i in (6, 7, 8)]
    found, _ = asyncio.run(scores(sessions, prefers_right, judge, GOOD, *others))
    assert found[0].value == 1.0
    assert all(s.value < 1.0 for s in found[1:])
    firsts = {p[p.index("Response A:") : p.index("Response B:")] for p in asked if "It is 5" in p}
    assert len(firsts) > 1, "the same response stands first and second in turn"
    alone, _ = asyncio.run(scores(sessions, prefers_right, judge, GOOD))
    assert alone[0].value == 1.0
    twins, _ = asyncio.run(scores(sessions, prefers_right, judge, GOOD, GOOD))
    assert [s.value for s in twins] == [0.5, 0.5]


def test_a_judge_may_be_another_model(sessions: Any) -> None:
    other = ScriptedEngine(by_right(good="Score: 10", bad="Score: 0"), model="other")
    judge = JudgeVerifier(card("judge-score"), other)
    found, usage = asyncio.run(scores(sessions, lambda p, s: Reply("the policy says nothing"), judge, GOOD, BAD))
    assert [s.value for s in found] == [1.0, 0.0]
    assert usage.generated_tokens == other.counters()["generated_tokens"] > 0


def test_p_true_is_the_probability_of_true(sessions: Any) -> None:
    assert p_true([("True", math.log(0.6)), (" false", math.log(0.2))]) == pytest.approx(0.75)
    assert p_true([("True", math.log(0.3)), ("true", math.log(0.3)), ("no", -1.0)]) == pytest.approx(0.6)
    assert p_true([("False", math.log(0.9))]) == pytest.approx(0.1)
    assert p_true([("Perhaps", -0.1)]) is None
    judge = JudgeVerifier(card("p-true"))
    script = by_right(good="True", bad="False")
    found, usage = asyncio.run(scores(sessions, script, judge, GOOD, BAD))
    assert [s.value for s in found] == pytest.approx([math.exp(-0.5), 1 - math.exp(-0.5)])
    assert usage.generated_tokens == 2


def test_a_thought_is_not_judged(sessions: Any) -> None:
    judge = JudgeVerifier(card("judge-score"))
    thinking = Completion("<think>It is 5</think>It is 6.", "stop")
    found, _ = asyncio.run(scores(sessions, by_right(good="Score: 9", bad="Score: 1"), judge, thinking))
    assert found[0].value == 0.1


SURE = Completion(
    "a b", "stop", generated_tokens=2, logprob_sum=-1.0, self_certainty=3.5, entropy=0.25, group_confidence=1.5,
    tail_confidence=2.5,
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("logprob-mean", math.exp(-0.5)),
        ("perplexity", math.exp(-0.5)),
        ("self-certainty", 3.5),
        ("entropy", math.exp(-0.25)),
        ("group-confidence", 1.5),
        ("tail-confidence", 2.5),
    ],
)
def test_confidence_is_read_from_the_completion(sessions: Any, name: str, value: float) -> None:
    found, usage = asyncio.run(scores(sessions, None, ConfidenceVerifier(card(name)), SURE, Completion("x", "stop")))
    assert found[0].value == pytest.approx(value)
    assert found[1].error == f"the engine gave no {name}"
    assert (usage.calls, usage.verifier_tokens) == (0, 0)


def test_entropy_is_exact_with_the_whole_vocabulary_and_bounds_it_without() -> None:
    shares = [[0.5, 0.25, 0.125, 0.125], [0.25] * 4]
    exact = [-sum(p * math.log(p) for p in row) for row in shares]
    logs = [[math.log(p) for p in row] for row in shares]
    assert mean_entropy(logs, 4) == pytest.approx(sum(exact) / 2)
    bound = mean_entropy([row[:2] for row in logs], 4)
    assert bound is not None
    assert bound >= sum(exact) / 2 - 1e-9
    assert mean_entropy([], 4) is None


def test_the_built_in_rule_finds_the_right_sum(sessions: Any) -> None:
    rule = RuleVerifier(card("scripted"))
    found, usage = asyncio.run(scores(sessions, None, rule, GOOD, BAD))
    assert found[0].value > 0.7 > 0.3 > found[1].value
    assert usage.verifier_tokens > 0
    assert sums("no numbers", ["7"]) == sums("no numbers", ["7"])


def test_a_rule_of_ones_own(tmp_path: Path, sessions: Any) -> None:
    (tmp_path / "mine.py").write_text(
        "def length(question, steps):\n    return [min(1.0, len(s) / 100) for s in steps]\n"
        "def short(question, steps):\n    return []\n"
        "def broken(question, steps):\n    return 1 / 0\n"
    )

    async def made(function: str) -> Any:
        mine = card("scripted", script=f"{tmp_path / 'mine.py'}:{function}", aggregation="min")
        return await engines.start_verifier(mine, None, tmp_path / "log", alone=True)

    async def main(function: str) -> Any:
        return (await scores(sessions, None, await made(function), GOOD))[0]

    assert asyncio.run(main("length"))[0].value == len(GOOD.text) / 100
    with pytest.raises(RequestError, match="gave 0 scores for 1 steps"):
        asyncio.run(main("short"))
    with pytest.raises(RequestError, match="ZeroDivisionError"):
        asyncio.run(main("broken"))
    with pytest.raises(EngineUnavailable, match="cannot read"):
        asyncio.run(made("absent"))


@pytest.mark.parametrize("strategy", ["best-of-n", "self-consistency"])
@pytest.mark.parametrize("select", ["auto", "highest", "weighted", "filtered", "product"])
def test_strategies_choose_by_a_verifier(sessions: Any, strategy: str, select: str) -> None:
    replies = ["\\boxed{6}", "\\boxed{6}", "\\boxed{6}", "It is 5: \\boxed{5}", "It is 5. \\boxed{5}"]

    async def main() -> Any:
        drawn = list(replies)
        async with sessions(
            lambda p, s: Reply(drawn.pop()), verifier=RuleVerifier(card("scripted")), problem=PROBLEM
        ) as session:
            cls: Any = STRATEGIES[strategy]
            return await cls(n=5, select=select, keep=0.4).solve(PROBLEM, session)

    solution = asyncio.run(main())
    assert solution.answer == "5"
    assert all("scripted" in c.scores for c in solution.candidates)


def test_a_tournament_is_for_strategies_that_score_all_at_once(sessions: Any) -> None:
    settings = Settings(strategy="beam", verifier="judge-pairwise")
    check_verifier(settings, STRATEGIES["best-of-n"]())
    with pytest.raises(InputError, match="scores one response at a time"):
        check_verifier(settings, STRATEGIES["single"]())
    judge = PairwiseJudge(card("judge-pairwise"))
    with pytest.raises(RequestError, match="no score for one alone"):
        asyncio.run(judge.score(Prompt(""), GOOD, None, ""))  # type: ignore[arg-type]


def test_another_judge_shares_the_budget_and_is_stopped_with_its_problem(sessions: Any) -> None:
    slow = ScriptedEngine(lambda p, s: Reply("Score: 9 " * 50, latency=30.0), model="other")
    judge = JudgeVerifier(card("judge-score"), slow)

    async def main() -> Any:
        async with sessions(None, verifier=judge, problem=PROBLEM, budget=Budget(seconds=0.3)) as session:
            found = await session.score(session.ask(PROBLEM), [GOOD])
            session.close()
            return found, session

    began = time.monotonic()
    found, session = asyncio.run(main())
    assert time.monotonic() - began < 10
    assert session.over_budget
    assert session.usage.wasted_tokens == slow.counters()["generated_tokens"]
    assert found[0].value is None or 0 <= found[0].value <= 1
    quick = JudgeVerifier(card("judge-score"), ScriptedEngine(lambda p, s: Reply("Score: 9"), model="other"))
    found, usage = asyncio.run(scores(sessions, None, quick, GOOD, BAD, budget=Budget(calls=1)))
    assert [s.value for s in found] == [0.9, None]
    assert usage.calls == 1


def test_joined_pieces_have_the_mean_confidence(sessions: Any) -> None:
    async def main() -> Completion:
        async with sessions(None, problem=PROBLEM) as session:
            engine = session._setup.engine
            pieces = [
                Completion(text, "stop", engine.encode(text), generated_tokens=n, self_certainty=c, entropy=e)
                for text, n, c, e in (("a b c", 3, 1.0, 0.4), (" d", 1, 5.0, 0.8))
            ]
            joined: Completion = session.join(pieces)
            return joined

    joined = asyncio.run(main())
    assert (joined.self_certainty, joined.entropy) == (pytest.approx(2.0), pytest.approx(0.5))
