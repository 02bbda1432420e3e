"""From messages to a prompt: the tokenizer's chat template, or a plain one where it has none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from tts.errors import InputError
from tts.types import Message, Prompt

PLAIN_NOTE = "the tokenizer has no chat template: prompts are plain text"
SHORT = 64
"""Token ids, of which the text is kept for the next time."""


class ChatTemplate:
    """A tokenizer's template with fixed arguments (`enable_thinking` and whatever else the model's knows)."""

    def __init__(self, tokenizer: Any, arguments: Mapping[str, Any]) -> None:
        self.tokenizer = tokenizer
        self.plain = not getattr(tokenizer, "chat_template", None)
        self._arguments = dict(arguments)
        # What `decode` calls once it has looked at the type of every id, which takes longer than the decoding.
        self._decode = getattr(tokenizer, "_decode", tokenizer.decode)
        # A search asks for the same prompt, a verifier for the same steps, and both for the same ends of responses,
        # again and again.
        self._rendered = lru_cache(maxsize=1024)(self._render)
        self._encoded = lru_cache(maxsize=8192)(self._encode)
        self._spelled = lru_cache(maxsize=8192)(self._spell)
        self._spoken = lru_cache(maxsize=1024)(self._transcript)

    def render(self, messages: Sequence[Message], prefill: str = "") -> Prompt:
        """Raises InputError where the template refuses the messages or the arguments."""
        return self._rendered(tuple(messages), prefill)

    def encode(self, text: str) -> tuple[int, ...]:
        """Token ids of a text in the middle of a prompt: special tokens are read, none is added."""
        return self._encoded(text)

    def _render(self, messages: tuple[Message, ...], prefill: str) -> Prompt:
        text = self.transcript(messages, reply=True) + prefill
        if self.plain:
            return Prompt(text, tuple(self.tokenizer.encode(text)), tuple(messages))
        return Prompt(text, self.encode(text), tuple(messages))

    def transcript(self, messages: Sequence[Message], *, reply: bool) -> str:
        """The template's text of a conversation; with `reply` the header of the assistant's turn after it.

        Raises:
            InputError: the template refuses the messages or the arguments.
        """
        return self._spoken(tuple(messages), reply)

    def _transcript(self, messages: tuple[Message, ...], reply: bool) -> str:
        if self.plain:
            return "\n\n".join(m.content for m in messages) + ("\n\n" if reply else "")
        turns = [{"role": m.role, "content": m.content} for m in messages]
        try:
            return str(
                self.tokenizer.apply_chat_template(
                    turns, tokenize=False, add_generation_prompt=reply, **self._arguments
                )
            )
        except Exception as error:  # Jinja errors and whatever a template raises by itself
            raise InputError(
                f"the model's chat template failed: {error}", "-T gives it arguments; another model otherwise"
            ) from error

    @property
    def bos(self) -> str:
        """The token that begins a text, "" where the tokenizer has none."""
        return str(self.tokenizer.bos_token or "")

    def _encode(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer.encode(text, add_special_tokens=False))

    def decode(self, token_ids: Sequence[int]) -> str:
        """The text of generated tokens, special tokens left out."""
        return self._spelled(tuple(token_ids)) if len(token_ids) <= SHORT else self._spell(token_ids)

    def _spell(self, token_ids: Sequence[int]) -> str:
        text: str = self._decode(list(token_ids), skip_special_tokens=True)
        return text

    def stop_tokens(self, stop: str) -> tuple[frozenset[int], bool]:
        """The tokens whose text contains `stop`, and whether nothing but one of its own can spell it.

        The second is so where the tokenizer has a token added for it. Otherwise two tokens may spell it together.
        """
        if stop in self.tokenizer.get_added_vocab():
            return frozenset({self.tokenizer.get_added_vocab()[stop]}), True
        texts = self.tokenizer.batch_decode([[i] for i in range(len(self.tokenizer))])
        return frozenset(i for i, text in enumerate(texts) if stop in text), False
