"""Confidence as a verifier: how sure the policy was of the tokens it wrote. Costs nothing, and needs no model."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tts.types import Completion, Prompt, StepScores
from tts.verify.cards import ConfidenceCard

if TYPE_CHECKING:
    from tts.session import Session


class ConfidenceVerifier:
    """A completion's confidence, never negative and higher where the policy was surer.

    `logprob-mean`: exp of the mean log-probability, the geometric mean of the tokens' probabilities; `perplexity` is
    its inverse and gives the same score under its usual name. `self-certainty`: mean KL from the uniform distribution
    in nats (Kang et al. 2025, arXiv:2502.18581). `entropy`: exp of minus the mean entropy of the next token in nats.
    `group-confidence`: the negative mean log-probability in nats of the likeliest tokens, over the window of tokens
    where that is lowest; `tail-confidence`: over the last window (Fu et al. 2025, arXiv:2508.15260, section 3.1).
    """

    key: str | None = None
    flops_per_token: float | None = 0.0

    def __init__(self, card: ConfidenceCard) -> None:
        self.name = card.name
        self.notes: list[str] = []
        self._measure = card.measure

    async def score(self, prompt: Prompt, completion: Completion, session: Session, request_id: str) -> StepScores:
        value = self._value(completion)
        return StepScores((), value, error=None if value is not None else f"the engine gave no {self._measure}")

    def _value(self, completion: Completion) -> float | None:
        match self._measure:
            case "logprob-mean" | "perplexity":
                mean = completion.logprob_mean
                return None if mean is None else math.exp(mean)
            case "self-certainty":
                return completion.self_certainty
            case "entropy":
                return None if completion.entropy is None else math.exp(-completion.entropy)
            case "group-confidence":
                return completion.group_confidence
            case "tail-confidence":
                return completion.tail_confidence

    async def abort(self, request_id: str) -> None: ...

    async def close(self) -> None: ...
