"""How a reward model is shown a response: token ids in pieces, each of which ends where a score is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tts import catalog
from tts.errors import EngineUnavailable
from tts.types import Message, Problem, Prompt
from tts.verify.cards import RewardCard


class Tokens(Protocol):
    """What a layout needs of a tokenizer."""

    def transcript(self, messages: Sequence[Message], *, reply: bool) -> str:
        """The chat template's text of a conversation; with `reply` the header of the assistant's turn after it."""
        ...

    def encode(self, text: str) -> tuple[int, ...]:
        """Token ids of a text in the middle of a prompt."""
        ...

    @property
    def bos(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Layout:
    """`head` is read first and unscored; the score of a step (or of the whole) is read at the end of its piece."""

    head: tuple[int, ...]
    pieces: tuple[tuple[int, ...], ...]


def split_steps(text: str, step: str) -> list[str]:
    """The steps of a response, without the text that ends them and the blanks around."""
    return [said for s in text.split(step) if (said := s.strip())]


def lay_out(card: RewardCard, tokens: Tokens, problem: Problem, prompt: Prompt, steps: Sequence[str]) -> Layout:
    """A response as the card's model wants to read it.

    Every piece is tokenised in the context of the separator before it and of nothing else, the separator by itself:
    the ids of earlier pieces do not depend on what follows.
    """
    turns = _messages(card, problem, prompt)
    if card.template == "turns":
        return _as_turns(card, tokens, turns, steps)
    if card.template == "chat":
        start = tokens.transcript(turns, reply=True)
    else:
        start = card.template.format(question=turns[-1].content, bos=tokens.bos)
    head = tokens.encode(start)
    if card.kind == "outcome":
        return Layout(head, (_outcome(card, tokens, turns, start, steps),))
    end = tokens.encode(card.separator)
    pieces = []
    for index, step in enumerate(steps):
        said = encode_after(tokens, card.separator, end, card.between + step) if index else tokens.encode(step)
        pieces.append((*said, *end))
    return Layout(head, tuple(pieces))


def _messages(card: RewardCard, problem: Problem, prompt: Prompt) -> tuple[Message, ...]:
    asked = prompt.messages
    if card.asks == "question" or not asked:
        text = catalog.render("question", **problem.variables)
        asked = (Message("user", text),)
    return (Message("system", card.system), *asked) if card.system else asked


def _outcome(
    card: RewardCard, tokens: Tokens, turns: tuple[Message, ...], start: str, steps: Sequence[str]
) -> tuple[int, ...]:
    """The whole response and, in a chat, what ends the assistant's turn."""
    text = card.step.join(steps)
    if card.template == "chat":
        whole = tokens.transcript((*turns, Message("assistant", text)), reply=False)
        if whole.startswith(start):
            return tokens.encode(whole[len(start) :])
    return tokens.encode(text + card.separator)


def _as_turns(card: RewardCard, tokens: Tokens, turns: tuple[Message, ...], steps: Sequence[str]) -> Layout:
    """RLHFlow's form (Xiong et al. 2024): the first step follows the question in the user's turn, each later one has a
    turn of its own, and what is scored is how the assistant begins its answer to it.
    """
    assert card.tokens is not None
    *before, question = turns
    conversation = list(before)
    pieces, said = [], ""
    for index, step in enumerate(steps):
        content = f"{question.content} {step}" if index == 0 else step
        conversation.append(Message("user", content))
        text = tokens.transcript(conversation, reply=True)
        if not text.startswith(said):
            raise EngineUnavailable(
                "the verifier's chat template rewrites earlier turns: its steps cannot be scored one by one",
                'another tokenizer_config.json, or a card with template = "chat"',
            )
        pieces.append(tokens.encode(text[len(said) :]))
        said = text
        conversation.append(Message("assistant", card.tokens[0]))
    return Layout((), tuple(pieces))


def encode_after(tokens: Tokens, before: str, anchor: tuple[int, ...], text: str) -> tuple[int, ...]:
    """Token ids of a text where it follows `before`, whose own are `anchor`: a tokenizer may begin a text with a blank
    of its own.
    """
    ids = tokens.encode(before + text)
    return ids[len(anchor) :] if ids[: len(anchor)] == anchor else tokens.encode(text)
