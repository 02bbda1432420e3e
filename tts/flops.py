"""What a token costs, counted from a model's configuration: 2 FLOPs for each non-embedding parameter it passes through
(Kaplan et al. 2020, arXiv:2001.08361, section 2.1; attention over the context is left out), and its keys and values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def active_parameters(config: Mapping[str, Any]) -> int | None:
    """Non-embedding parameters one token uses, from a Hugging Face `config.json` of a decoder with grouped-query
    attention and gated MLPs (Llama, Qwen, Mistral, their mixtures of experts). None for any other shape.
    """
    config = config.get("text_config") or config
    try:
        hidden, layers, heads = (
            config["hidden_size"],
            config["num_hidden_layers"],
            config["num_attention_heads"],
        )
        inner = config["intermediate_size"]
    except KeyError:
        return None
    head_dim = config.get("head_dim") or hidden // heads
    kv_heads = config.get("num_key_value_heads") or heads
    attention = hidden * head_dim * (2 * heads + 2 * kv_heads)
    dense = 3 * hidden * inner
    experts = config.get("num_experts") or config.get("num_local_experts") or config.get("n_routed_experts")
    if not experts:
        return int(layers * (attention + dense))
    chosen = config.get("num_experts_per_tok") or 1
    width = config.get("moe_intermediate_size") or inner
    shared = (config.get("n_shared_experts") or 0) * width + (config.get("shared_expert_intermediate_size") or 0)
    sparse = 3 * hidden * (chosen * width + shared) + hidden * experts
    return int(layers * (attention + sparse))


def flops_per_token(config: Mapping[str, Any]) -> float | None:
    """Forward-pass FLOPs for one computed token; None where the architecture is not understood."""
    parameters = active_parameters(config)
    return None if parameters is None else 2.0 * parameters


def kv_bytes_per_token(config: Mapping[str, Any]) -> int | None:
    """Bytes of key-value cache that a token of context takes: a key and a value of each key-value head in each layer,
    in the weights' own number format (a cache in another one takes its share of that). None where the architecture is
    not understood, attention in only some of the layers included.
    """
    config = config.get("text_config") or config
    uniform = set(config.get("layer_types") or ["full_attention"]) == {"full_attention"}
    if active_parameters(config) is None or "layers_block_type" in config or "kv_lora_rank" in config or not uniform:
        return None
    heads = config["num_attention_heads"]
    head_dim = config.get("head_dim") or config["hidden_size"] // heads
    width = 4 if "float32" in str(config.get("dtype") or config.get("torch_dtype")) else 2
    return int(2 * config["num_hidden_layers"] * (config.get("num_key_value_heads") or heads) * head_dim * width)
