"""Process verifiers on a scorer that computes nothing, but caches blocks as vLLM does."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tts.engines.scorer import cache_trouble
from tts.engines.scripted import ScriptedEngine
from tts.errors import EngineUnavailable, RequestError
from tts.types import Candidate, Completion, Message, Problem, Prompt
from tts.verify import cards
from tts.verify.cards import RewardCard
from tts.verify.memo import Memo, prefix_keys
from tts.verify.reward import Reading, RewardVerifier

BLOCK = 4
ASKED = Prompt("", (), (Message("user", "What is 2 + 3 ?"),))


class Blocks:
    """Scores a position by the tokens up to it; keeps whole blocks of what it has read, once the reading is done."""

    flops_per_token = 1.0
    max_model_len = 4096

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.calls: list[tuple[int, int]] = []
        self.fail, self.seconds = 0, 0.001
        self._engine = ScriptedEngine()
        self._blocks: set[tuple[int, ...]] = set()

    bos = "<s>"

    def transcript(self, messages: Sequence[Message], *, reply: bool) -> str:
        said = "".join(f"{m.role}: {m.content} <end>\n" for m in messages)
        return said + ("assistant: " if reply else "")

    def encode(self, text: str) -> tuple[int, ...]:
        return self._engine.encode(text)

    async def classify(
        self, token_ids: Sequence[int], positions: Sequence[int], request_id: str, *, cached: bool = True
    ) -> Reading:
        ids = tuple(token_ids)
        ends = range(BLOCK, len(ids), BLOCK)
        hits = [end for end in ends if cached and ids[:end] in self._blocks]
        found = hits[-1] if hits else 0
        self._blocks.update(ids[:end] for end in ends)
        self.calls.append((len(ids), found))
        await asyncio.sleep(self.seconds)
        if self.fail:
            self.fail -= 1
            raise RequestError("refused")
        rows = {p: [0.0, math.sin(sum(ids[: p + 1]))] for p in positions if p >= found}
        return Reading(rows, found)

    async def abort(self, request_id: str) -> None: ...

    async def close(self) -> None: ...


class Scalar(Blocks):
    """The same with one number a token."""

    async def classify(self, *a: Any, **k: Any) -> Reading:
        found = await super().classify(*a, **k)
        return Reading({p: row[1:] for p, row in found.rows.items()}, found.cached_tokens)


SESSION = cast(Any, SimpleNamespace(problem=Problem("p", "What is 2 + 3 ?")))


def card(name: str, **changes: Any) -> RewardCard:
    found, _ = cards.load(name)
    assert isinstance(found, RewardCard)
    return found.model_copy(update=changes)


def verifier(scorer: Blocks, memo: Memo | None = None, name: str = "nano", **changes: Any) -> RewardVerifier:
    return RewardVerifier(card(name, **changes), scorer, memo)


async def score(who: RewardVerifier, *steps: str) -> Any:
    text = "\n\n".join(steps)
    return await who.score(ASKED, Completion(text, "stop"), SESSION, text)


STEPS = tuple(f"step {i} makes a sum of {i} and some words more" for i in range(12))


def test_a_growing_response_computes_each_step_once() -> None:
    async def main() -> None:
        scorer = Blocks()
        grown = verifier(scorer)
        found = [await score(grown, *STEPS[:k]) for k in range(1, 13)]
        fresh = [await score(verifier(Blocks()), *STEPS[:k]) for k in range(1, 13)]
        assert [f.steps for f in found] == [f.steps for f in fresh]
        assert [f.value for f in found] == [min(f.steps) for f in fresh]
        for now, full in zip(found[1:], fresh[1:], strict=True):
            assert now.tokens == full.tokens
            assert now.tokens - now.cached_tokens < 11 + BLOCK + 1
        assert grown.rereads == 0
        again = await score(grown, *STEPS)
        assert (again.steps, again.tokens) == (found[-1].steps, 0)
        assert len(scorer.calls) == 12

    asyncio.run(main())


def test_siblings_at_once_share_what_they_have_in_common() -> None:
    async def main() -> None:
        scorer = Blocks()
        shared = verifier(scorer)
        found = await asyncio.gather(*(score(shared, *STEPS[:3], last) for last in ("one way", "other", "one way")))
        assert found[0].steps == found[2].steps
        assert found[0].steps[:3] == found[1].steps[:3]
        assert found[0].steps == (await score(verifier(Blocks()), *STEPS[:3], "one way")).steps
        assert len(scorer.calls) == 2, "the same response is read once; the sibling finds its earlier steps known"
        assert shared.rereads == 0

    asyncio.run(main())


def test_a_score_that_is_cached_but_forgotten_is_read_again() -> None:
    async def main() -> None:
        forgetful = verifier(Blocks(), Memo(capacity=1))
        await score(forgetful, *STEPS[:6])
        again = await score(forgetful, *STEPS[:6], "and one more")
        fresh = await score(verifier(Blocks()), *STEPS[:6], "and one more")
        assert again.steps == fresh.steps
        assert forgetful.rereads == 1
        assert again.tokens > fresh.tokens

    asyncio.run(main())


def test_one_that_waited_for_a_request_that_failed_asks_itself() -> None:
    async def main() -> None:
        scorer = Blocks()
        scorer.fail = 1
        who = verifier(scorer)
        first, second = await asyncio.gather(score(who, *STEPS[:2]), score(who, *STEPS[:2]), return_exceptions=True)
        assert isinstance(first, RequestError)
        assert second.steps == (await score(verifier(Blocks()), *STEPS[:2])).steps

    asyncio.run(main())


def test_one_that_waits_for_anothers_request_can_be_aborted() -> None:
    async def main() -> None:
        scorer = Blocks()
        scorer.seconds = 0.2
        who = verifier(scorer)

        async def scored(request_id: str) -> Any:
            return await who.score(ASKED, Completion("\n\n".join(STEPS[:2]), "stop"), SESSION, request_id)

        owner, waiter = asyncio.ensure_future(scored("owner")), asyncio.ensure_future(scored("waiter"))
        await asyncio.sleep(0.02)
        await who.abort("waiter")
        with pytest.raises(RequestError, match="aborted"):
            await asyncio.wait_for(waiter, 0.1)
        assert len((await owner).steps) == 2
        await who.abort("waiter")
        assert (await scored("waiter")).steps == (await owner).steps

    asyncio.run(main())


def test_other_labels_than_the_cards_are_refused() -> None:
    class Three(Blocks):
        async def classify(self, *a: Any, **k: Any) -> Reading:
            found = await super().classify(*a, **k)
            return Reading({p: [*row, 0.0] for p, row in found.rows.items()}, found.cached_tokens)

    with pytest.raises(RequestError, match="gave 3 numbers a token, its card says 2"):
        asyncio.run(score(verifier(Three()), "a"))


def test_a_separator_must_be_one_token() -> None:
    class Spells(Blocks):
        def encode(self, text: str) -> tuple[int, ...]:
            return tuple(map(ord, text))

    with pytest.raises(EngineUnavailable, match="no token '<extra_0>'"):
        verifier(Spells())


def test_what_is_too_long_is_cut_by_whole_steps_and_said() -> None:
    async def main() -> None:
        whole = await score(verifier(Blocks()), *STEPS)
        short = Blocks()
        short.max_model_len = 60
        cut = await score(verifier(short), *STEPS)
        assert 0 < cut.unread == len(STEPS) - len(cut.steps) < len(STEPS)
        assert cut.steps == whole.steps[: len(cut.steps)]
        assert cut.tokens <= 60
        assert whole.unread == 0
        short.max_model_len = 8
        with pytest.raises(RequestError, match="takes 8 tokens; the question and one step have"):
            await score(verifier(short), *STEPS)

    asyncio.run(main())


def test_an_outcome_verifier_keeps_the_end() -> None:
    async def main() -> None:
        named = {"name": "skywork-reward-v2-llama-3.1-8b"}
        scorer = Scalar()
        whole = await score(verifier(scorer, **named), *STEPS)
        assert len(whole.steps) == 1
        scorer.max_model_len = 60
        cut = await score(verifier(scorer, **named), *STEPS)
        assert cut.unread > 0
        assert cut.steps == (await score(verifier(Scalar(), **named), *STEPS[cut.unread :])).steps

    asyncio.run(main())


def test_unread_steps_and_reasons_reach_the_candidate(sessions: Any) -> None:
    short = Blocks()
    short.max_model_len = 60
    long, longer = "\n\n".join(STEPS), " ".join(STEPS)

    async def main() -> Any:
        async with sessions(verifier=verifier(short)) as session:
            drawn = [Candidate(Completion(text, "stop"), "5") for text in (long, longer)]
            return await session.scored(session.ask(session.problem), drawn)

    first, second = asyncio.run(main())
    assert first.scores["nano:unread"] == [len(STEPS) - len(first.scores["nano:steps"])]
    assert second.scores == {}
    assert "takes 60 tokens" in second.unscored


def test_the_self_test_tells_a_cache_that_works_from_one_that_does_not() -> None:
    class Off(Blocks):
        async def classify(self, *a: Any, **k: Any) -> Reading:
            found = await super().classify(*a, **k)
            return Reading(
                {p: [x + found.cached_tokens for x in row] for p, row in found.rows.items()}, found.cached_tokens
            )

    class Never(Blocks):
        async def classify(self, *a: Any, cached: bool = True, **k: Any) -> Reading:
            return await super().classify(*a, cached=False, **k)

    refuses = Blocks()
    refuses.fail = 1
    assert asyncio.run(cache_trouble(Blocks(), BLOCK)) is None
    assert "off by" in str(asyncio.run(cache_trouble(Off(), BLOCK)))
    assert "read nothing" in str(asyncio.run(cache_trouble(Never(), BLOCK)))
    assert asyncio.run(cache_trouble(refuses, BLOCK)) == "refused"


def test_a_memo_keeps_the_first_score_and_the_last_used() -> None:
    one, two, three = prefix_keys((1, 2), [(3,), (4,), (5,)])
    assert prefix_keys((1, 2), [(3,), (4,)]) == [one, two]
    assert prefix_keys((1,), [(2, 3), (4,)])[-1] != two, "where a step ends is part of the key"
    memo = Memo(capacity=2)
    memo.put(one, 0.1)
    memo.put(one, 0.9)
    memo.put(two, 0.2)
    assert memo.get(one) == 0.1
    memo.put(three, 0.3)
    assert [memo.get(k) for k in (one, two, three)] == [0.1, None, 0.3]
