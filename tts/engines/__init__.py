"""Engines, and how the one that was asked for is started. Each lives in a module that loads only when used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tts.catalog import nearest
from tts.errors import InputError
from tts.types import Engine


async def start(
    kind: str,
    model: str | None,
    *,
    arguments: Mapping[str, Any],
    template: Mapping[str, Any],
    base_urls: Sequence[str],
    log: Path,
    may_abort: bool,
) -> Engine:
    """Start or reach an engine. `may_abort`: calls may be cut at a deadline, so replies should be kept in part.

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

    assert model is not None, "checked with the settings"
    return VLLMEngine(model, arguments, template, log)


def _scripted(model: str | None, arguments: Mapping[str, Any]) -> Engine:
    from tts.engines.scripted import ScriptedEngine, load_script

    known = ("script", "max_sequences", "max_model_len")
    for name in arguments:
        if name not in known:
            raise InputError(f"the scripted engine has no option {name!r}", nearest(name, known))
    options = dict(arguments)
    script = options.pop("script", None)
    return ScriptedEngine(load_script(str(script)) if script else None, model or "scripted", **options)
