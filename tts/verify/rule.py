"""A verifier that follows a rule instead of a model, so that everything around one can be rehearsed in seconds."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tts.errors import RequestError
from tts.selection import aggregate
from tts.types import Completion, Prompt, StepScores
from tts.verify.cards import ScriptedCard
from tts.verify.layout import split_steps

if TYPE_CHECKING:
    from tts.session import Session

Rule = Callable[[str, Sequence[str]], Sequence[float]]
"""(question, steps) → a score in [0, 1] for each step."""


class RuleVerifier:
    """Scores by a rule; a token is a word."""

    flops_per_token: float | None = 1e6

    def __init__(self, card: ScriptedCard, rule: Rule | None = None) -> None:
        self.name = card.name
        self.key: str | None = card.model_dump_json()
        self.notes: list[str] = []
        self.step = card.step
        """The text that ends a step."""
        self._card = card
        self._rule = rule or sums

    async def score(self, prompt: Prompt, completion: Completion, session: Session, request_id: str) -> StepScores:
        question, steps = session.problem.question, split_steps(completion.text, self._card.step)
        if not steps:
            return StepScores((), 0.0)
        try:
            scores = tuple(float(s) for s in self._rule(question, steps))
        except Exception as error:  # the user's own function may raise anything
            raise RequestError(f"the rule of {self.name!r} failed: {type(error).__name__}: {error}") from error
        if len(scores) != len(steps):
            raise RequestError(f"the rule of {self.name!r} gave {len(scores)} scores for {len(steps)} steps")
        tokens = len(question.split()) + len(completion.text.split())
        return StepScores(scores, aggregate(scores, self._card.aggregation), tokens)

    async def abort(self, request_id: str) -> None: ...

    async def close(self) -> None: ...


def sums(question: str, steps: Sequence[str]) -> list[float]:
    """The built-in rule: likes steps that name the sum of the question's first and last number, which the built-in
    script's questions ask for, and is a little unsure of all.
    """
    numbers = [int(n) for n in re.findall(r"\d{1,9}", question)]
    wanted = str(numbers[0] + numbers[-1]) if numbers else ""
    scores = []
    for step in steps:
        said = re.findall(r"\d{1,12}", step)
        likely = 0.9 if wanted in said else 0.6 if set(said) <= set(map(str, numbers)) else 0.2
        noise = hashlib.blake2b(f"{question}\0{step}".encode(), digest_size=1).digest()[0] / 2550
        scores.append(likely - noise)
    return scores
