"""DeepConf: traces that doubt themselves are cut, and the rest vote by their confidence."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from tts.errors import RequestError
from tts.selection import SCORERS, majority, top_share, weighted
from tts.session import Session
from tts.types import Candidate, Completion, Problem, Prompt, Sampling, Solution


@dataclass(frozen=True)
class DeepConf:
    """Cut traces whose confidence drops, vote with the others by confidence. Fu et al. 2025, arXiv:2508.15260,
    section 3.

    The first `warmup` traces run to their end; the best `eta` percent of them set the floor. Later traces are cut where
    a group of `window` tokens falls below it, and sampling ends when one answer has `consensus` of the weight. With
    `mode=offline` all n run to their end, and the best `eta` percent vote: with `--reuse` over a run's stored samples.
    """

    n: int = field(default=32, metadata={"help": "traces at most", "min": 1})
    mode: Literal["online", "offline"] = field(default="online", metadata={"help": "whether traces are cut"})
    warmup: int = field(default=16, metadata={"help": "traces that set the floor", "min": 1})
    eta: float = field(
        default=10.0, metadata={"help": "percent of traces that reach the floor (90: milder)", "min": 0, "max": 100}
    )
    by: Literal["group-confidence", "tail-confidence"] = field(
        default="group-confidence", metadata={"help": "a trace's weight, and in offline mode what it is chosen by"}
    )
    window: int = field(default=2048, metadata={"help": "tokens of a group", "min": 1})
    top: int = field(default=20, metadata={"help": "log-probabilities a position", "min": 1})
    consensus: float = field(
        default=0.95, metadata={"help": "share of the weight that ends sampling", "min": 0.5, "max": 1}
    )

    @property
    def width(self) -> int:
        """Samples of one problem that are in flight at once."""
        return self.n if self.mode == "offline" else min(self.n, self.warmup)

    @property
    def aborts(self) -> bool:
        """Whether samples may be cut in mid-flight."""
        return self.mode == "online"

    def sampling(self, asked: Sampling, verifier: str | None) -> Sampling:
        """The run's sampling with the log-probabilities that confidence is computed from."""
        return replace(asked, top_logprobs=self.top, confidence_window=self.window)

    async def solve(self, problem: Problem, session: Session) -> Solution:
        prompt = session.ask(problem)
        warm = self.n if self.mode == "offline" else min(self.n, self.warmup)
        shaped = self.sampling(session.sampling, None)
        candidates = self._read(await session.sample(prompt, warm, shaped), session)
        known = [c for c in map(self._confidence, candidates) if c is not None]
        if not known:
            if any(c.answer is not None for c in candidates) and not session.ended:
                raise RequestError("the engine gives no log-probabilities: there is no confidence to go by")
            winner = majority(candidates, await session.classes(candidates))
            return Solution(winner.answer if winner else None, candidates)
        floor = top_share(known, self.eta)
        if self.n > warm and not await self._agreed(candidates, floor, session):
            await self._go_on(prompt, candidates, floor, session)
        weights = self._weights(candidates, floor)
        winner = weighted(candidates, await session.classes(candidates), weights)
        cut = sum(c.completion.doubted for c in candidates)
        details = {"deepconf": {"floor": floor, "warmup": warm, "cut": cut, "voting": sum(w > 0 for w in weights)}}
        return Solution(winner.answer if winner else None, candidates, details)

    async def _go_on(self, prompt: Prompt, candidates: list[Candidate], floor: float, session: Session) -> None:
        """Add traces that are cut below the floor, until they agree or there are n."""
        sampling = replace(self.sampling(session.sampling, None), confidence_floor=floor)
        async with session.stream(prompt, self.n - len(candidates), sampling) as finished:
            async for completion in finished:
                candidates += self._read([completion], session)
                if await self._agreed(candidates, floor, session):
                    break

    def _read(self, completions: Sequence[Completion], session: Session) -> list[Candidate]:
        """Candidates with their confidences as scores. One that was cut in doubt has no answer."""
        found = []
        for candidate in session.read(completions):
            if candidate.completion.doubted:
                candidate = replace(candidate, answer=None)
            values = {name: SCORERS[name](candidate) for name in ("group-confidence", "tail-confidence")}
            found.append(replace(candidate, scores={k: v for k, v in values.items() if v is not None}))
        return found

    def _confidence(self, candidate: Candidate) -> float | None:
        return None if candidate.completion.finish == "abort" else SCORERS[self.by](candidate)

    def _weights(self, candidates: Sequence[Candidate], floor: float) -> list[float]:
        """Each candidate's vote: its confidence where that reaches the floor. Where none that does has an answer, all
        vote.
        """
        values = [self._confidence(c) or 0.0 for c in candidates]
        kept = [v if v >= floor else 0.0 for v in values]
        heard = any(w > 0 and c.answer is not None for w, c in zip(kept, candidates, strict=True))
        return kept if heard else values

    async def _agreed(self, candidates: Sequence[Candidate], floor: float, session: Session) -> bool:
        """Whether one answer has `consensus` of the weight of the traces at the floor."""
        votes: defaultdict[int, list[float]] = defaultdict(list)
        for group, weight in zip(await session.classes(candidates), self._weights(candidates, floor), strict=True):
            if group >= 0:
                votes[group].append(weight)
        sums = [math.fsum(weights) for weights in votes.values()]
        return bool(sums) and max(sums) >= self.consensus * math.fsum(sums) > 0
