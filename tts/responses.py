"""Responses made of pieces: what goes on after a piece, and pieces put together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from tts.types import Completion, Engine, Prompt


def extend(engine: Engine, prompt: Prompt, piece: Completion | str) -> Prompt:
    """The prompt with a piece of the response after it: a completion's own tokens, or a text that is put there.

    Raises:
        InputError: a text, and the engine knows no tokenizer.
    """
    if isinstance(piece, str):
        return prompt.followed_by(piece, engine.encode(piece))
    if piece.token_ids or not piece.generated_tokens:
        return prompt.followed_by(piece.text, piece.token_ids)
    return prompt.followed_by(piece.text, engine.encode(piece.text))


def reopened(engine: Engine, piece: Completion, tail: str) -> Completion:
    """A piece without the token that ended the response and without `tail`, so that it can be gone on with. What
    was generated stays counted.

    Raises:
        InputError: the engine knows no tokenizer.
    """
    text, ids = piece.text.removesuffix(tail), list(piece.token_ids)
    while ids and len(engine.decode(ids[:-1])) >= len(text):
        ids.pop()
    if ids and engine.decode(ids) != text:  # one token spells the end of the text and the beginning of the tail
        ids.pop()
        ids += engine.encode(text[len(engine.decode(ids)) :])
    return replace(piece, text=text, token_ids=tuple(ids))


def join(engine: Engine, pieces: Sequence[Completion | str]) -> Completion:
    """One response of pieces that follow each other. It ended as the last generated piece did; texts that were put
    in between are part of it, and were not generated. Prompt tokens are those of the first piece.

    Raises:
        ValueError: no generated piece.
    """
    made = [p for p in pieces if isinstance(p, Completion)]
    if not made:
        raise ValueError("a response needs a generated piece")
    ids = tuple(i for p in pieces for i in (engine.encode(p) if isinstance(p, str) else p.token_ids))
    sums = [p.logprob_sum for p in made]
    return replace(
        made[-1],
        text=engine.decode(ids) if ids else "".join(p if isinstance(p, str) else p.text for p in pieces),
        token_ids=ids,
        prompt_tokens=made[0].prompt_tokens,
        cached_tokens=made[0].cached_tokens,
        generated_tokens=sum(p.generated_tokens for p in made),
        logprob_sum=None if None in sums else math.fsum(s for s in sums if s is not None),
        self_certainty=_mean([(p.self_certainty, p.generated_tokens) for p in made]),
        entropy=_mean([(p.entropy, p.generated_tokens) for p in made]),
        first=made[0].first,
        group_confidence=made[0].group_confidence if len(pieces) == 1 else None,
        tail_confidence=made[0].tail_confidence if len(pieces) == 1 else None,
        queue_seconds=math.fsum(p.queue_seconds or 0.0 for p in made),
        seconds=math.fsum(p.seconds for p in made),
    )


def _mean(weighted: Sequence[tuple[float | None, int]]) -> float | None:
    """The mean of the values that are known, by their weights; None where there is none."""
    known = [(value, weight) for value, weight in weighted if value is not None]
    total = sum(weight for _, weight in known)
    return math.fsum(value * weight for value, weight in known) / total if total else None
