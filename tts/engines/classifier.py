"""A reward model on vLLM's pooling runner: what `scorer.py` has in a process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from tts.engines.heads import register
from tts.engines.startup import FrontEnd, on_cpu
from tts.errors import RequestError

CPU_KV_BYTES = 1 << 30
CPU_BLOCK = 32
"""The least that vLLM takes on CPU (its default is 128): cached prefixes are whole blocks, and steps are short."""

HOLD = 0.01
"""Seconds for which requests are gathered while others are being read. A search asks for one path after the other as
they end; read one by one, they take steps that the policy on the same device would have had."""


class Classifier(FrontEnd):
    """One vLLM engine that classifies tokens.

    Raises (from the constructor):
        EngineUnavailable: the model does not fit, or vLLM will not have it.
        InputError: an argument that vLLM does not know.
    """

    name = "the verifier"

    def __init__(self, path: str, arguments: Mapping[str, Any], log: Path) -> None:
        register()
        here = {"kv_cache_memory_bytes": CPU_KV_BYTES, "block_size": CPU_BLOCK} if on_cpu() else {}
        super().__init__(path, {**here, **arguments}, log)
        from vllm import PoolingParams
        from vllm.inputs import tokens_input

        self._params = cache(
            lambda cached: PoolingParams(
                task="token_classify", use_activation=False, skip_reading_prefix_cache=not cached
            )
        )
        """Whether the cache is read → what the engine is asked for: vLLM makes a copy for every request."""
        self._tokens_input = tokens_input
        self._reading = 0
        self._held: set[str] = set()
        self._released = asyncio.Event()

    def facts(self) -> Mapping[str, Any]:
        config = self._llm.vllm_config.cache_config
        return {
            **super().facts(),
            "block": config.block_size,
            "cached": bool(config.enable_prefix_caching),
        }

    async def classify(
        self, token_ids: tuple[int, ...], positions: tuple[int, ...], request_id: str, cached: bool
    ) -> tuple[dict[int, list[float]], int]:
        """The logits at those of these positions that lie after the cached prefix, and its length."""
        if self._reading:
            await self._hold(request_id)
        tokens = self._tokens_input(list(token_ids))
        self._reading += 1
        try:
            outputs = self._llm.encode(tokens, self._params(cached), request_id)
            last = await self._last(outputs)
        finally:
            self._reading -= 1
        data = last.outputs.data
        first = len(token_ids) - len(data)
        if first != (last.num_cached_tokens or 0):
            raise RequestError(f"the verifier gave {len(data)} rows for {len(token_ids)} tokens")
        return {p: data[p - first].float().tolist() for p in positions if p >= first}, first

    async def _hold(self, request_id: str) -> None:
        """Wait for the requests that come within `HOLD` seconds of the first that is held.

        Raises:
            RequestError: it was aborted meanwhile.
        """
        if not self._held:
            self._released = released = asyncio.Event()
            asyncio.get_running_loop().call_later(HOLD, released.set)
        self._held.add(request_id)
        try:
            await self._released.wait()
            if request_id not in self._held:
                raise RequestError("the verifier's request was aborted")
        finally:
            self._held.discard(request_id)

    async def abort(self, *request_ids: str) -> None:
        self._held.difference_update(request_ids)
        await super().abort(*request_ids)
