"""Further questions about each context, their answers confirmed by agreement."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from tts.selection import majority
from tts.session import Session
from tts.types import Problem, Solution

_NUMBERED = re.compile(r"^\s*(?:\d+[.):]|[-*•])\s*(.+?)\s*$", re.MULTILINE)


def questions(text: str) -> list[str]:
    """The questions in a reply: its numbered or bulleted lines, each once."""
    return list(dict.fromkeys(_NUMBERED.findall(text)))


def agreement(classes: Sequence[int]) -> float:
    """The share of all samples, answerless ones too, that gave the most common answer."""
    answered = [c for c in classes if c >= 0]
    return max(answered.count(c) for c in set(answered)) / len(classes) if answered else 0.0


@dataclass(frozen=True)
class WriteQueries:
    """Write further questions about a problem's context, and keep those whose answer `n` samples agree on.

    As the multi-query sets of Lin et al. 2025, arXiv:2504.13171, section 4.1, where one model wrote question and
    answer; agreement is ours.
    """

    per_context: int = field(default=10, metadata={"help": "questions a context", "min": 1})
    n: int = field(default=8, metadata={"help": "answers that must agree", "min": 2})
    threshold: float = field(default=0.75, metadata={"help": "least share of them"})

    async def solve(self, problem: Problem, session: Session) -> Solution:
        asked = session.render(
            "multi-query", context=problem.context, question=problem.question, number=self.per_context
        )
        replies = await session.sample(asked)
        written = [q for reply in replies for q in questions(reply.text) if q != problem.question]
        rows = []
        for question in written[: self.per_context]:
            prompt = session.ask(replace(problem, question=question))
            candidates = session.read(await session.sample(prompt, self.n))
            classes = await session.classes(candidates)
            best, share = majority(candidates, classes), agreement(classes)
            kept = best is not None and share >= self.threshold
            rows.append(
                {"question": question, "answer": best.answer if best else None, "agreement": share, "kept": kept}
            )
        return Solution(None, (), {"queries": rows})
