"""vLLM, with its front end in a process of its own. Prompts are written here, and go there as token ids."""

from __future__ import annotations

import contextlib
import logging
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tts import nano
from tts.engines.apart import Apart
from tts.engines.startup import check_model, installed_version
from tts.engines.templates import PLAIN_NOTE, ChatTemplate
from tts.flops import cost, kv_bytes_per_token
from tts.types import Completion, Message, Prompt, Sampling


class VLLMEngine:
    """One vLLM engine.

    Raises (from the constructor):
        EngineUnavailable: vLLM is absent, too old or installed twice; the model is missing or does not fit.
        InputError: an argument that vLLM does not know.
    """

    kind = "vllm"

    def __init__(self, model: str, arguments: Mapping[str, Any], template: Mapping[str, Any], log: Path) -> None:
        self.notes: list[str] = []
        self._version = installed_version()
        path = str(nano.POLICY) if model == nano.NAME else check_model(model)
        self._arguments = dict(arguments)
        self._apart = Apart(
            "tts.engines.generator:Generator", (path, self._arguments, log), model, log, _auto_tokenizer
        )
        self._facts = facts = self._apart.facts
        self.model = model if model == nano.NAME else path
        self.max_sequences: int = facts["max_sequences"]
        self.by_priority: bool = facts["by_priority"]
        self.max_model_len: int = facts["max_model_len"]
        self.cost = cost(facts["hf_config"])
        self.flops_per_token = self.cost.body if self.cost else None
        self.kv_bytes_per_token = kv_bytes_per_token(facts["hf_config"])
        self._template = ChatTemplate(_tokenizer(*facts["tokenizer"]), template)
        if self._template.plain:
            self.notes.append(PLAIN_NOTE)
        if self.sampling_defaults:
            spelled = ", ".join(f"{name}={value}" for name, value in self.sampling_defaults.items())
            self.notes.append("sampling defaults of the model: " + spelled)

    @property
    def sampling_defaults(self) -> Mapping[str, Any]:
        """The model's own generation defaults (its generation_config.json)."""
        defaults: Mapping[str, Any] = self._facts["defaults"]
        return defaults

    def render(self, messages: Sequence[Message], prefill: str = "") -> Prompt:
        return self._template.render(messages, prefill)

    def encode(self, text: str) -> tuple[int, ...]:
        return self._template.encode(text)

    def decode(self, token_ids: Sequence[int]) -> str:
        return self._template.decode(token_ids)

    async def generate(
        self, prompt: Prompt, sampling: Sampling, seed: int, request_id: str, *, priority: int = 0
    ) -> Completion:
        completion: Completion = await self._apart.call(
            "generate", prompt.token_ids, sampling, seed, request_id, priority
        )
        return completion

    async def logprobs(self, prompt: Prompt, start: int, request_id: str) -> list[float]:
        found: list[float] = await self._apart.call("logprobs", prompt.token_ids, start, request_id)
        return found

    async def abort(self, *request_ids: str) -> None:
        await self._apart.call("abort", *request_ids)

    async def reset_prefix_cache(self) -> None:
        """Forget what was computed."""
        await self._apart.call("reset_prefix_cache")

    def counters(self) -> Mapping[str, int]:
        return self._apart.totals

    def describe(self) -> Mapping[str, Any]:
        return {
            "engine": self.kind,
            "vllm_version": self._version,
            "python": platform.python_version(),
            "arguments": self._arguments,
            "max_model_len": self.max_model_len,
            "max_num_seqs": self.max_sequences,
            "sampling_defaults": self.sampling_defaults,
            "architectures": self._facts["hf_config"].get("architectures"),
            "flops_per_token": self.flops_per_token,
            "hardware": self._facts["hardware"],
            "replay": "finished calls exactly; the rest is drawn with the same seeds, and may depend on the batch",
        }

    async def close(self) -> None:
        await self._apart.close()


def _auto_tokenizer() -> Any:
    """Loads for seconds, the first time."""
    from transformers import AutoTokenizer

    return AutoTokenizer


def _tokenizer(name: str, revision: str | None, trust_remote_code: bool, mode: str, kind: str) -> Any:
    """What vLLM has as the model's tokenizer, an object of class `kind`: from transformers where that gives the same,
    so that vLLM need not be loaded here too.
    """
    with contextlib.suppress(Exception):  # whatever a model's own code raises
        found = _auto_tokenizer().from_pretrained(name, revision=revision, trust_remote_code=trust_remote_code)
        if type(found).__name__ == kind:
            return found
    logging.getLogger("vllm").setLevel(logging.ERROR)
    from vllm.tokenizers import get_tokenizer

    return get_tokenizer(name, tokenizer_mode=mode, revision=revision, trust_remote_code=trust_remote_code)
