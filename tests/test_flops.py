"""FLOPs from a model's configuration, against counts made by other ways."""

from __future__ import annotations

import pytest

from tts.flops import Cost, active_parameters, cost, flops_per_token, matched_multiple, total_parameters

QWEN = {
    "model_type": "qwen2", "hidden_size": 896, "num_hidden_layers": 24, "num_attention_heads": 14,
    "num_key_value_heads": 2, "intermediate_size": 4864, "vocab_size": 151936, "tie_word_embeddings": True,
}  # fmt: skip
MIXTRAL = {
    "model_type": "mixtral", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
    "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 32000, "num_local_experts": 8,
    "num_experts_per_tok": 2, "tie_word_embeddings": False,
}  # fmt: skip


def test_published_sizes() -> None:
    """Qwen2.5-0.5B: 0.49 B, 0.36 B without embeddings (its card). Mixtral 8x7B: 46.7 B, 12.9 B of them active."""
    assert total_parameters(QWEN) == pytest.approx(0.494e9, rel=0.01)
    assert active_parameters(QWEN) == pytest.approx(0.358e9, rel=0.01)
    assert total_parameters(MIXTRAL) == pytest.approx(46.7e9, rel=0.01)
    active = active_parameters(MIXTRAL)
    assert active is not None
    assert active + 2 * 4096 * 32000 == pytest.approx(12.9e9, rel=0.01)


def brute(c: Cost, prompt: int, cached: int, generated: int) -> float:
    total = c.head * generated
    for position in range(cached, prompt + generated):
        total += c.body + c.attention * (position + 1)
        total += c.sliding * min(position + 1, c.window)
    return total


@pytest.mark.parametrize(
    ("prompt", "cached", "generated"), [(10, 0, 5), (10, 7, 0), (3, 3, 20), (40, 20, 1), (0, 0, 0)]
)
def test_a_call_is_its_tokens_one_by_one(prompt: int, cached: int, generated: int) -> None:
    for c in (Cost(7.0, 5.0, 3.0), Cost(7.0, 5.0, 3.0, 2.0, 8), Cost(1.0, 0.0, 0.0, 2.0, 16)):
        assert c.call(prompt, cached, generated) == pytest.approx(brute(c, prompt, cached, generated))


def test_attention_and_head_of_a_dense_model() -> None:
    found = cost(QWEN)
    assert found is not None
    assert found.attention == 4 * 24 * 14 * 64
    assert found.head == 2 * 896 * 151936
    assert found.body == flops_per_token(QWEN)


def test_sliding_layers_look_back_no_further_than_their_window() -> None:
    kinds = ["sliding_attention", "full_attention"] * 12
    found = cost({**QWEN, "sliding_window": 100, "layer_types": kinds})
    assert found is not None
    assert found.attention == found.sliding == 4 * 12 * 14 * 64
    assert cost({**QWEN, "sliding_window": 100, "use_sliding_window": False}) == cost(QWEN)


def test_state_space_layers_have_no_attention() -> None:
    hybrid = {
        "model_type": "granitemoehybrid", "hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4,
        "num_key_value_heads": 2, "intermediate_size": 128, "vocab_size": 100,
        "layer_types": ["mamba", "mamba", "mamba", "attention"],
        "mamba_n_heads": 8, "mamba_d_head": 16, "mamba_d_state": 16, "mamba_n_groups": 1, "mamba_d_conv": 4,
    }  # fmt: skip
    found = cost(hybrid)
    assert found is not None
    assert found.attention == 4 * 1 * 4 * 16
    width, state = 128, 16
    mamba = 64 * (2 * width + 2 * state + 8) + 4 * (width + 2 * state) + width * 64
    attention = 64 * 16 * (2 * 4 + 2 * 2)
    assert found.body == 2 * (3 * mamba + attention + 4 * 3 * 64 * 128) + 3 * 5 * width * state
    nemotron = {**hybrid, "model_type": "nemotron_h", "hybrid_override_pattern": "M-*-", "layer_types": None}
    found = cost(nemotron)
    assert found is not None
    assert found.body == 2 * (mamba + attention + 2 * 2 * 64 * 128) + 5 * width * state


@pytest.mark.parametrize(
    "odd",
    [{"kv_lora_rank": 512}, {"layer_types": ["linear_attention"] * 24}, {"model_type": "zamba2"},
     {"model_type": "mamba2"}, {"hybrid_override_pattern": "MX"}],
)  # fmt: skip
def test_what_is_not_understood_is_unknown(odd: dict[str, object]) -> None:
    assert cost({**QWEN, **odd}) is None
    assert cost({}) is None


@pytest.mark.parametrize(
    ("ratio", "multiple"), [(0.16, 14 + 3 * 13 / 0.16), (0.79, 14 + 3 * 13 / 0.79), (22, 14 + 39 / 22)]
)
def test_snell_s_multiple(ratio: float, multiple: float) -> None:
    """Equal totals: 6 N D_pre + 2 N D_inf k for the small model, 6 MN D_pre + 2 MN D_inf for the large one."""
    assert matched_multiple(14, ratio) == pytest.approx(multiple)
    n, pre = 1.0, 1.0
    inf = ratio * pre
    assert 6 * n * pre + 2 * n * inf * matched_multiple(14, ratio) == pytest.approx(14 * (6 * n * pre + 2 * n * inf))
