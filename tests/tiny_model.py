"""A small random model with a byte tokenizer, made on the spot: real vLLM, meaningless text.

`python tests/tiny_model.py DEST [HIDDEN] [LAYERS]` writes one; 256 and 6 make about five million parameters.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

TEMPLATE = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}{% if shout %}LOUD {% endif %}"
)
SPECIAL = ["<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]


def make_tokenizer(*special: str) -> Any:
    """A byte-level tokenizer with a chat template."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    raw = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(alphabet)}, merges=[]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    raw.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw,
        eos_token="<|end|>",
        pad_token="<|end|>",
        additional_special_tokens=[*SPECIAL[1:], *special],
    )
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def make_config(end: int, hidden: int = 64, layers: int = 2, **more: Any) -> Any:
    """A small Qwen2's configuration."""
    from transformers import Qwen2Config

    return Qwen2Config(
        vocab_size=320, hidden_size=hidden, intermediate_size=4 * hidden, num_hidden_layers=layers,
        num_attention_heads=hidden // 32, num_key_value_heads=max(1, hidden // 64), max_position_embeddings=4096,
        tie_word_embeddings=True, bos_token_id=end, eos_token_id=end, pad_token_id=end, **more,
    )  # fmt: skip


def build(folder: Path, hidden: int = 64, layers: int = 2) -> Path:
    """Write a Qwen2 model with random weights and a byte-level tokenizer."""
    import torch
    from transformers import GenerationConfig, Qwen2ForCausalLM

    tokenizer = make_tokenizer()
    end = tokenizer.convert_tokens_to_ids("<|end|>")
    torch.manual_seed(0)
    model = Qwen2ForCausalLM(make_config(end, hidden, layers)).to(torch.bfloat16)
    model.generation_config = GenerationConfig(do_sample=True, temperature=0.9, eos_token_id=end, pad_token_id=end)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


if __name__ == "__main__":
    where, *sizes = sys.argv[1:]
    build(Path(where), *map(int, sizes))
