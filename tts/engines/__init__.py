"""Engines, and how the one that was asked for is started. Each lives in a module that loads only when used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tts.catalog import nearest
from tts.errors import InputError
from tts.types import Engine

if TYPE_CHECKING:
    from tts.verify.process import Card, ProcessVerifier

POLICY_SHARE, VERIFIER_SHARE = 0.55, 0.35
"""Of a GPU's memory, where both run on one; the rest is for what they do not account for."""


async def start(
    kind: str,
    model: str | None,
    *,
    arguments: Mapping[str, Any],
    template: Mapping[str, Any],
    base_urls: Sequence[str],
    log: Path,
    may_abort: bool,
    beside_verifier: bool,
) -> Engine:
    """Start or reach an engine.

    `may_abort`: calls may be cut at a deadline, so replies should be kept in part. `beside_verifier`: a verifier
    will want its share of the memory.

    Raises:
        EngineUnavailable: it cannot be had, with what to do about it.
        InputError: an unknown engine argument.
    """
    if kind == "scripted":
        return _scripted(model, arguments)
    if kind == "server":
        from tts.engines.server import ServerEngine

        return await ServerEngine.connect(base_urls, model, {"stream": may_abort, **arguments}, template)
    from tts.engines.vllm import VLLMEngine

    assert model is not None, "vllm has a default model"
    share: dict[str, Any] = {"gpu_memory_utilization": POLICY_SHARE} if beside_verifier else {}
    return VLLMEngine(model, {**share, **arguments}, template, log)


async def start_verifier(card: Card, log: Path) -> ProcessVerifier:
    """Start a process verifier on vLLM's pooling runner.

    Raises:
        EngineUnavailable: it cannot be had, with what to do about it.
    """
    from tts.engines.scorer import VLLMScorer
    from tts.verify.process import ProcessVerifier

    scorer = await VLLMScorer.open(card.model, {"gpu_memory_utilization": VERIFIER_SHARE}, log)
    try:
        return ProcessVerifier(card, scorer)
    except BaseException:
        await scorer.close()
        raise


def _scripted(model: str | None, arguments: Mapping[str, Any]) -> Engine:
    from tts.engines.scripted import ScriptedEngine, load_script

    known = ("script", "max_sequences", "max_model_len")
    for name in arguments:
        if name not in known:
            raise InputError(f"the scripted engine has no option {name!r}", nearest(name, known))
    options = dict(arguments)
    script = options.pop("script", None)
    for name, value in options.items():
        if not isinstance(value, int) or value < 1:
            raise InputError(f"-M {name}={value}: a whole number above 0 is expected")
    return ScriptedEngine(load_script(str(script)) if script else None, model or "scripted", **options)
