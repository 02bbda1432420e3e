"""One chain of thought: the baseline everything else is compared with."""

from __future__ import annotations

from dataclasses import dataclass

from tts.session import Session
from tts.types import Problem, Solution


@dataclass(frozen=True)
class Single:
    """Sample one reasoning path and take its answer. Wei et al. 2022, arXiv:2201.11903, section 2."""

    async def solve(self, problem: Problem, session: Session) -> Solution:
        candidates = session.read(await session.sample(session.ask(problem)))
        return Solution(candidates[0].answer if candidates else None, candidates)
