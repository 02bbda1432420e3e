"""Process verifiers: a reward model that scores each step of a solution without knowing the target."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, Protocol

from pydantic import BaseModel, ConfigDict

from tts.errors import RequestError
from tts.selection import Aggregation, aggregate
from tts.types import Completion, Message, Prompt, StepScores

if TYPE_CHECKING:
    from tts.session import Session

_BLANK_LINE = re.compile(r"\n\s*\n")


class Card(BaseModel):
    """A process verifier's card; `verifiers/*.toml` holds one a file.

    The model reads the prompt and the response with `separator` after each step, and gives `labels` probabilities
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


class Scorer(Protocol):
    """An engine that classifies tokens."""

    flops_per_token: float | None

    def render(self, messages: tuple[Message, ...], prefill: str) -> Prompt: ...

    async def classify(self, prompt: Prompt, request_id: str) -> list[list[float]]:
        """Class probabilities at each step separator of the prompt, in order: (separators, labels)."""
        ...

    async def abort(self, request_id: str) -> None: ...

    async def close(self) -> None: ...


class ProcessVerifier:
    """Step scores from a reward model on a pooling engine (Lightman et al. 2023, arXiv:2305.20050)."""

    def __init__(self, card: Card, scorer: Scorer) -> None:
        self.name = card.name
        self.key = card.model_dump_json()
        self.flops_per_token = scorer.flops_per_token
        self._card = card
        self._scorer = scorer

    async def score(self, prompt: Prompt, completion: Completion, session: Session, request_id: str) -> StepScores:
        separator = self._card.separator
        steps = [step.strip() for step in _BLANK_LINE.split(completion.text) if step.strip()]
        if not steps:
            return StepScores((), 0.0)
        asked = self._scorer.render(prompt.messages, separator.join(steps) + separator)
        rows = await self._scorer.classify(asked, request_id)
        if len(rows) < len(steps) or any(len(row) != self._card.labels for row in rows):
            raise RequestError(f"verifier {self.name!r} gave {len(rows)} rows for {len(steps)} steps")
        scores = tuple(row[self._card.positive] for row in rows[-len(steps) :])
        return StepScores(scores, aggregate(scores, self._card.aggregation), len(asked.token_ids))

    async def abort(self, request_id: str) -> None:
        await self._scorer.abort(request_id)

    async def close(self) -> None:
        await self._scorer.close()
