"""How predictable a question is from its context (Lin et al. 2025, arXiv:2504.13171, section 5.3)."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tts.errors import RequestError
from tts.types import Engine, Problem, Prompt


@dataclass(frozen=True, slots=True)
class Predicted:
    """log P(question | context) in nats, summed over the question's tokens."""

    problem_id: str
    logprob: float
    tokens: int

    @property
    def mean(self) -> float:
        """Per token of the question."""
        return self.logprob / self.tokens


async def predict(engine: Engine, problem: Problem, limit: asyncio.Semaphore) -> Predicted:
    """The log-probability of the question after the context, as plain text, question tokens only.

    Raises:
        RequestError: the problem has no context, or the engine cannot tell.
    """
    if not problem.context:
        raise RequestError(f"{problem.id} has no context")
    text = problem.context.strip()
    before, after = engine.encode(text), engine.encode(f" {problem.question.strip()}")
    prompt = Prompt(f"{text} {problem.question.strip()}", before + after)
    if len(prompt.token_ids) >= engine.max_model_len:
        raise RequestError(f"{problem.id}: context and question are longer than the model takes")
    async with limit:
        found = await engine.logprobs(prompt, len(before), f"predict/{problem.id}")
    return Predicted(problem.id, math.fsum(found), len(found))


def bins(values: Mapping[str, float], number: int = 5) -> list[list[str]]:
    """The names in `number` quantile bins of their values, lowest first; sizes differ by one at most."""
    ordered = sorted(values, key=lambda name: (values[name], name))
    edges = [round(i * len(ordered) / number) for i in range(number + 1)]
    return [ordered[a:b] for a, b in pairwise(edges)]


def gains(
    groups: Sequence[Sequence[str]], with_notes: Mapping[str, float], without: Mapping[str, float]
) -> list[tuple[int, float, float] | None]:
    """Per bin the number of problems both runs scored and their mean correctness with and without notes."""
    found: list[tuple[int, float, float] | None] = []
    for group in groups:
        both = [name for name in group if name in with_notes and name in without]
        if both:
            sums = (math.fsum(run[name] for name in both) / len(both) for run in (with_notes, without))
            found.append((len(both), *sums))  # type: ignore[arg-type]
        else:
            found.append(None)
    return found
