"""The tokenizer that policy and verifier share: a byte-level BPE of 1,024 tokens, trained on the documents.

Digits stand alone, so that numbers read the same everywhere; a blank line is one token, so that a step ends at
a token's end; bytes are the last resort, so that any text can be read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from tts.nano.dialogue import CHAT_TEMPLATE, draw_document

VOCABULARY = 1024
PAD, START, END, STEP = "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<extra_0>"
BLANK_LINE = "\n\n"
MARKS = ("<summary>", "</summary>", "<history>", "</history>", BLANK_LINE)
"""Single tokens that stay visible in decoded text."""
_PIECES = r"\n| ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]|[^\S\n]+"


def _texts(seed: int, count: int) -> Iterator[str]:
    rng = Random(f"tokenizer/{seed}")
    for _ in range(count):
        document = draw_document(rng)
        yield document.given + document.written


def train_tokenizer(seed: int = 0, documents: int = 20_000) -> Tokenizer:
    """Learn the merges. Token ids: special tokens first, then marks, bytes and merges."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[PAD, START, END, STEP, *MARKS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(seed, documents), trainer)
    return _unhide(tokenizer, MARKS)


def _unhide(tokenizer: Tokenizer, marks: tuple[str, ...]) -> Tokenizer:
    """The trainer makes every token it is given special, which decoding leaves out; marks must stay."""
    state = json.loads(tokenizer.to_str())
    for token in state["added_tokens"]:
        token["special"] = token["content"] not in marks
    return Tokenizer.from_str(json.dumps(state))


def save_tokenizer(tokenizer: Tokenizer, folder: Path, positions: int) -> None:
    """Write the two files that transformers and vLLM read."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": positions,
        "pad_token": PAD,
        "eos_token": END,
        "additional_special_tokens": [START, STEP],
        "clean_up_tokenization_spaces": False,
        "chat_template": CHAT_TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1) + "\n")
