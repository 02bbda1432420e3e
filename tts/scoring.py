"""A problem's scorings by the run's verifier: journalled, metered and aborted."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from typing import TYPE_CHECKING

from tts.calls import Calls, reading_cost
from tts.clock import Clock
from tts.errors import RequestError
from tts.journal import score_key
from tts.setup import Setup
from tts.types import Completion, Prompt, StepScores, Usage, Verifier

if TYPE_CHECKING:
    from tts.session import Session


class Scoring:
    """The scorings of one problem, all its parts included."""

    def __init__(self, setup: Setup, name: str, clock: Clock) -> None:
        self.in_flight: set[str] = set()
        self._setup, self._name, self._clock = setup, name, clock
        self._begun = 0
        self._readings: dict[bytes, asyncio.Future[None]] = {}
        """What is being read, by key: an equal text waits for it."""

    @property
    def verifier(self) -> Verifier:
        """The run's.

        Raises:
            RequestError: there is none.
        """
        if self._setup.verifier is None:
            raise RequestError("no verifier was given (--verifier NAME)")
        return self._setup.verifier

    async def rate(self, prompt: Prompt, completion: Completion, session: Session, calls: Calls) -> StepScores:
        """One completion's scores, from the journal or the verifier, charged as `calls` are. Equal texts are read and
        charged once.
        """
        verifier, journal, draws = self.verifier, self._setup.journal, calls.draws
        key = score_key(verifier.key, session.problem, prompt, completion.text) if verifier.key is not None else None
        if key is None:
            return await self._read(None, prompt, completion, session, calls)
        while (reading := self._readings.get(key)) is not None:
            await asyncio.wait([reading])
        if (known := journal.lookup_score(key, self._setup.budget.seconds)) is not None:
            scores, elapsed = known
            if key not in draws.paid:
                self._clock.advance(elapsed)
                self._meter(key, scores, calls)
            return scores
        self._readings[key] = asyncio.get_running_loop().create_future()
        try:
            return await self._read(key, prompt, completion, session, calls)
        finally:
            self._readings.pop(key).set_result(None)

    async def _read(
        self, key: bytes | None, prompt: Prompt, completion: Completion, session: Session, calls: Calls
    ) -> StepScores:
        """The verifier's scores, in the journal before they are returned."""
        verifier, account = self.verifier, calls.account
        price, left = 0.0, None
        if account.priced:
            price = reading_cost(verifier, len(prompt.token_ids) + completion.generated_tokens, 0) or 0.0
            left = account.left().flops
        if self._clock.expired or (left is not None and price > left and not math.isclose(price, left)):
            account.overdraw()
            return StepScores((), None, error="time was up" if self._clock.expired else "the budget was spent")
        self._begun += 1
        request_id = f"{self._name}/score/{self._begun}"
        self.in_flight.add(request_id)
        account.reserve(0, 0, price)
        try:
            scores = await verifier.score(prompt, completion, session, request_id)
        except RequestError as error:
            return StepScores((), None, error=error.message)
        finally:
            self.in_flight.discard(request_id)
            account.reserve(0, 0, -price)
        self._meter(key, scores, calls)
        if scores.value is None or not all(map(math.isfinite, (scores.value, *scores.steps))):
            return replace(scores, steps=(), value=None, error=scores.error or "a score that is not a number")
        if key:
            await self._setup.journal.scored(key, scores, self._clock.elapsed)
        return scores

    def _meter(self, key: bytes | None, s: StepScores, calls: Calls) -> None:
        if key:
            calls.draws.paid.add(key)
        flops = reading_cost(self.verifier, s.tokens, s.cached_tokens)
        calls.account.charge(Usage(verifier_tokens=s.tokens, verifier_cached_tokens=s.cached_tokens, flops=flops))

    async def abort(self) -> None:
        """End all scorings in flight."""
        for request_id in list(self.in_flight):
            await self.verifier.abort(request_id)
