"""What a session does with text: prompts rendered, responses read as answers, taken apart and put together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

from tts import catalog
from tts.setup import Setup
from tts.types import Candidate, Completion, Engine, Message, Problem, Prompt
from tts.verify.extract import extract

OVERLAP = 8
"""Tokens before a piece with which it is decoded: how a tokenizer spells one may depend on what stands before it."""
REPLACEMENT = "\ufffd"
"""What bytes are decoded to that are no whole character yet."""


class Texts:
    """The part of a session that needs an engine's tokenizer and template, and no model."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._prompt = setup.prompt
        self._given: dict[str, object] = {}

    def ask(self, problem: Problem, prefill: str = "") -> Prompt:
        """The run's prompt for `problem`, through the model's chat template."""
        return self.render(self._prompt, prefill, **problem.variables, **self._given)

    def use(self, template: str, **variables: object) -> None:
        """From now on, `ask` fills this template, with these variables besides the problem's."""
        self._prompt, self._given = template, variables

    def render(self, template: str, prefill: str = "", **variables: object) -> Prompt:
        """Any template of `prompts/` as one user turn; `prefill` begins the assistant's."""
        text = catalog.render(template, **variables)
        return self._setup.engine.render([Message("user", text)], prefill)

    def chat(self, messages: Sequence[Message]) -> Prompt:
        """A conversation as a prompt."""
        return self._setup.engine.render(messages)

    def read(self, completions: Sequence[Completion]) -> list[Candidate]:
        """Completions with their answers. From one that the model has not ended only a closed box or tag counts."""
        methods = self._setup.extract
        closed = tuple(m for m in methods if m in ("boxed", "tag"))
        return [Candidate(c, extract(c.text, methods if c.complete else closed)) for c in completions]

    async def classes(self, candidates: Sequence[Candidate]) -> list[int]:
        """The equivalence class of each answer (1/2 and 0.5 are one), numbered as they come; -1 for none."""
        return await self._setup.checker.classes([c.answer for c in candidates])

    def encode(self, text: str) -> tuple[int, ...]:
        """Token ids of a text in the middle of a prompt: special tokens are read, none is added.

        Raises:
            InputError: the engine knows no tokenizer.
        """
        return self._setup.engine.encode(text)

    def decode(self, token_ids: Sequence[int]) -> str:
        """The text of token ids, special tokens left out.

        Raises:
            InputError: the engine knows no tokenizer.
        """
        return self._setup.engine.decode(token_ids)

    # -- going on with a response -----------------------------------------------------------------------------

    def extend(self, prompt: Prompt, piece: Completion | str) -> Prompt:
        """The prompt with a piece of the response after it: a completion's own tokens, or a text that is put there.

        Raises:
            InputError: a text, and the engine knows no tokenizer.
        """
        if isinstance(piece, str):
            return prompt.followed_by(piece, self._setup.engine.encode(piece))
        if piece.token_ids or not piece.generated_tokens:
            return prompt.followed_by(piece.text, piece.token_ids)
        return prompt.followed_by(piece.text, self._setup.engine.encode(piece.text))

    def reopened(self, piece: Completion, tail: str = "") -> Completion:
        """A piece without the token that ended the response and without `tail`, so that it can be gone on with. What
        was generated stays counted.

        Raises:
            InputError: the engine knows no tokenizer.
        """
        engine, text, ids = self._setup.engine, piece.text.removesuffix(tail), list(piece.token_ids)
        while ids and len(engine.decode(ids[:-1])) >= len(text):
            ids.pop()
        if ids and engine.decode(ids) != text:  # one token spells the end of the text and the beginning of the tail
            ids.pop()
            ids += engine.encode(text[len(engine.decode(ids)) :])
        return replace(piece, text=text, token_ids=tuple(ids))

    def join(self, pieces: Sequence[Completion | str]) -> Completion:
        """One response of pieces that follow each other. It ended as the last generated piece did; texts that were put
        in between are part of it, and were not generated. Prompt tokens are those of the first piece.

        Raises:
            ValueError: no generated piece.
        """
        engine = self._setup.engine
        made = [p for p in pieces if isinstance(p, Completion)]
        if not made:
            raise ValueError("a response needs a generated piece")
        ids = tuple(chain.from_iterable(engine.encode(p) if isinstance(p, str) else p.token_ids for p in pieces))
        sums = [p.logprob_sum for p in made]
        return replace(
            made[-1],
            text=_text(engine, pieces, ids),
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


def _text(engine: Engine, pieces: Sequence[Completion | str], ids: tuple[int, ...]) -> str:
    """The text of pieces with these token ids. Where a step follows a response, the step and the last few tokens before
    it are decoded, and not all of the response again.
    """
    if not ids:
        return "".join(p if isinstance(p, str) else p.text for p in pieces)
    if len(pieces) == 2:
        before, piece = pieces
        if isinstance(before, Completion) and isinstance(piece, Completion) and len(before.token_ids) > OVERLAP:
            anchor = before.token_ids[-OVERLAP:]
            known, both = engine.decode(anchor), engine.decode(anchor + piece.token_ids)
            if both.startswith(known) and before.text.endswith(known[-1:]) and known[-1:] not in ("", REPLACEMENT):
                return before.text + both[len(known) :]
    return engine.decode(ids)


def _mean(weighted: Sequence[tuple[float | None, int]]) -> float | None:
    """The mean of the values that are known, by their weights; None where there is none."""
    known = [(value, weight) for value, weight in weighted if value is not None]
    total = sum(weight for _, weight in known)
    return math.fsum(value * weight for value, weight in known) / total if total else None
