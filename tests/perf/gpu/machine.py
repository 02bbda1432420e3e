"""The engine's arguments here, and what is written down about the machine."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
from collections.abc import Sequence
from typing import Any

from watching import gpu

from tts.settings import pairs

CAPTURED = [1, 2, 4, 8, 16, 32, 64, 96, 128, 192, 256, 320, 384, 448, 512, 576, 640, 768, 1024]
ENGINE: dict[str, Any] = {
    "max_model_len": 4096,
    "max_num_seqs": 512,
    "max_num_batched_tokens": 8192,
    "generation_config": "vllm",  # the model's own defaults (a repetition penalty among them) stay out
}
GRAPHS: dict[str, dict[str, Any]] = {
    "compiled": {"cudagraph_capture_sizes": CAPTURED},
    "eager": {"mode": 0, "cudagraph_mode": "NONE"},
}
"""vLLM's default (torch.compile, up in 100 s), and neither compilation nor graphs (61 s). FULL graphs for mixed batches
are no choice: vLLM 0.26 captures them with one token a sequence, for which FlashAttention 3 drops the causal mask at
some head sizes, and replays them for longer ones."""


def engine_arguments(graphs: str, given: Sequence[str]) -> dict[str, Any]:
    """What both sides of every comparison give to vLLM; `given` goes over it."""
    return {**ENGINE, "compilation_config": GRAPHS[graphs], **pairs(given, "engine_arg")}


PACKAGES = (
    "tts-reasoning",
    "vllm",
    "torch",
    "triton",
    "transformers",
    "tokenizers",
    "numpy",
    "sympy",
    "openai",
    "pydantic",
)


def machine(commit: str) -> dict[str, Any]:
    """Commit, time, versions, GPU and its clocks as they are now."""
    versions: dict[str, str | None] = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
    return {
        "commit": commit,
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
        "versions": versions,
        "gpu": gpu(),
    }
