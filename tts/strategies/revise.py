"""Sequential revisions: each attempt is written in view of those before it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from tts.attempts import Attempts
from tts.selection import demand_verifier
from tts.session import Session
from tts.strategies.groups import whole
from tts.tree import demand_scores, drawn, elected
from tts.types import Candidate, Problem, Solution
from tts.waiting import together


@dataclass(frozen=True)
class Revise:
    """n attempts in chains: `chains` in parallel, each of n / chains, every attempt in view of the last `memory` of its
    chain. Snell et al. 2024, arXiv:2408.03314, section 6 (there with a model fine-tuned to revise; here by prompt).

    `chains=1` is all sequential, `chains=n` all parallel. A revision can spoil a right answer, so the choice is among
    all attempts: with a verifier the answer with the largest sum of scores within each chain, and then among those
    (`hierarchical`); without one the majority of all.
    """

    takes_verifier: ClassVar[bool] = True

    n: int = field(default=8, metadata={"help": "attempts in all", "min": 1})
    chains: int = field(default=2, metadata={"help": "chains in parallel", "min": 1})
    memory: int = field(default=4, metadata={"help": "earlier attempts that are shown", "min": 1})
    select: Literal["auto", "hierarchical", "weighted", "highest", "majority"] = field(
        default="auto", metadata={"help": "what chooses (auto: hierarchical with a verifier, else majority)"}
    )

    def __post_init__(self) -> None:
        whole(self.n, "chains", self.chains)

    @property
    def width(self) -> int:
        """Attempts that are in flight at once."""
        return self.chains

    def check(self, verifier: str | None) -> None:
        """Raises InputError where the choice needs a verifier and there is none."""
        demand_verifier(self.select, verifier)

    async def solve(self, problem: Problem, session: Session) -> Solution:
        chains = [Attempts(part, problem) for part in session.branches(self.chains)]
        await together(self._revise(chain) for chain in chains)
        found = [chain.candidates() for chain in chains]
        if session.verifier:
            demand_scores(session, [path for chain in chains for path in chain.paths])
        winner = await self._choose(found, session)
        tree = drawn(path for chain in chains for path in chain.paths)
        return Solution(winner.answer if winner else None, [c for chain in found for c in chain], {"tree": tree})

    async def _revise(self, chain: Attempts) -> None:
        for _ in range(self.n // self.chains):
            before = chain.paths[-self.memory :]
            draft = await chain.write(chain.ask("revise", before), before[-1] if before else None)
            if draft is None:
                break
            if chain.session.verifier:
                await chain.rate(draft)
            if draft.finish == "abort":
                break

    async def _choose(self, found: list[list[Candidate]], session: Session) -> Candidate | None:
        select = self.select if self.select != "auto" else "hierarchical" if session.verifier else "majority"
        if select != "hierarchical":
            return await elected(session, [c for chain in found for c in chain], select)
        winners = [await elected(session, chain, "weighted") for chain in found]
        return await elected(session, [w for w in winners if w is not None], "weighted")
