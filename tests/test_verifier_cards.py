"""Verifiers' cards: all of them load, and what is wrong with one is said; what their models are shown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tts import catalog
from tts.errors import CatalogError, EngineUnavailable
from tts.types import Message, Problem, Prompt
from tts.verify import cards
from tts.verify.cards import RewardCard
from tts.verify.layout import encode_after, lay_out, split_steps

ADDED = {"<extra_0>", "<s>", "<u>", "<a>", "</t>"}


class Letters:
    """A tokenizer that spells: a token is a letter or an added word, so that ids read as text."""

    bos = "<s>"

    def __init__(self, template: str = "<u>{0}</t>") -> None:
        self.template = template

    def transcript(self, messages: Sequence[Message], *, reply: bool) -> str:
        said = "".join(f"<{m.role[0]}>{m.content}</t>" for m in messages)
        return said + ("<a>" if reply else "")

    def encode(self, text: str) -> tuple[int, ...]:
        return tuple(map(ord, text))


def shown(name: str, *steps: str, tokens: Any = None, **changes: Any) -> list[str]:
    """The head and the pieces as text."""
    card, _ = cards.load(name)
    assert isinstance(card, RewardCard)
    asked = Prompt("", (), (Message("user", "Q? Think."),))
    laid = lay_out(card.model_copy(update=changes), tokens or Letters(), Problem("p", "Q?"), asked, steps)
    return ["".join(map(chr, piece)) for piece in (laid.head, *laid.pieces)]


def test_every_card_of_the_catalog_loads() -> None:
    kinds = set()
    for name in catalog.names("verifiers"):
        if name in ("choice", "symbolic"):
            continue
        card, sha256 = cards.load(name)
        assert card.name == name
        assert len(sha256) == 64
        kinds.add(card.kind)
        if isinstance(card, cards.JudgeCard):
            catalog.find("prompts", card.prompt)
        if isinstance(card, RewardCard):
            assert shown(name, "one", "two")
    assert kinds == set(cards.KINDS)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("nano", ["<u>Q? Think.</t><a>", "one<extra_0>", "two<extra_0>"]),
        (
            "qwen2.5-math-prm-7b",
            [
                "<s>Please reason step by step, and put your final answer within \\boxed{}.</t><u>Q?</t><a>",
                *("one<extra_0>", "two<extra_0>"),
            ],
        ),
        ("skywork-o1-prm-7b", ["<s>Q?\n", "one\n", "two\n"]),
        ("math-shepherd", ["<s>Q?", "oneки", "\ntwoки"]),
        ("rlhflow-prm-mistral", ["", "<u>Q? one</t><a>", "+</t><u>two</t><a>"]),
        ("skywork-reward-v2-llama-3.1-8b", ["<u>Q?</t><a>", "one\n\ntwo</t>"]),
    ],
)
def test_a_model_is_shown_what_its_authors_say(name: str, wanted: list[str]) -> None:
    assert shown(name, "one", "two") == wanted


@pytest.mark.parametrize("name", ["nano", "skywork-o1-prm-7b", "math-shepherd", "rlhflow-prm-mistral"])
def test_later_steps_leave_the_tokens_of_earlier_ones(name: str) -> None:
    assert shown(name, "one", "two", "three")[:3] == shown(name, "one", "two")


def test_a_template_that_rewrites_earlier_turns_is_refused() -> None:
    class Numbers(Letters):
        def transcript(self, messages: Sequence[Message], *, reply: bool) -> str:
            return f"{len(messages)} turns: " + super().transcript(messages, reply=reply)

    with pytest.raises(EngineUnavailable, match="rewrites earlier turns"):
        shown("rlhflow-prm-mistral", "one", "two", tokens=Numbers())


def test_a_blank_of_the_tokenizers_own_is_not_read_twice() -> None:
    class Prefixing(Letters):
        def encode(self, text: str) -> tuple[int, ...]:
            return super().encode(f"▁{text}" if text else "")

    assert "".join(map(chr, encode_after(Prefixing(), "ки", Prefixing().encode("ки"), "\ntwo"))) == "\ntwo"
    assert "".join(map(chr, encode_after(Prefixing(), "", (), "one"))) == "▁one"


def test_steps_are_what_the_card_says() -> None:
    assert split_steps("a\nb\n\n c \n\n\n\n", "\n\n") == ["a\nb", "c"]
    assert split_steps("a\nb\n\nc", "\n") == ["a", "b", "c"]
    assert split_steps("  \n\n ", "\n\n") == []


PROCESS = 'kind = "process"\ndescription = "x"\nmodel = "m"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('kind = "proces"', "is of kind 'proces'"),
        ("description = 3", "is of kind 'None'"),
        ("kind = ", "Invalid value"),
        (PROCESS, "needs the separator"),
        (PROCESS + 'separator = "<e>"\nhead = "generative"', "has tokens for right and wrong"),
        (PROCESS + 'template = "turns"', "takes a generative head"),
        (PROCESS + 'separator = "<e>"\ntemplate = "hello"', "a text with {question} in it"),
        (PROCESS + 'separator = "<e>"\naggregaton = "min"', "aggregaton"),
        (PROCESS + 'separator = "<e>"\naggregation = "median"', "aggregation"),
        ('kind = "judge"\ndescription = "x"\nmethod = "score"', "prompt"),
        ('kind = "judge"\ndescription = "x"\nmethod = "score"\nprompt = "p"\nvotes = 2\ntemperature = 0', "the same"),
        ('kind = "confidence"\ndescription = "x"\nmeasure = "vibes"', "measure"),
    ],
)
def test_a_card_that_is_wrong_is_one_clear_error(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(text + "\n")
    with pytest.raises(CatalogError) as caught:
        cards.load(str(tmp_path / "mine.toml"))
    assert said in caught.value.message
    assert "\n" not in caught.value.message
