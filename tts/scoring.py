"""A problem's scorings by the run's verifier: journalled, metered and aborted."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from tts.account import Account
from tts.calls import Draws
from tts.clock import Clock
from tts.errors import RequestError
from tts.flops import Cost
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

    @property
    def verifier(self) -> Verifier:
        """The run's.

        Raises:
            RequestError: there is none.
        """
        if self._setup.verifier is None:
            raise RequestError("no verifier was given (--verifier NAME)")
        return self._setup.verifier

    async def rate(
        self, prompt: Prompt, completion: Completion, session: Session, account: Account, draws: Draws
    ) -> StepScores:
        """One completion's scores, from the journal or the verifier, charged to `account`."""
        verifier, journal = self.verifier, self._setup.journal
        key = score_key(verifier.key, session.problem, prompt, completion.text) if verifier.key is not None else None
        if key and (known := journal.lookup_score(key)) is not None:
            scores, elapsed = known
            if key not in draws.rewound:
                self._clock.advance(elapsed)
                draws.paid.add(key)
                account.charge(_usage(verifier, scores))
            return scores
        if self._clock.expired:
            account.overdraw()
            return StepScores((), None, error="time was up")
        self._begun += 1
        request_id = f"{self._name}/score/{self._begun}"
        self.in_flight.add(request_id)
        try:
            scores = await verifier.score(prompt, completion, session, request_id)
        except RequestError as error:
            return StepScores((), None, error=error.message)
        finally:
            self.in_flight.discard(request_id)
        if key:
            draws.paid.add(key)
        account.charge(_usage(verifier, scores))
        if scores.value is None or not all(map(math.isfinite, (scores.value, *scores.steps))):
            return replace(scores, steps=(), value=None, error=scores.error or "a score that is not a number")
        if key:
            await journal.scored(key, scores, self._clock.elapsed)
        return scores

    async def abort(self) -> None:
        """End all scorings in flight."""
        for request_id in list(self.in_flight):
            await self.verifier.abort(request_id)


def _usage(verifier: Verifier, s: StepScores) -> Usage:
    rate, cost = verifier.flops_per_token, getattr(verifier, "cost", None) or Cost(verifier.flops_per_token or 0.0)
    return Usage(
        verifier_tokens=s.tokens,
        verifier_cached_tokens=s.cached_tokens,
        flops=0.0 if not s.tokens else None if rate is None else cost.call(s.tokens, s.cached_tokens, 0),
    )
