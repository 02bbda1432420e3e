"""The embedded model: a policy and a process verifier of under 4 M parameters each, their problems and training."""

from __future__ import annotations

from pathlib import Path

POLICY = Path(__file__).parent / "policy"
"""A folder that vLLM loads as `Qwen2ForCausalLM`."""
VERIFIER = Path(__file__).parent / "verifier"
"""A folder that vLLM loads as `Qwen2ForProcessRewardModel`, on its pooling runner."""
NAME = "nano"
"""What `-m` and a verifier card call it."""
