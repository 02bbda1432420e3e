"""Process verifiers: a reward model that scores each step of a solution without knowing the target."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Literal, Protocol

from pydantic import BaseModel, ConfigDict

from tts.errors import EngineUnavailable, RequestError
from tts.selection import Aggregation, aggregate
from tts.types import Completion, Message, Prompt, StepScores
from tts.verify.memo import Memo, prefix_keys

if TYPE_CHECKING:
    from tts.flops import Cost
    from tts.session import Session

_BLANK_LINE = re.compile(r"\n\s*\n")


class Card(BaseModel):
    """A process verifier's card; `verifiers/*.toml` holds one a file.

    The model reads the prompt and the response with `separator` after each step, and gives `labels` logits
    at each separator, of which number `positive` is that of being right so far.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    kind: Literal["process"]
    description: str
    model: str
    architecture: str
    separator: str
    labels: int = 2
    positive: int = 1
    aggregation: Aggregation = "last"
    license: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a scorer read: the logits at each position asked for (labels,), those in the cached prefix left out."""

    rows: Mapping[int, Sequence[float]]
    cached_tokens: int


class Scorer(Protocol):
    """An engine that classifies tokens."""

    flops_per_token: float | None
    notes: list[str]

    def render(self, messages: Sequence[Message], prefill: str = "") -> Prompt: ...

    def encode(self, text: str) -> tuple[int, ...]: ...

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


class ProcessVerifier:
    """Step scores from a reward model on a pooling engine (Lightman et al. 2023, arXiv:2305.20050).

    A response is read as pieces, one a step, each tokenised by itself, so that the tokens of earlier steps never
    change and the engine has them in its prefix cache. The score of a step is kept under all that was read up to its
    end: whichever path asks again, it is not computed again.

    Raises:
        EngineUnavailable: the model's tokenizer does not know the separator as one token.
    """

    def __init__(self, card: Card, scorer: Scorer, memo: Memo | None = None) -> None:
        self.name = card.name
        self.key = card.model_dump_json()
        self.flops_per_token = scorer.flops_per_token
        self.cost: Cost | None = getattr(scorer, "cost", None)
        self.notes = scorer.notes
        self.rereads = 0
        """How often a score was wanted that lay in the cached prefix and was no longer known."""
        self._card = card
        self._scorer = scorer
        self._memo = memo or Memo()
        self._in_flight: dict[bytes, asyncio.Future[None]] = {}
        self._separator = scorer.encode(card.separator)
        if len(self._separator) != 1:
            raise EngineUnavailable(
                f"the tokenizer of {card.model} has no token {card.separator!r}", f"see the card of {card.name!r}"
            )

    async def score(self, prompt: Prompt, completion: Completion, session: Session, request_id: str) -> StepScores:
        steps = [step.strip() for step in _BLANK_LINE.split(completion.text) if step.strip()]
        if not steps:
            return StepScores((), 0.0)
        head = self._scorer.render(prompt.messages).token_ids
        pieces = [(*self._scorer.encode(step), *self._separator) for step in steps]
        scores, tokens, cached = await self._read(head, pieces, request_id)
        return StepScores(scores, aggregate(scores, self._card.aggregation), tokens, cached)

    async def _read(
        self, head: Sequence[int], pieces: Sequence[Sequence[int]], request_id: str
    ) -> tuple[tuple[float, ...], int, int]:
        """The score at the end of each piece; how many tokens were read for them, and how many of those were cached."""
        keys = prefix_keys(head, pieces)
        ends = list(accumulate((len(p) for p in pieces), initial=len(head) - 1))[1:]
        ids = [i for piece in (head, *pieces) for i in piece]
        known: dict[int, float] = {}
        tokens = cached = 0
        reread = False
        while True:
            known |= {i: s for i, k in enumerate(keys) if i not in known and (s := self._memo.get(k)) is not None}
            missing = [i for i in range(len(keys)) if i not in known]
            if not missing:
                return tuple(known[i] for i in range(len(keys))), tokens, cached
            others = [self._in_flight[keys[i]] for i in missing if keys[i] in self._in_flight]
            if others and (reread or len(others) == len(missing)):
                await asyncio.wait(others)
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
        if len(row) != self._card.labels:
            raise RequestError(f"verifier {self.name!r} gave {len(row)} labels, its card says {self._card.labels}")
        top = max(row)
        weights = [math.exp(x - top) for x in row]
        return weights[self._card.positive] / math.fsum(weights)

    async def abort(self, request_id: str) -> None:
        await self._scorer.abort(request_id)

    async def close(self) -> None:
        await self._scorer.close()
