"""Best-of-N: the candidate that a selector likes best."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

from tts.errors import RequestError
from tts.selection import SCORERS, by_verifier, choose, demand_verifier, goes_by_verifier, majority
from tts.session import Session
from tts.types import Candidate, Problem, Sampling, Solution

# fmt: off
Selector = Literal[
    "auto", "highest", "weighted", "filtered", "product",
    "majority", "self-certainty", "logprob-mean", "perplexity", "logprob-sum",
    "group-confidence", "tail-confidence",
]
# fmt: on


@dataclass(frozen=True)
class BestOfN:
    """Sample n candidates, return the one with the highest score. Cobbe et al. 2021, arXiv:2110.14168,
    section 4.2.

    With `--verifier` the score is the verifier's: `highest` takes the best candidate, `weighted` the answer with the
    largest sum of scores (Snell et al. 2024, arXiv:2408.03314, section 3.2), `filtered` the majority among the best
    `keep`, `product` the candidate with the largest score times its answer's votes. The others need none:
    self-certainty (Kang et al. 2025, arXiv:2502.18581, from the `top` likeliest tokens of a position), mean or summed
    log-probability, lowest perplexity, confidence of the worst or the last group of `window` tokens (Fu et al. 2025,
    arXiv:2508.15260), the majority. `auto` is weighted with a verifier, else self-certainty.
    """

    takes_verifier: ClassVar[bool] = True
    scores_together: ClassVar[bool] = True

    n: int = field(default=8, metadata={"help": "candidates", "min": 1})
    select: Selector = field(default="auto", metadata={"help": "what chooses among them"})
    keep: float = field(
        default=0.5, metadata={"help": "share of the candidates that filtered keeps", "min": 0.0, "max": 1.0}
    )
    top: int = field(default=20, metadata={"help": "log-probabilities a position for confidences", "min": 1})
    window: int = field(default=2048, metadata={"help": "tokens of a group, for its confidence", "min": 1})

    def check(self, verifier: str | None) -> None:
        """Raises InputError where the selector needs a verifier and there is none."""
        demand_verifier(self.select, verifier)

    def selector(self, verifier: str | None) -> str:
        """What `auto` comes to."""
        return self.select if self.select != "auto" else "weighted" if verifier else "self-certainty"

    def sampling(self, asked: Sampling, verifier: str | None) -> Sampling:
        """The run's sampling with what the selector needs to know of each token."""
        match self.selector(verifier):
            case "self-certainty":
                return replace(asked, top_logprobs=self.top)
            case "group-confidence" | "tail-confidence":
                return replace(asked, top_logprobs=self.top, confidence_window=self.window)
            case "logprob-mean" | "perplexity" | "logprob-sum":
                return replace(asked, top_logprobs=asked.top_logprobs or 0)
            case _:
                return asked

    async def solve(self, problem: Problem, session: Session) -> Solution:
        prompt = session.ask(problem)
        candidates = session.read(await session.sample(prompt, self.n))
        if session.verifier:
            candidates = await session.scored(prompt, candidates)
        winner, candidates = await self.choose(candidates, session)
        return Solution(winner.answer if winner else None, candidates)

    async def choose(self, candidates: list[Candidate], session: Session) -> tuple[Candidate | None, list[Candidate]]:
        """The chosen candidate (None: none has an answer), and all of them with the scores it was chosen by. Where time
        or budget ended before any was scored, it is the majority's.

        Raises:
            RequestError: no candidate has such a score.
        """
        chosen = self.selector(session.verifier)
        if chosen == "majority":
            return majority(candidates, await session.classes(candidates)), candidates
        score = by_verifier(session.verifier or "") if goes_by_verifier(chosen) else SCORERS[chosen]
        answered = [c for c in candidates if c.answer is not None]
        if answered and not session.ended and all(score(c) is None for c in answered):
            raise RequestError(f"the engine gives no {chosen}: nothing to choose by (another -o select=)")
        if goes_by_verifier(chosen):
            return choose(chosen, candidates, await session.classes(candidates), score, self.keep), candidates
        candidates = [_scored(c, chosen, score(c)) for c in candidates]
        return choose("highest", candidates, await session.classes(candidates), score), candidates


def _scored(candidate: Candidate, name: str, score: float | None) -> Candidate:
    return candidate if score is None else replace(candidate, scores={**candidate.scores, name: score})
