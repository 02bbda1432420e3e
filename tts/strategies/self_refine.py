"""Self-refine: the model criticises its own answer and mends it."""

from __future__ import annotations

from dataclasses import dataclass, field

from tts.attempts import Attempts
from tts.session import Session
from tts.tree import drawn
from tts.types import Problem, Solution


@dataclass(frozen=True)
class SelfRefine:
    """Write an answer, criticise it, write it anew in view of the critique; until the critique finds nothing. Madaan et
    al. 2023, arXiv:2303.17651; stop phrase and three rounds as in Liu et al. 2025, arXiv:2502.07191.

    The last version that has an answer counts.
    """

    rounds: int = field(default=3, metadata={"help": "critiques at most", "min": 1})
    done: str = field(default="no error", metadata={"help": "a critique that says this ends it (case does not matter)"})

    async def solve(self, problem: Problem, session: Session) -> Solution:
        attempts = Attempts(session, problem)
        draft = await attempts.write(attempts.question)
        for _ in range(self.rounds):
            if draft is None or session.over_budget:
                break
            critique = await attempts.write(attempts.ask("critique", [draft], done=self.done), draft, "critique")
            if critique is None or critique.finish == "abort" or self.done.lower() in critique.text.lower():
                break
            said = critique.text.strip()
            draft = await attempts.write(attempts.ask("refine", [draft], critique=said), critique)
        candidates = attempts.candidates()
        answers = [c.answer for c in candidates if c.answer is not None]
        return Solution(answers[-1] if answers else None, candidates, {"tree": drawn(attempts.paths)})
