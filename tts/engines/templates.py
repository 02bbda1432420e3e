"""From messages to a prompt: the tokenizer's chat template, or a plain one where it has none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tts.errors import InputError
from tts.types import Message, Prompt

PLAIN_NOTE = "the tokenizer has no chat template: prompts are plain text"


class ChatTemplate:
    """A tokenizer's template with fixed arguments (`enable_thinking` and whatever else the model's knows)."""

    def __init__(self, tokenizer: Any, arguments: Mapping[str, Any]) -> None:
        self.tokenizer = tokenizer
        self.plain = not getattr(tokenizer, "chat_template", None)
        self._arguments = dict(arguments)

    def render(self, messages: Sequence[Message], prefill: str = "") -> Prompt:
        """Raises InputError where the template refuses the messages or the arguments."""
        if self.plain:
            text = "\n\n".join(m.content for m in messages) + "\n\n" + prefill
            return Prompt(text, tuple(self.tokenizer.encode(text)), tuple(messages))
        turns = [{"role": m.role, "content": m.content} for m in messages]
        try:
            text = self.tokenizer.apply_chat_template(
                turns, tokenize=False, add_generation_prompt=True, **self._arguments
            )
        except Exception as error:  # Jinja errors and whatever a template raises by itself
            raise InputError(f"the model's chat template failed: {error}") from error
        text += prefill
        return Prompt(text, tuple(self.tokenizer.encode(text, add_special_tokens=False)), tuple(messages))
