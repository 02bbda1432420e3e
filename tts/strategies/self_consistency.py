"""Self-consistency: the answer that most reasoning paths reach."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from tts.selection import BY_VERIFIER, ByVerifier, by_verifier, choose, majority
from tts.session import Session
from tts.types import Problem, Solution


@dataclass(frozen=True)
class SelfConsistency:
    """Sample n reasoning paths, return the most common answer. Wang et al. 2022, arXiv:2203.11171.

    Votes are over equivalence classes of answers: 1/2 and 0.5 are one answer. With `--verifier` each vote weighs what
    the verifier gives it (`weighted`, then the default; Li et al. 2022, arXiv:2206.02336), or the best `keep` vote
    alone (`filtered`); `highest` and `product` as in best-of-n.
    """

    takes_verifier: ClassVar[bool] = True
    scores_together: ClassVar[bool] = True

    n: int = field(default=8, metadata={"help": "reasoning paths", "min": 1})
    select: Literal["auto", "majority", "weighted", "filtered", "highest", "product"] = field(
        default="auto", metadata={"help": "how the votes are counted"}
    )
    keep: float = field(
        default=0.5, metadata={"help": "share of the paths that filtered keeps", "min": 0.0, "max": 1.0}
    )

    async def solve(self, problem: Problem, session: Session) -> Solution:
        prompt = session.ask(problem)
        candidates = session.read(await session.sample(prompt, self.n))
        name = session.verifier
        if name:
            candidates = await session.scored(prompt, candidates)
        select = self.select if self.select != "auto" else "weighted" if name else "majority"
        classes = await session.classes(candidates)
        by: ByVerifier | None = next((b for b in BY_VERIFIER if b == select), None)
        if by:
            winner = choose(by, candidates, classes, by_verifier(name or ""), self.keep)
        else:
            winner = majority(candidates, classes)
        return Solution(winner.answer if winner else None, candidates)
