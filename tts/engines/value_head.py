"""The value head of the Skywork-o1 process reward models, for vLLM, which has none: one number a token.

The checkpoint is a Qwen2 with `v_head.summary`, a linear layer with a bias on the last hidden state
(github.com/SkyworkAI/skywork-o1-prm-inference). vLLM's processes find the class through the plugin entry point.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from vllm.model_executor.models.qwen2_rm import Qwen2ForRewardModel
from vllm.model_executor.models.utils import AutoWeightsLoader, WeightsMapper


class Qwen2ForPrmModel(Qwen2ForRewardModel):  # type: ignore[misc]
    """`Qwen2ForRewardModel` with the other head."""

    def __init__(self, *, vllm_config: Any, prefix: str = "") -> None:
        super().__init__(vllm_config=vllm_config, prefix=prefix)
        self.score = torch.nn.Linear(self.config.hidden_size, 1, dtype=self.head_dtype)

    def load_weights(self, weights: Iterable[tuple[str, torch.Tensor]]) -> set[str]:
        loader = AutoWeightsLoader(self, ignore_unexpected_prefixes=["lm_head."])
        renamed = WeightsMapper(orig_to_new_prefix={"v_head.summary.": "score."})
        loaded: set[str] = loader.load_weights(weights, mapper=renamed)
        return loaded
