"""What vLLM's processes are told of our own models: the names alone, so that nothing is imported before it is used."""

from __future__ import annotations


def register() -> None:
    """Make `Qwen2ForPrmModel` known to vLLM, in its processes and in ours before an engine starts."""
    from vllm import ModelRegistry

    if "Qwen2ForPrmModel" not in ModelRegistry.get_supported_archs():
        ModelRegistry.register_model("Qwen2ForPrmModel", "tts.engines.value_head:Qwen2ForPrmModel")
