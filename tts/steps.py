"""What a step of a response is: where it ends, how long it may be, how many a path may have."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

from tts.errors import InputError
from tts.selection import Aggregation, aggregate
from tts.types import Sampling, StepScores

StepKind = Literal["separator", "tokens", "sentence", "think"]
SENTENCE_ENDS = (". ", "! ", "? ", ".\n", "!\n", "?\n", "\n\n")
THINK_END = "</think>"
BLANK_LINE = "\n\n"


@dataclass(frozen=True, kw_only=True)
class Stepwise:
    """The options of every strategy that grows a response step by step and asks a verifier about each step.

    A step ends at `separator` (the verifier's card says which; a blank line otherwise), after `step_tokens` tokens, at
    the end of a sentence, or, with `think`, at a separator inside <think> while all after it is one step. A step that
    reaches `step_tokens` before that goes on in the next one. A path of `max_steps` steps without an end is cut.
    """

    takes_verifier: ClassVar[bool] = True
    needs_verifier: ClassVar[bool] = True
    piecewise: ClassVar[bool] = True

    step: StepKind = field(default="separator", metadata={"help": "what ends a step"})
    separator: str | None = field(
        default=None, metadata={"help": "the string that does (None: as the verifier's card)"}
    )
    step_tokens: int = field(default=256, metadata={"help": "most tokens a step; with step=tokens exactly", "min": 1})
    max_steps: int = field(default=40, metadata={"help": "most steps a path", "min": 1})
    score: Aggregation | Literal["card"] = field(
        default="card", metadata={"help": "what step scores come to (card: as the verifier's card says)"}
    )

    def __post_init__(self) -> None:
        if self.separator == "":
            raise InputError(
                "-o separator= is empty: it would end a step before it begins",
                "a text that stands between steps, or leave it out",
            )

    def piece(self, asked: Sampling, written: str, generated: int, step_end: str | None) -> Sampling:
        """How to sample the next step of a path of which `written` (of `generated` tokens) is there; `step_end` is the
        verifier's own separator.
        """
        most = self.step_tokens if asked.max_tokens is None else min(self.step_tokens, asked.max_tokens - generated)
        return replace(asked, max_tokens=most, stop=self.stops(written, step_end))

    def stops(self, written: str, step_end: str | None) -> tuple[str, ...]:
        """The strings that end the next step."""
        separator = self.separator or step_end or BLANK_LINE
        match self.step:
            case "separator":
                return (separator,)
            case "tokens":
                return ()
            case "sentence":
                return SENTENCE_ENDS
            case "think":
                return () if THINK_END in written else (separator, THINK_END)

    def value(self, scores: StepScores) -> float | None:
        """A path's score, from those of its steps; None where there is none."""
        if self.score == "card" or scores.value is None or not scores.steps:
            return scores.value
        return aggregate(scores.steps, self.score)
