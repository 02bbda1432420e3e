"""What a forward pass costs in FLOPs, counted from a model's configuration.

2 for each non-embedding parameter that a token passes through (Kaplan et al. 2020, arXiv:2001.08361, section 2.1), 2
for each of the head's where a token is sampled, and attention over what stands before it. Embeddings are looked up
and cost nothing; a tied head is computed all the same. Cached prompt tokens are not computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

UNGATED = ("nemotron", "nemotron_h", "phi", "starcoder2", "gpt_neox", "falcon", "opt")
"""Model types whose MLP has two matrices instead of three."""
UNKNOWN = ("kv_lora_rank", "linear_num_value_heads", "rwkv", "layer_group_size", "mlp_hidden_act_fn")
"""Keys of attentions that are counted by none of these formulas (latent, linear)."""
SCAN = 5
"""FLOPs a state element takes a token: decay, input, their sum, and the product and sum of the output."""


@dataclass(frozen=True, slots=True)
class Cost:
    """FLOPs: `body` for each computed token, `head` for each sampled one, `attention` for each token that a computed
    one attends to; `sliding` likewise in layers that look back no further than `window`.
    """

    body: float
    head: float = 0.0
    attention: float = 0.0
    sliding: float = 0.0
    window: int = 0

    def call(self, prompt: int, cached: int, generated: int) -> float:
        """A call's: the prompt less what was cached, and every generated token, at their positions."""
        computed = prompt - cached + generated
        total = self.body * computed + self.head * generated + self.attention * _attended(cached, prompt + generated)
        if self.sliding:
            total += self.sliding * _attended(cached, prompt + generated, self.window)
        return total


def _attended(start: int, end: int, window: int = 0) -> int:
    """Sum over positions start … end - 1 of how many tokens each attends to, itself included."""
    if not window or end <= window:
        return (end * (end + 1) - start * (start + 1)) // 2
    if start >= window:
        return (end - start) * window
    return _attended(start, window) + (end - window) * window


def active_parameters(config: Mapping[str, Any]) -> int | None:
    """Non-embedding parameters one token uses, from a Hugging Face `config.json`. None for a shape that is not
    understood.
    """
    counted = _count(config)
    return None if counted is None else counted[0]


def total_parameters(config: Mapping[str, Any]) -> int | None:
    """All parameters in matrices, every expert and the embeddings included, a tied head once; None where unknown."""
    counted = _count(config, every_expert=True)
    if counted is None:
        return None
    inner = config.get("text_config") or config
    tied = inner.get("tie_word_embeddings", config.get("tie_word_embeddings", False))
    return counted[0] + (1 if tied else 2) * int(inner["hidden_size"]) * int(inner["vocab_size"])


def cost(config: Mapping[str, Any]) -> Cost | None:
    """What a token of this model costs; None where the architecture is not understood."""
    counted = _count(config)
    if counted is None:
        return None
    parameters, attending, sliding, scan = counted
    inner = config.get("text_config") or config
    width = 4.0 * inner["num_attention_heads"] * _head_dim(inner)  # scores and their weighted sum, 2 each
    head = 2.0 * inner["hidden_size"] * inner.get("vocab_size", 0)
    window = int(inner.get("sliding_window") or 0) if sliding else 0
    return Cost(2.0 * parameters + scan, head, width * attending, width * sliding, window)


def flops_per_token(config: Mapping[str, Any]) -> float | None:
    """Forward-pass FLOPs for one computed token, attention and head left out; None where unknown."""
    found = cost(config)
    return None if found is None else found.body


def _head_dim(config: Mapping[str, Any]) -> int:
    return int(config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"])


def _count(config: Mapping[str, Any], *, every_expert: bool = False) -> tuple[int, int, int, float] | None:
    """(parameters in matrices, layers with full attention, with sliding attention, FLOPs of state scans a token)."""
    c = config.get("text_config") or config
    needed = ("hidden_size", "num_hidden_layers", "num_attention_heads")
    if any(key not in c for key in needed) or any(c.get(key) for key in UNKNOWN):
        return None
    kinds = _layers(c)
    if kinds is None:
        return None
    heads, kv = c["num_attention_heads"], c.get("num_key_value_heads") or c["num_attention_heads"]
    attention = c["hidden_size"] * _head_dim(c) * (2 * heads + 2 * kv)
    parameters, scan, full, sliding = 0, 0.0, 0, 0
    for mixer, mlp in kinds:
        if "attention" in mixer:
            parameters += attention
            full, sliding = full + (mixer != "sliding_attention"), sliding + (mixer == "sliding_attention")
        if "mamba" in mixer:
            state = _mamba(c)
            if state is None:
                return None
            parameters += state[0]
            scan += state[1]
        if mlp:
            size = _mlp(c, mlp, every_expert)
            if size is None:
                return None
            parameters += size
    return int(parameters), full, sliding, scan


def _layers(c: Mapping[str, Any]) -> list[tuple[str, str]] | None:
    """(mixer, mlp) of each layer; a mixer may be attention and mamba side by side."""
    layers, kind = c["num_hidden_layers"], c.get("model_type", "")
    sparse = "sparse" if _experts(c) else "dense"
    if pattern := c.get("hybrid_override_pattern"):  # Nemotron-H: one thing a layer
        parts = {"M": ("mamba", ""), "*": ("attention", ""), "-": ("", "dense"), "E": ("", "sparse")}
        return None if set(pattern) - parts.keys() else [parts[p] for p in pattern]
    if "attn_layer_period" in c:  # Jamba
        every, first = c["attn_layer_period"], c.get("attn_layer_offset", 0)
        often, start = c.get("expert_layer_period", 1), c.get("expert_layer_offset", 0)
        return [
            ("attention" if i % every == first else "mamba", sparse if i % often == start else "dense")
            for i in range(layers)
        ]
    if kind == "falcon_h1":
        return [("attention+mamba", "dense")] * layers
    if kind == "zamba2":
        return None
    types = c.get("layer_types") or c.get("layers_block_type") or ["full_attention"] * layers
    known = {"full_attention", "sliding_attention", "attention", "mamba"}
    if set(types) - known or (kind.find("mamba") >= 0 and "mamba" not in types):
        return None
    if c.get("sliding_window") and c.get("use_sliding_window", True) and not c.get("layer_types"):
        types = ["sliding_attention"] * layers
    dense_first = c.get("first_k_dense_replace") or 0
    return [(t, "dense" if i < dense_first else sparse) for i, t in enumerate(types)]


def _experts(c: Mapping[str, Any]) -> int:
    return int(c.get("num_experts") or c.get("num_local_experts") or c.get("n_routed_experts") or 0)


def _mlp(c: Mapping[str, Any], kind: str, every_expert: bool) -> int | None:
    matrices = 2 if c.get("model_type") in UNGATED else 3
    hidden, inner = c["hidden_size"], c.get("intermediate_size")
    if kind == "dense":
        return None if inner is None else matrices * hidden * inner
    experts = _experts(c)
    chosen = experts if every_expert else c.get("num_experts_per_tok") or 1
    width = c.get("moe_intermediate_size") or inner
    shared = (c.get("n_shared_experts") or 0) * (width or 0)
    shared += c.get("shared_expert_intermediate_size") or c.get("shared_intermediate_size") or 0
    return None if width is None else int(matrices * hidden * (chosen * width + shared) + hidden * experts)


def _mamba(c: Mapping[str, Any]) -> tuple[int, float] | None:
    """(parameters, FLOPs of the scan a token) of a state-space layer: Mamba (Gu and Dao 2023, arXiv:2312.00752) or
    Mamba-2 (Dao and Gu 2024, arXiv:2405.21060).
    """
    hidden = c["hidden_size"]
    kernel = c.get("mamba_d_conv") or c.get("conv_kernel") or 4
    state = c.get("mamba_d_state") or c.get("ssm_state_size")
    heads = c.get("mamba_n_heads") or c.get("mamba_num_heads")
    if state is None:
        return None
    if heads:  # Mamba-2
        width = c.get("mamba_d_ssm") or heads * (c.get("mamba_d_head") or c.get("mamba_head_dim") or 64)
        groups = c.get("mamba_n_groups") or c.get("n_groups") or 1
        convolved = width + 2 * groups * state
        matrices = hidden * (width + convolved + heads) + convolved * kernel + width * hidden
    else:
        width = int(c.get("mamba_expand", 2) * hidden)
        rank = c.get("mamba_dt_rank")
        rank = rank if isinstance(rank, int) else -(-hidden // 16)
        matrices = hidden * 2 * width + width * kernel + width * (rank + 2 * state) + rank * width + width * hidden
    return matrices, float(SCAN * width * state)


def matched_multiple(size: float, ratio: float) -> float:
    """How many times as much inference a model may do in place of one `size` times as large, at the same total cost of
    training and inference: M + 3 (M - 1) / R, with R inference tokens for each training token (Snell et al. 2024,
    arXiv:2408.03314, section 7). Without training (R infinite) it is M.
    """
    return size + 3.0 * (size - 1.0) / ratio


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
