"""Reward models on vLLM's pooling runner, read token by token so that the prefix cache serves them.

vLLM skips reading its cache for token pooling, and its own step pooling cannot be used with one. So every token is
pooled, reading the cache is switched on, and the rows that come back are those after the cached prefix.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tts import nano
from tts.engines.startup import check_model, installed_version, on_cpu, start
from tts.engines.templates import ChatTemplate
from tts.engines.vllm import last_output
from tts.errors import EngineUnavailable, RequestError
from tts.flops import cost
from tts.types import Message, Prompt
from tts.verify.process import Reading

VERIFIER_KV_BYTES = 1 << 30
CPU_BLOCK = 32
"""The least that vLLM takes on CPU (its default is 128): cached prefixes are whole blocks, and steps are short."""
AGREEMENT = 0.1
"""How far a logit read after a cached prefix may lie from the same read in full (relative to 1 + its size), in the
self-test: bfloat16 alone makes hundredths."""


class VLLMScorer:
    """A model that classifies tokens, in an engine of its own.

    Raises (from `open`):
        EngineUnavailable: vLLM is absent, too old or installed twice; the model is missing or does not fit.
    """

    def __init__(self, model: str, arguments: Mapping[str, Any], log: Path) -> None:
        installed_version()
        path = str(nano.VERIFIER) if model == nano.NAME else check_model(model)
        self._template = ChatTemplate(load_tokenizer(path), {})
        here = {"kv_cache_memory_bytes": VERIFIER_KV_BYTES, "block_size": CPU_BLOCK} if on_cpu() else {}
        pooling = {"runner": "pooling", "pooler_config": {"tok_pooling_type": "ALL"}}
        self._totals: Counter[str] = Counter()
        self._llm = start(path, {**pooling, **here, **arguments}, log, self._totals)
        from vllm import PoolingParams
        from vllm.inputs import tokens_input

        self._pooling_params, self._tokens_input = PoolingParams, tokens_input
        config = self._llm.vllm_config
        self.max_model_len: int = config.model_config.max_model_len
        self.cost = cost(config.model_config.hf_config.to_dict())
        self.flops_per_token = self.cost.body if self.cost else None
        self.notes: list[str] = []
        self.cached = bool(config.cache_config.enable_prefix_caching)

    @classmethod
    async def open(cls, model: str, arguments: Mapping[str, Any], log: Path) -> VLLMScorer:
        """Start the engine and see whether what it reads after a cached prefix is what it reads in full."""
        scorer = cls(model, arguments, log)
        if scorer.cached and (trouble := await scorer._cache_trouble()):
            scorer.cached = False
            scorer.notes.append(f"the verifier goes without its prefix cache: {trouble}")
        return scorer

    async def _cache_trouble(self) -> str | None:
        """What is wrong with scores from the cache; None where they agree."""
        block: int = self._llm.vllm_config.cache_config.block_size
        length = min(4 * block, self.max_model_len - 1)
        words = self.encode("One and two make three.\n") or (0,)
        ids = (words * (length // len(words) + 1))[:length]
        ends = [length // 2, length - 1]
        try:
            whole = await self.classify(ids, ends, "self-test/whole", cached=False)
            await self.classify(ids[: ends[0] + 1], ends[:1], "self-test/prefix")
            after = await self.classify(ids, ends, "self-test/after")
        except RequestError as error:
            return error.message
        if not after.cached_tokens:
            return "the engine read nothing from it"
        pairs = zip(whole.rows[ends[1]], after.rows[ends[1]], strict=True)
        worst = max(abs(a - b) / (1 + abs(a)) for a, b in pairs)
        return None if worst <= AGREEMENT else f"a score read from it is off by {worst:.3g}"

    def render(self, messages: Sequence[Message], prefill: str = "") -> Prompt:
        return self._template.render(messages, prefill)

    def encode(self, text: str) -> tuple[int, ...]:
        return self._template.encode(text)

    def counters(self) -> Mapping[str, int]:
        """The engine's own totals: prompt_tokens, of which cached_tokens."""
        return dict(self._totals)

    async def classify(
        self, token_ids: Sequence[int], positions: Sequence[int], request_id: str, *, cached: bool = True
    ) -> Reading:
        params = self._pooling_params(
            task="token_classify", use_activation=False, skip_reading_prefix_cache=not (cached and self.cached)
        )
        tokens = self._tokens_input(list(token_ids))
        last = await last_output(self._llm, self._llm.encode(tokens, params, request_id), "the verifier")
        data = last.outputs.data
        first = len(token_ids) - len(data)
        if first != (last.num_cached_tokens or 0):
            raise RequestError(f"the verifier gave {len(data)} rows for {len(token_ids)} tokens")
        return Reading({p: data[p - first].float().tolist() for p in positions if p >= first}, first)

    async def abort(self, request_id: str) -> None:
        await self._llm.abort(request_id)

    async def close(self) -> None:
        if hasattr(self, "_llm"):
            with contextlib.suppress(Exception):
                self._llm.shutdown()
            del self._llm


def load_tokenizer(path: str) -> Any:
    """The tokenizer of a local folder or a Hugging Face id.

    Raises:
        EngineUnavailable: there is none, or it cannot be read or fetched.
    """
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(path)
    except (OSError, ValueError, KeyError) as error:
        said = str(error).strip().split("\n")[0]
        raise EngineUnavailable(
            f"cannot load the tokenizer of {path}: {said}", "a local folder with the model can be given instead"
        ) from error
