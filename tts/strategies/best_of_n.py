"""Best-of-N: the candidate that a selector likes best."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from tts.selection import SCORERS, highest, majority
from tts.session import Session
from tts.types import Candidate, Problem, Sampling, Solution

Selector = Literal["self-certainty", "logprob-mean", "perplexity", "logprob-sum", "majority"]


@dataclass(frozen=True)
class BestOfN:
    """Sample n candidates, return the one with the highest score. Cobbe et al. 2021, arXiv:2110.14168.

    These selectors need no verifier: self-certainty (Kang et al. 2025, arXiv:2502.18581, from the `top` most
    likely tokens at each position), mean or summed log-probability, lowest perplexity, or the majority.
    """

    n: int = field(default=8, metadata={"help": "candidates", "min": 1})
    select: Selector = field(default="self-certainty", metadata={"help": "what chooses among them"})
    top: int = field(default=20, metadata={"help": "log-probabilities a position for self-certainty", "min": 1})

    def sampling(self, asked: Sampling) -> Sampling:
        """The run's sampling with what the selector needs to know of each token."""
        return replace(asked, top_logprobs=self.top) if self.select == "self-certainty" else asked

    async def solve(self, problem: Problem, session: Session) -> Solution:
        candidates = session.read(await session.sample(session.ask(problem), self.n))
        if self.select == "majority":
            winner = majority(candidates, await session.classes(candidates))
        else:
            score = SCORERS[self.select]
            candidates = [_scored(c, self.select, score(c)) for c in candidates]
            winner = highest(candidates, score)
        return Solution(winner.answer if winner else None, candidates)


def _scored(candidate: Candidate, name: str, score: float | None) -> Candidate:
    return candidate if score is None else replace(candidate, scores={**candidate.scores, name: score})
