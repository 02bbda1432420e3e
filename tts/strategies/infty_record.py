"""What the rounds of InftyThink chains leave on record: the sawtooth of their contexts, and what it cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tts.types import Completion

End = Literal["summary", "conclusion", "malformed", "forced", "truncated"]
"""How a round ended: with a summary; with the model's own conclusion; off the format, so that it is written again; with
a summary that had to be forced or cut; in the middle, because the budget or the time was up."""


@dataclass(frozen=True, slots=True)
class Round:
    """One attempt at a round. Tokens are the engine's counts.

    `pieces` are all calls it took, `tokens` what they generated; `context` is the most that stood before the model
    together, prompt and response; `reasoning` and `summary_tokens` are parts of the response. `answer` is what would
    be answered if this round were the last; a truncated one has none. `malformed` counts the tries that were off the
    format.
    """

    number: int
    finish: End
    pieces: tuple[Completion, ...]
    text: str
    prompt_tokens: int
    context: int
    reasoning: int
    summary: str = ""
    summary_tokens: int = 0
    answer: str | None = None
    malformed: int = 0
    score: float | None = None

    @property
    def tokens(self) -> int:
        return sum(p.generated_tokens for p in self.pieces)

    def record(self, chain: int) -> dict[str, Any]:
        """As it stands in records.jsonl. Seconds are the engine's, without the wait for a place in its batch."""
        return {
            "chain": chain,
            "round": self.number,
            "finish": self.finish,
            "prompt_tokens": self.prompt_tokens,
            "tokens": self.tokens,
            "context": self.context,
            "summary_tokens": self.summary_tokens,
            "seconds": round(math.fsum(p.seconds for p in self.pieces), 6),
            "queue_seconds": round(math.fsum(p.queue_seconds or 0.0 for p in self.pieces), 6),
            "answer": self.answer,
            "malformed": self.malformed,
            "score": self.score,
            "text": self.text,
            "summary": self.summary,
        }


@dataclass(slots=True)
class Chain:
    """The rounds of one chain so far, repeated ones included."""

    index: int
    rounds: list[Round] = field(default_factory=list)
    dropped: bool = False

    @property
    def concluded(self) -> bool:
        return bool(self.rounds) and self.rounds[-1].finish == "conclusion"

    @property
    def pieces(self) -> list[Completion]:
        return [piece for r in self.rounds for piece in r.pieces]

    @property
    def answer(self) -> str | None:
        """The conclusion's; of a chain that was stopped, what its last whole round had boxed."""
        if self.dropped:
            return None
        whole = [r for r in self.rounds if r.finish not in ("truncated", "malformed")]
        return whole[-1].answer if whole else None

    def record(self, kv_bytes: int | None) -> dict[str, Any]:
        """What the chain came to, beside one long chain with the same reasoning.

        Attention costs what the square of a context does: the sum over rounds stands beside the square of the question
        with all reasoning behind it, summaries left out (Yan et al. 2026, arXiv:2602.06960, have n(l + 2m)^2 against
        L^2). Key-value memory is that of the largest context, in bytes; None where a token's is unknown.
        """
        peak = max((r.context for r in self.rounds), default=0)
        kept = [r for r in self.rounds if r.finish != "malformed"]
        long = (self.rounds[0].prompt_tokens if self.rounds else 0) + sum(r.reasoning for r in kept)
        return {
            "chain": self.index,
            "rounds": len(kept),
            "finish": "dropped" if self.dropped else self.rounds[-1].finish if self.rounds else "truncated",
            "answer": self.answer,
            "malformed": sum(r.malformed for r in self.rounds),
            "forced": sum(r.finish == "forced" for r in self.rounds),
            "tokens": sum(r.tokens for r in self.rounds),
            "peak_context": peak,
            "context_squared": sum(r.context**2 for r in self.rounds),
            "kv_bytes": None if kv_bytes is None else kv_bytes * peak,
            "one_chain": {
                "tokens": sum(r.reasoning for r in kept),
                "peak_context": long,
                "context_squared": long**2,
                "kv_bytes": None if kv_bytes is None else kv_bytes * long,
            },
        }


def details(mode: str, chains: Sequence[Chain], kv_bytes: int | None) -> dict[str, Any]:
    """What goes into the record's solution: the mode, every round of every chain, and each chain's account."""
    return {
        "mode": mode,
        "rounds": [r.record(c.index) for c in chains for r in c.rounds],
        "chains": [c.record(kv_bytes) for c in chains],
    }
