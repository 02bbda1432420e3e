"""The two models: a Qwen2 decoder as a policy, and the same with a step-scoring head as a process verifier.

Written for training: parameter names and arithmetic are those of Qwen2 (Yang et al. 2024, arXiv:2407.10671), so
that vLLM and transformers load the saved folders as `Qwen2ForCausalLM` and `Qwen2ForProcessRewardModel`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from safetensors.torch import load_file, save_file
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Shape:
    """The size of a model, in Qwen2's own words."""

    vocab_size: int = 1024
    hidden_size: int = 256
    intermediate_size: int = 416
    num_hidden_layers: int = 6
    num_attention_heads: int = 4
    num_key_value_heads: int = 2
    max_position_embeddings: int = 2048
    rope_theta: float = 10_000.0
    rms_norm_eps: float = 1e-6

    @property
    def head_dim(self) -> int:
        return self.hidden_size // self.num_attention_heads


VERIFIER_SHAPE = Shape(num_hidden_layers=8)
"""Two layers more than the policy: the policy's layers foretell the next token, these compare it with what came."""


class LayerCache:
    """Keys and values of one layer."""

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        self.keys, self.values, self.length = keys, values, 0

    def extend(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Store new positions; all keys and values so far."""
        start, self.length = self.length, self.length + key.shape[2]
        self.keys[:, :, start : self.length] = key
        self.values[:, :, start : self.length] = value
        return self.keys[:, :, : self.length], self.values[:, :, : self.length]


class Cache:
    """Keys and values of a batch of sequences, for decoding a token at a time."""

    def __init__(self, shape: Shape, batch: int, length: int, like: Tensor) -> None:
        size = (batch, shape.num_key_value_heads, length, shape.head_dim)
        self.layers = [LayerCache(like.new_empty(size), like.new_empty(size)) for _ in range(shape.num_hidden_layers)]

    @property
    def length(self) -> int:
        return self.layers[0].length

    def keep(self, rows: Tensor) -> None:
        """Go on with some sequences only."""
        for layer in self.layers:
            layer.keys, layer.values = layer.keys[rows], layer.values[rows]


class Attention(nn.Module):
    """Grouped-query attention with rotary positions."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads, self.groups, self.width = shape.num_attention_heads, shape.num_key_value_heads, shape.head_dim
        self.q_proj = nn.Linear(shape.hidden_size, self.heads * self.width, bias=True)
        self.k_proj = nn.Linear(shape.hidden_size, self.groups * self.width, bias=True)
        self.v_proj = nn.Linear(shape.hidden_size, self.groups * self.width, bias=True)
        self.o_proj = nn.Linear(self.heads * self.width, shape.hidden_size, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, cache: LayerCache | None, mask: Tensor | None) -> Tensor:
        batch, length, _ = x.shape
        q = _rotate(self.q_proj(x).view(batch, length, self.heads, self.width).transpose(1, 2), cos, sin)
        k = _rotate(self.k_proj(x).view(batch, length, self.groups, self.width).transpose(1, 2), cos, sin)
        v = self.v_proj(x).view(batch, length, self.groups, self.width).transpose(1, 2)
        if cache is not None:
            k, v = cache.extend(k, v)
        if mask is None:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        else:
            y = _attend(q, k, v, mask)
        merged: Tensor = self.o_proj(y.transpose(1, 2).reshape(batch, length, -1))
        return merged


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


def _attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    """Attention under a mask, without copying keys and values to every head of a group."""
    batch, heads, length, width = q.shape
    grouped = q.reshape(batch, k.shape[1], -1, width) * width**-0.5
    scores = (grouped @ k.transpose(2, 3)).view(batch, heads, length, -1).float()
    weights: Tensor = scores.masked_fill(~mask[:, None], -1e9).softmax(dim=-1).to(v.dtype)
    merged: Tensor = weights.view(batch, k.shape[1], -1, v.shape[2]) @ v
    return merged.view(batch, heads, length, width)


class FeedForward(nn.Module):
    """SwiGLU."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(shape.hidden_size, shape.intermediate_size, bias=False)
        self.up_proj = nn.Linear(shape.hidden_size, shape.intermediate_size, bias=False)
        self.down_proj = nn.Linear(shape.intermediate_size, shape.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))
        return y


class Block(nn.Module):
    """One decoder layer."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.input_layernorm = nn.RMSNorm(shape.hidden_size, eps=shape.rms_norm_eps)
        self.self_attn = Attention(shape)
        self.post_attention_layernorm = nn.RMSNorm(shape.hidden_size, eps=shape.rms_norm_eps)
        self.mlp = FeedForward(shape)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, cache: LayerCache | None, mask: Tensor | None) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, cache, mask)
        y: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return y


class Decoder(nn.Module):
    """Token ids to hidden states."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embed_tokens = nn.Embedding(shape.vocab_size, shape.hidden_size)
        self.layers = nn.ModuleList(Block(shape) for _ in range(shape.num_hidden_layers))
        self.norm = nn.RMSNorm(shape.hidden_size, eps=shape.rms_norm_eps)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                depth = 2 * shape.num_hidden_layers if name.endswith(("o_proj.weight", "down_proj.weight")) else 1
                nn.init.normal_(parameter, std=0.02 / depth**0.5)

    def forward(self, ids: Tensor, cache: Cache | None = None, mask: Tensor | None = None) -> Tensor:
        """Causal without a mask; `mask` says, for each sequence and new position, what it may attend to."""
        start = cache.length if cache is not None else 0
        x = self.embed_tokens(ids)
        cos, sin = self._angles(start, ids.shape[1], x)
        for number, layer in enumerate(self.layers):
            x = layer(x, cos, sin, cache.layers[number] if cache is not None else None, mask)
        y: Tensor = self.norm(x)
        return y

    def _angles(self, start: int, length: int, like: Tensor) -> tuple[Tensor, Tensor]:
        half, device = self.shape.head_dim // 2, like.device.type
        rates = self.shape.rope_theta ** (-torch.arange(half, device=like.device, dtype=torch.float32) / half)
        angles = torch.arange(start, start + length, device=like.device, dtype=torch.float32)[:, None] * rates
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else like.dtype
        return angles.cos().to(dtype), angles.sin().to(dtype)


class Policy(nn.Module):
    """`Qwen2ForCausalLM` with tied embeddings."""

    architecture = "Qwen2ForCausalLM"

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.model = Decoder(shape)

    def logits(self, hidden: Tensor) -> Tensor:
        return F.linear(hidden, self.model.embed_tokens.weight)


class ProcessVerifier(nn.Module):
    """`Qwen2ForProcessRewardModel`: two logits a position, wrong and right, read at the step tokens."""

    architecture = "Qwen2ForProcessRewardModel"

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.model = Decoder(shape)
        self.score = nn.Sequential(
            nn.Linear(shape.hidden_size, shape.hidden_size), nn.ReLU(), nn.Linear(shape.hidden_size, 2)
        )


def save_model(model: Policy | ProcessVerifier, folder: Path, end: int, pad: int) -> None:
    """Weights in bf16 and the configuration, as a folder that vLLM loads."""
    shape = model.model.shape
    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        name: tensor.detach().to("cpu", torch.bfloat16).contiguous() for name, tensor in model.state_dict().items()
    }
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)
    config: dict[str, Any] = {
        "architectures": [model.architecture],
        "model_type": "qwen2",
        **asdict(shape),
        "hidden_act": "silu",
        "attention_dropout": 0.0,
        "tie_word_embeddings": True,
        "use_sliding_window": False,
        "torch_dtype": "bfloat16",
        "bos_token_id": None,
        "eos_token_id": end,
        "pad_token_id": pad,
    }
    if isinstance(model, ProcessVerifier):
        config["num_labels"] = 2
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")


def load_weights(model: Policy | ProcessVerifier, folder: Path) -> None:
    """Read what `save_model` wrote, back into float32."""
    weights = load_file(folder / "model.safetensors")
    model.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
