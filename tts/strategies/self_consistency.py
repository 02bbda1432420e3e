"""Self-consistency: the answer that most reasoning paths reach, and how soon to stop asking for more."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import fmean
from typing import Any, ClassVar, Literal

from tts.selection import by_verifier, choose, demand_verifier, goes_by_verifier, majority
from tts.session import WAVE, Session
from tts.stopping import Rule, stops
from tts.types import Candidate, Problem, Prompt, Solution


@dataclass(frozen=True)
class SelfConsistency:
    """Sample n reasoning paths, return the most common answer. Wang et al. 2022, arXiv:2203.11171, section 2.

    Votes are over equivalence classes of answers: 1/2 and 0.5 are one answer. With `--verifier` each vote weighs what
    the verifier gives it (`weighted`, then the default; Li et al. 2022, arXiv:2206.02336), or the best `keep` vote
    alone (`filtered`); `highest` and `product` as in best-of-n.

    `stop` ends sampling when the vote is decided, and aborts the rest: `certain` when no sample that remains can change
    it, `likely` when with a probability above `threshold` they will not, `beta` when of the two answers in front the
    leader is the likelier with a probability above it (Aggarwal et al. 2023, arXiv:2305.11860), `window` when the last
    `window` paths agree (Li et al. 2024, arXiv:2401.10480). Weighted votes are scored as they come, and the first three
    rules go by their weights.
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
    stop: Rule = field(default="never", metadata={"help": "when to abort the rest"})
    threshold: float = field(
        default=0.95, metadata={"help": "of stop=beta and likely: how sure of the leader", "min": 0.5, "max": 1}
    )
    window: int = field(default=5, metadata={"help": "of stop=window: paths that must agree", "min": 2})

    @property
    def width(self) -> int:
        """Samples of one problem that are in flight at once."""
        return self.n if self.stop == "never" else min(self.n, WAVE)

    @property
    def aborts(self) -> bool:
        """Whether samples may be cut in mid-flight."""
        return self.stop != "never"

    def selector(self, verifier: str | None) -> str:
        """What `auto` comes to."""
        return self.select if self.select != "auto" else "weighted" if verifier else "majority"

    def check(self, verifier: str | None) -> None:
        """Raises InputError where the votes need a verifier and there is none."""
        demand_verifier(self.select, verifier)

    async def solve(self, problem: Problem, session: Session) -> Solution:
        prompt, details, name = session.ask(problem), dict[str, Any](), session.verifier
        weighs = self.stop in ("certain", "likely", "beta") and self.selector(name) == "weighted"
        weighs = weighs and session.scores_singly
        if self.stop == "never":
            candidates = session.read(await session.sample(prompt, self.n))
        else:
            candidates, details = await self._until_decided(prompt, session, weighs)
        if name and not weighs:
            candidates = await session.scored(prompt, candidates)
        select = self.selector(name)
        classes = await session.classes(candidates)
        if goes_by_verifier(select):
            winner = choose(select, candidates, classes, by_verifier(name or ""), self.keep)
        else:
            winner = majority(candidates, classes)
        return Solution(winner.answer if winner else None, candidates, details)

    async def _until_decided(
        self, prompt: Prompt, session: Session, weighs: bool
    ) -> tuple[list[Candidate], dict[str, Any]]:
        candidates: list[Candidate] = []
        wasted, fired = session.usage.wasted_tokens, False
        score = by_verifier(session.verifier or "")
        async with session.candidates(prompt, self.n, scored=weighs) as finished:
            async for candidate in finished:
                candidates.append(candidate)
                if candidate.completion.finish == "abort":
                    continue
                classes = await session.classes(candidates)
                weights = [score(c) or 0.0 for c in candidates] if weighs else None
                if fired := stops(self.stop, classes, self.n, self.threshold, self.window, weights):
                    break
        return candidates, self._stopped(candidates, session.usage.wasted_tokens - wasted) if fired else {}

    def _stopped(self, candidates: list[Candidate], wasted: int) -> dict[str, Any]:
        """What the rule did. Saved is an estimate: what is left of n would have been as long as what came."""
        after = len(candidates)
        missing = (self.n - after) * fmean(c.completion.generated_tokens for c in candidates)
        return {"stopped": {"rule": self.stop, "after": after, "saved_tokens": round(max(0.0, missing - wasted))}}
