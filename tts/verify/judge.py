"""A language model as the verifier: it rates a response, checks it, compares it with another, or says "True"."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from tts import catalog
from tts.errors import RequestError
from tts.types import Completion, Engine, Message, Prompt, Sampling, StepScores
from tts.verify.cards import JudgeCard

if TYPE_CHECKING:
    from tts.session import Session

_SCORE = re.compile(r"(?:score|rating)\W{0,8}(\d+(?:\.\d+)?)", re.IGNORECASE)
_VERDICT = re.compile(r"verdict\W{0,8}(yes|no)\b", re.IGNORECASE)
_BETTER = re.compile(r"better\W{0,8}([AB])\b", re.IGNORECASE)
_TOP = 20
"""Likeliest tokens among which "True" and "False" are looked for."""
UNREADABLE = "the judgement cannot be read"


class JudgeVerifier:
    """Asks a model by generation, through the session: judging is budgeted, seeded, journalled and counted as sampling
    is. Zheng et al. 2023, arXiv:2306.05685 (rating and comparing); Zhang et al. 2024, arXiv:2408.15240 (a check worked
    out before the verdict, with votes); Kadavath et al. 2022, arXiv:2207.05221 (P(True)).

    A judgement that cannot be read is no score: it is left out of the mean, and where none can be read the response
    has none, and the reason.
    """

    key: str | None = None
    flops_per_token: float | None = 0.0

    def __init__(self, card: JudgeCard, engine: Engine | None = None) -> None:
        """`engine` None: the policy judges itself."""
        self.name = card.name
        self.notes: list[str] = []
        self._card = card
        self._engine = engine

    @property
    def most_tokens(self) -> int:
        """The most tokens that a scoring generates."""
        return 1 if self._card.method == "p-true" else self._card.votes * self._card.max_tokens

    @property
    def model(self) -> str | None:
        """Who judges; None: the policy."""
        return self._engine.model if self._engine is not None else None

    async def score(self, prompt: Prompt, completion: Completion, session: Session, request_id: str) -> StepScores:
        text = _response(completion)
        if self._card.method == "p-true":
            said = await self._ask(session, 1, Sampling(1.0, max_tokens=1, top_logprobs=_TOP), response=text)
            values = [p_true(c.first) for c in said]
        else:
            said = await self._ask(session, self._card.votes, self._sampling(), response=text)
            read = self._rating if self._card.method == "score" else _verdict
            values = [read(c.text) for c in said]
        return _mean(values)

    async def _ask(self, session: Session, n: int, sampling: Sampling, **variables: str) -> list[Completion]:
        problem = session.problem
        text = catalog.render(
            self._card.prompt,
            **problem.variables,
            scale=f"{self._card.scale:g}", **variables,
        )  # fmt: skip
        asked = session if self._engine is None else session.on(self._engine)
        return await asked.sample(asked.chat([Message("user", text)]), n, sampling)

    def _sampling(self) -> Sampling:
        card = self._card
        temperature = 0.0 if card.temperature is None and card.votes == 1 else card.temperature
        return Sampling(temperature, max_tokens=card.max_tokens, top_logprobs=None)

    def _rating(self, text: str) -> float | None:
        found = _SCORE.findall(text)
        value = float(found[-1]) if found else math.inf
        return value / self._card.scale if value <= self._card.scale else None

    async def abort(self, request_id: str) -> None: ...

    async def close(self) -> None:
        if self._engine is not None:
            await self._engine.close()


class PairwiseJudge(JudgeVerifier):
    """A judge that compares two responses at a time."""

    async def score(self, prompt: Prompt, completion: Completion, session: Session, request_id: str) -> StepScores:
        raise RequestError(f"verifier {self.name!r} compares candidates: it has no score for one alone")

    async def compare(self, completions: Sequence[Completion], session: Session) -> list[StepScores]:
        """The share of comparisons that each wins. Each meets the next `rounds` in a ring, so that all meet equally
        many; from vote to vote the two change places, since judges favour one.
        """
        texts = [_response(c) for c in completions]
        n = len(texts)
        pairs = {(i, (i + r) % n) for r in range(1, min(self._card.rounds, n - 1) + 1) for i in range(n)}
        pairs = {p for p in pairs if p[::-1] not in pairs or p[0] < p[1]}
        won: list[list[float | None]] = [[] for _ in texts]
        games = sorted(pairs)
        outcomes = await asyncio.gather(*(self._game(session, texts[a], texts[b], a) for a, b in games))
        for (a, b), votes in zip(games, outcomes, strict=True):
            won[a] += votes
            won[b] += [None if v is None else 1.0 - v for v in votes]
        return [_mean(votes) if n > 1 else StepScores((), 1.0) for votes in won]

    async def _game(self, session: Session, one: str, other: str, turn: int) -> list[float | None]:
        """1 for each vote that `one` wins, 0 for each it loses."""
        if one == other:
            return [0.5]
        votes = self._card.votes
        halves = (votes - votes // 2, votes // 2) if turn % 2 == 0 else (votes // 2, votes - votes // 2)
        straight = await self._ask(session, halves[0], self._sampling(), a=one, b=other) if halves[0] else []
        swapped = await self._ask(session, halves[1], self._sampling(), a=other, b=one) if halves[1] else []
        turned = [_preferred(c.text) for c in swapped]
        return [_preferred(c.text) for c in straight] + [None if v is None else 1.0 - v for v in turned]


def _response(completion: Completion) -> str:
    """What is judged: the response without what the policy thought before it."""
    return completion.text.rpartition("</think>")[2].strip()


def _verdict(text: str) -> float | None:
    found = _VERDICT.findall(text)
    return float(found[-1].lower() == "yes") if found else None


def _preferred(text: str) -> float | None:
    found = _BETTER.findall(text)
    return float(found[-1].upper() == "A") if found else None


def p_true(first: Sequence[tuple[str, float]]) -> float | None:
    """The probability of "True" against "False" as the first token, from (text, log-probability) pairs."""
    shares = {"true": 0.0, "false": 0.0}
    for text, logprob in first:
        if (word := text.strip().lower()) in shares:
            shares[word] += math.exp(logprob)
    right, wrong = shares["true"], shares["false"]
    if right and wrong:
        return right / (right + wrong)
    return min(right, 1.0) if right else max(0.0, 1.0 - wrong) if wrong else None


def _mean(values: Sequence[float | None]) -> StepScores:
    if not values:
        return StepScores((), None, error="the budget was spent before the judge was asked")
    read = [v for v in values if v is not None]
    return StepScores((), fmean(read)) if read else StepScores((), None, error=UNREADABLE)
