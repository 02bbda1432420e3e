"""Reward models: a score for each step of a response, or one for the whole, without knowing the target."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, chain
from typing import TYPE_CHECKING, Protocol

from tts.errors import EngineUnavailable, RequestError
from tts.selection import aggregate
from tts.types import Completion, Prompt, StepScores
from tts.verify.cards import RewardCard
from tts.verify.layout import Layout, Tokens, lay_out, split_steps
from tts.verify.memo import Memo, prefix_keys

if TYPE_CHECKING:
    from tts.flops import Cost
    from tts.session import Session


@dataclass(frozen=True, slots=True)
class Reading:
    """What a scorer read: the logits at each position asked for (labels,), those in the cached prefix left out."""

    rows: Mapping[int, Sequence[float]]
    cached_tokens: int


class Scorer(Tokens, Protocol):
    """An engine that gives logits at tokens, with its tokenizer."""

    flops_per_token: float | None
    max_model_len: int
    notes: list[str]

    async def classify(
        self, token_ids: Sequence[int], positions: Sequence[int], request_id: str, *, cached: bool = True
    ) -> Reading:
        """The logits at these positions. Those that lie in a prefix which the engine found in its cache are not
        computed, and missing in what comes back; with `cached` False nothing is taken from there.

        Raises:
            RequestError: this request failed, or was aborted.
            EngineDead: the engine is gone.
        """
        ...

    async def abort(self, request_id: str) -> None: ...

    async def close(self) -> None: ...


class RewardVerifier:
    """Scores from a reward model on a pooling engine: of steps (Lightman et al. 2023, arXiv:2305.20050), or of the
    whole response (Cobbe et al. 2021, arXiv:2110.14168).

    A response is read as pieces, one a step, each tokenised by itself, so that the tokens of earlier steps never
    change and the engine has them in its prefix cache. The score of a step is kept under all that was read up to its
    end: whichever path asks again, it is not computed again. What is longer than the model takes is cut by whole
    steps: a process verifier leaves the last ones unread, an outcome verifier, which needs the answer, the first.

    Raises:
        EngineUnavailable: the model's tokenizer does not know the separator.
    """

    def __init__(self, card: RewardCard, scorer: Scorer, memo: Memo | None = None) -> None:
        self.name = card.name
        self.key: str | None = card.model_dump_json()
        self.flops_per_token = scorer.flops_per_token
        self.cost: Cost | None = getattr(scorer, "cost", None)
        self.notes = scorer.notes
        self.step = card.step
        """The text that ends a step."""
        self.rereads = 0
        """How often a score was wanted that lay in the cached prefix and was no longer known."""
        self._card = card
        self._scorer = scorer
        self._memo = memo or Memo()
        self._in_flight: dict[bytes, asyncio.Future[None]] = {}
        self._waiting: dict[str, asyncio.Future[None]] = {}
        """Scorings that wait for what another has asked for, by their request."""
        # A SentencePiece tokenizer puts a blank of its own before the one token that a separator should be.
        if len(scorer.encode(card.separator)) > 2:
            raise EngineUnavailable(
                f"the tokenizer of {card.model} has no token {card.separator!r}", f"see the card of {card.name!r}"
            )

    async def score(self, prompt: Prompt, completion: Completion, session: Session, request_id: str) -> StepScores:
        steps = split_steps(completion.text, self._card.step)
        if not steps:
            return StepScores((), 0.0)
        layout, unread = self._fitting(session, prompt, steps)
        scores, tokens, cached = await self._read(layout.head, layout.pieces, request_id)
        value = aggregate(scores, self._card.aggregation)
        return StepScores(scores, value, tokens, cached, unread=unread)

    def _fitting(self, session: Session, prompt: Prompt, steps: Sequence[str]) -> tuple[Layout, int]:
        """What fits of a response, and how many steps do not."""
        layout = lay_out(self._card, self._scorer, session.problem, prompt, steps)
        ends = list(accumulate((len(p) for p in layout.pieces), initial=len(layout.head)))[1:]
        longest = self._scorer.max_model_len
        if ends[-1] <= longest:
            return layout, 0
        if self._card.kind == "outcome":
            for unread in range(1, len(steps)):
                shorter = lay_out(self._card, self._scorer, session.problem, prompt, steps[unread:])
                if len(shorter.head) + len(shorter.pieces[0]) <= longest:
                    return shorter, unread
        kept = sum(end <= longest for end in ends)
        if not kept:
            raise RequestError(
                f"verifier {self.name!r} takes {longest} tokens; the question and one step have {ends[0]}"
            )
        return replace(layout, pieces=layout.pieces[:kept]), len(steps) - kept

    async def _read(
        self, head: tuple[int, ...], pieces: Sequence[tuple[int, ...]], request_id: str
    ) -> tuple[tuple[float, ...], int, int]:
        """The score at the end of each piece; how many tokens were read for them, and how many of those were cached."""
        keys = prefix_keys(head, pieces)
        ends = list(accumulate((len(p) for p in pieces), initial=len(head) - 1))[1:]
        ids = list(chain(head, *pieces))
        known: dict[int, float] = {}
        missing = list(range(len(keys)))
        tokens = cached = 0
        reread = False
        while True:
            known |= {i: score for i in missing if (score := self._memo.get(keys[i])) is not None}
            missing = [i for i in missing if i not in known]
            if not missing:
                return tuple(known[i] for i in range(len(keys))), tokens, cached
            others = [self._in_flight[keys[i]] for i in missing if keys[i] in self._in_flight]
            if others and (reread or len(others) == len(missing)):
                await self._wait(others, request_id)
                continue
            self.rereads += reread
            length = ends[missing[-1]] + 1
            reading = await self._ask(ids[:length], {keys[i]: ends[i] for i in missing}, request_id, cached=not reread)
            known |= {i: self._probability(reading.rows[ends[i]]) for i in missing if ends[i] in reading.rows}
            for i in missing:
                if i in known:
                    self._memo.put(keys[i], known[i])
            tokens, cached = tokens + length, cached + reading.cached_tokens
            reread = True

    async def _wait(self, others: Sequence[asyncio.Future[None]], request_id: str) -> None:
        """Wait for scores that others have asked for.

        Raises:
            RequestError: this scoring was aborted meanwhile.
        """
        aborted = self._waiting[request_id] = asyncio.get_running_loop().create_future()
        pending = set(others)
        try:
            while pending and not aborted.done():
                await asyncio.wait({*pending, aborted}, return_when=asyncio.FIRST_COMPLETED)
                pending = {other for other in pending if not other.done()}
        finally:
            self._waiting.pop(request_id, None)
        if aborted.done():
            raise RequestError(f"verifier {self.name!r}: the scoring was aborted")

    async def _ask(self, ids: Sequence[int], ends: Mapping[bytes, int], request_id: str, *, cached: bool) -> Reading:
        """One request, known to others that want the same scores while it lasts."""
        done = asyncio.get_running_loop().create_future()
        mine = [key for key in ends if key not in self._in_flight]
        self._in_flight |= dict.fromkeys(mine, done)
        try:
            return await self._scorer.classify(ids, list(ends.values()), request_id, cached=cached)
        finally:
            for key in mine:
                del self._in_flight[key]
            done.set_result(None)

    def _probability(self, row: Sequence[float]) -> float:
        card = self._card
        if len(row) != card.width:
            raise RequestError(f"verifier {self.name!r} gave {len(row)} numbers a token, its card says {card.width}")
        if card.head == "scalar":
            return 1 / (1 + math.exp(-row[0])) if row[0] > -700 else 0.0
        top = max(row)
        weights = [math.exp(x - top) for x in row]
        return weights[0 if card.head == "generative" else card.positive] / math.fsum(weights)

    async def abort(self, request_id: str) -> None:
        if waiting := self._waiting.pop(request_id, None):
            waiting.set_result(None)
        await self._scorer.abort(request_id)

    async def close(self) -> None:
        await self._scorer.close()
