"""Self-consistency: the answer that most reasoning paths reach."""

from __future__ import annotations

from dataclasses import dataclass, field

from tts.selection import majority
from tts.session import Session
from tts.types import Problem, Solution


@dataclass(frozen=True)
class SelfConsistency:
    """Sample n reasoning paths, return the most common answer. Wang et al. 2022, arXiv:2203.11171.

    Votes are over equivalence classes of answers: 1/2 and 0.5 are one answer.
    """

    n: int = field(default=8, metadata={"help": "reasoning paths", "min": 1})

    async def solve(self, problem: Problem, session: Session) -> Solution:
        candidates = session.read(await session.sample(session.ask(problem), self.n))
        winner = majority(candidates, await session.classes(candidates))
        return Solution(winner.answer if winner else None, candidates)
