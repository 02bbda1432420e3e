from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import pytest

from tts import nano
from tts.engines.templates import ChatTemplate
from tts.texts import Texts
from tts.types import Completion, Message


@pytest.fixture(scope="module")
def template() -> ChatTemplate:
    from transformers import AutoTokenizer

    return ChatTemplate(AutoTokenizer.from_pretrained(str(nano.POLICY)), {})


def piece(template: ChatTemplate, ids: tuple[int, ...]) -> Completion:
    return Completion(template.decode(ids), "stop", ids, generated_tokens=len(ids))


def test_steps_joined_one_by_one_say_what_all_their_tokens_say(template: ChatTemplate) -> None:
    """Also where a cut goes through the bytes of a character, and where an end token stands in between."""
    setup: Any = SimpleNamespace(engine=template, prompt="", extract=())  # as far as pieces are concerned
    texts = Texts(setup)
    text = "bill: 3*14=42 €\n\n日本 and 🙂🙃 make two, naïvely.\n\nThe answer is \\boxed{42}."
    dice = random.Random(0)
    for _ in range(200):
        ids = [*template.encode(text + " ½" * dice.randrange(4))]
        if dice.random() < 0.3:
            ids.insert(dice.randrange(len(ids)), 2)
        cuts = sorted(dice.sample(range(1, len(ids)), 6))
        steps = [tuple(ids[a:b]) for a, b in zip([0, *cuts], [*cuts, len(ids)], strict=True)]
        whole = piece(template, steps[0])
        for step in steps[1:]:
            whole = texts.join([whole, piece(template, step)])
            assert whole.text == template.decode(whole.token_ids)
        assert whole.token_ids == tuple(ids)


def test_a_transcript_is_made_once(template: ChatTemplate, monkeypatch: pytest.MonkeyPatch) -> None:
    first = template.transcript([Message("user", "How many?")], reply=True)
    monkeypatch.setattr(template.tokenizer, "apply_chat_template", lambda *_, **__: "another")
    assert template.transcript([Message("user", "How many?")], reply=True) == first
    assert template.transcript([Message("user", "How many?")], reply=False) == "another"
