"""Verifiers' cards: `verifiers/*.toml`, one a file, of a kind each."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tts import catalog
from tts.errors import CatalogError, InputError
from tts.selection import Aggregation
from tts.types import Sampling

Head = Literal["token-classification", "scalar", "generative"]


class _Card(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    description: str
    license: str = ""

    @property
    def needs_logprobs(self) -> bool:
        """Whether its scores come of log-probabilities."""
        return False

    @property
    def compares(self) -> bool:
        """Whether it must see candidates beside each other."""
        return False


class RewardCard(_Card):
    """A reward model that reads the question and a response.

    `process`: a score at the end of each step. `outcome`: one, at the end. The head says what a score is:
    `token-classification` the probability of label `positive` of `labels` there, `scalar` the sigmoid of one number,
    `generative` the probability of the first of `tokens` (right, wrong) as the next token, of the two.

    `template`: `chat` puts the response into the assistant's turn of the model's chat template, with `separator` after
    each step; `turns` makes each step a turn of the user's, which the assistant answers with the first of `tokens`;
    anything else is a text with {question} (and {bos}, the tokenizer's own first token) that the response follows.
    `between` stands between a separator and the next step. `asks`: what the user's turn holds, the policy's own
    `prompt` or the bare `question`.
    """

    kind: Literal["process", "outcome"]
    model: str
    head: Head = "token-classification"
    architecture: str | None = None
    template: str = "chat"
    asks: Literal["prompt", "question"] = "question"
    system: str | None = None
    step: str = "\n\n"
    separator: str = ""
    between: str = ""
    labels: int = Field(2, ge=2)
    positive: int = Field(1, ge=0)
    tokens: tuple[str, str] | None = None
    aggregation: Aggregation = "last"
    max_length: int | None = Field(None, ge=16)
    gpu_memory_utilization: float | None = Field(None, gt=0, le=1)
    engine: dict[str, Any] = {}

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.kind == "process" and self.template != "turns" and not self.separator:
            raise ValueError("a process verifier needs the separator that it scores steps at")
        if (self.head == "generative") != (self.tokens is not None):
            raise ValueError("a generative head, and no other, has tokens for right and wrong")
        if self.template == "turns" and self.tokens is None:
            raise ValueError("turns are answered with tokens: this takes a generative head")
        if self.template not in ("chat", "turns") and "{question}" not in self.template:
            raise ValueError("a template is chat, turns, or a text with {question} in it")
        return self

    @property
    def width(self) -> int:
        """How many numbers the model gives at a position."""
        return {"token-classification": self.labels, "scalar": 1, "generative": 2}[self.head]


class JudgeCard(_Card):
    """A language model that is asked what it thinks of a response: the policy itself, or `model`.

    `score`: a rating from 0 to `scale`. `verify`: a worked-out check that ends in yes or no; the share of yes.
    `pairwise`: which of two is better, every one against `rounds` others; the share of wins. `p-true`: the
    probability the model gives to "True". All but the last are means over `votes`.
    """

    kind: Literal["judge"]
    method: Literal["score", "verify", "pairwise", "p-true"]
    prompt: str
    model: str | None = None
    votes: int = Field(1, ge=1)
    rounds: int = Field(2, ge=1)
    scale: float = Field(10.0, gt=0)
    temperature: float | None = Field(None, ge=0)
    max_tokens: int = Field(512, ge=1)
    gpu_memory_utilization: float | None = Field(None, gt=0, le=1)
    engine: dict[str, Any] = {}

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.temperature == 0 and self.votes > 1:
            raise ValueError("at temperature 0 all votes would be the same")
        return self

    @property
    def compares(self) -> bool:
        return self.method == "pairwise"

    @property
    def head(self) -> str:
        return self.method

    @property
    def needs_logprobs(self) -> bool:
        return self.method == "p-true"


class ConfidenceCard(_Card):
    """How sure the policy was of its own tokens; `top` log-probabilities a position where the measure needs them, and
    for a group's confidence `window` tokens a group.
    """

    kind: Literal["confidence"]
    measure: Literal["logprob-mean", "perplexity", "self-certainty", "entropy", "group-confidence", "tail-confidence"]
    top: int = Field(20, ge=1)
    window: int = Field(2048, ge=1)

    @property
    def head(self) -> str:
        return self.measure

    @property
    def needs_logprobs(self) -> bool:
        return True

    @property
    def grouped(self) -> bool:
        """Whether it is of groups of tokens, which cannot be put together from those of a response's pieces."""
        return self.measure in ("group-confidence", "tail-confidence")

    def sampling(self, asked: Sampling) -> Sampling:
        """The sampling with what the measure needs to know of each token.

        Raises:
            InputError: groups of another size are asked for already, and a completion has those of one size.
        """
        if self.grouped:
            if asked.confidence_window:
                self._demand_groups(asked)
            return replace(asked, top_logprobs=self.top, confidence_window=self.window)
        if self.measure in ("self-certainty", "entropy"):
            return replace(asked, top_logprobs=max(asked.top_logprobs or 0, self.top))
        return asked

    def demand(self, made: Sampling) -> None:
        """Raises InputError where completions sampled so have no log-probabilities, or no confidence of groups as the
        measure wants them.
        """
        if made.top_logprobs is None:
            raise InputError(
                f"verifier {self.name!r} goes by log-probabilities; the run was made with --no-logprobs and has none",
                "a run without --no-logprobs",
            )
        self._demand_groups(made)

    def _demand_groups(self, made: Sampling) -> None:
        window, top = made.confidence_window, made.top_logprobs
        if self.grouped and (window, top) != (self.window, self.top):
            has = f"groups of {window} by {top}" if window else "none"
            raise InputError(
                f"verifier {self.name!r} is of groups of {self.window} tokens, by {self.top} log-probabilities a "
                f"token; the run has {has}",
                "a card of your own with the run's window and top" if window else f"a run with --verifier {self.name}",
            )


class ScriptedCard(_Card):
    """A rule instead of a model, for rehearsals: the built-in one, or FILE.py:FUNCTION of (question, steps)."""

    kind: Literal["scripted"]
    script: str | None = None
    step: str = "\n\n"
    aggregation: Aggregation = "last"

    @property
    def head(self) -> str:
        return self.script or "built-in"


Card = RewardCard | JudgeCard | ConfidenceCard | ScriptedCard
KINDS: dict[str, type[Card]] = {
    "process": RewardCard,
    "outcome": RewardCard,
    "judge": JudgeCard,
    "confidence": ConfidenceCard,
    "scripted": ScriptedCard,
}


def load(name: str) -> tuple[Card, str]:
    """A verifier's card, and its hash.

    Raises:
        CatalogError: there is none by that name, or it is a checker's, which needs the target.
    """
    source = catalog.find("verifiers", name)
    try:
        kind = str(tomllib.loads(source.text).get("kind"))
    except tomllib.TOMLDecodeError as error:
        raise CatalogError(f"{source.path}: {error}", "mend the card") from error
    if kind not in KINDS:
        said = "is a checker: it needs the target" if kind == "checker" else f"is of kind {kind!r}"
        raise CatalogError(f"{name!r} {said}", f"a verifier's kind is one of {', '.join(KINDS)}")
    card, _ = catalog.load("verifiers", name, KINDS[kind])
    return card, source.sha256


def model_of(card: Card) -> str | None:
    """The model that a card names."""
    return card.model if isinstance(card, RewardCard | JudgeCard) else None
