"""A model that generates, on vLLM through its asynchronous engine: what `vllm.py` has in a process of its own.

Carries 0.26 (GPU) to 0.32 (GPU and CPU). Token ids go in and come out; text is decoded once, at the end.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from tts.engines.confidence import groups_of, mean_entropy, self_certainty
from tts.engines.startup import FrontEnd, hardware
from tts.engines.templates import ChatTemplate
from tts.engines.watching import Watched, rows
from tts.errors import RequestError
from tts.types import Completion, Finish, Sampling

StopTokens = tuple[frozenset[int], bool]
GENERATION_DEFAULTS = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")


class Generator(FrontEnd):
    """One vLLM engine that generates.

    Raises (from the constructor):
        EngineUnavailable: the model does not fit, or vLLM will not have it.
        InputError: an argument that vLLM does not know.
    """

    name = "vLLM"

    def __init__(self, path: str, arguments: Mapping[str, Any], log: Path) -> None:
        super().__init__(path, arguments, log)
        from vllm import SamplingParams
        from vllm.inputs import tokens_input
        from vllm.sampling_params import RequestOutputKind

        self._sampling_params, self._tokens_input = SamplingParams, tokens_input
        self._final_only, self._delta = RequestOutputKind.FINAL_ONLY, RequestOutputKind.DELTA
        self._vocabulary: int = self._llm.vllm_config.model_config.get_vocab_size()
        self._defaults = dict(self._llm.vllm_config.model_config.get_diff_sampling_param())
        self._template = ChatTemplate(self._llm.get_tokenizer(), {})
        self._stops: dict[str, StopTokens] = {}
        self._params = lru_cache(maxsize=1024)(self._make_params)

    def facts(self) -> Mapping[str, Any]:
        config = self._llm.vllm_config
        model = config.model_config
        return {
            **super().facts(),
            "max_sequences": config.scheduler_config.max_num_seqs,
            "by_priority": config.scheduler_config.policy == "priority",
            "defaults": self._defaults,
            "tokenizer": (
                model.tokenizer,
                model.tokenizer_revision,
                model.trust_remote_code,
                model.tokenizer_mode,
                type(self._template.tokenizer).__name__.removeprefix("Cached"),
            ),
            "hardware": hardware(),
        }

    async def generate(
        self, token_ids: tuple[int, ...], sampling: Sampling, seed: int, request_id: str, priority: int
    ) -> Completion:
        """`Engine.generate`, for a prompt's tokens."""
        stops = {stop: self._stop_tokens(stop) for stop in sampling.stop}
        params = copy.copy(self._params(sampling))
        params.seed = seed
        tokens = self._tokens_input(list(token_ids))
        outputs = self._llm.generate(tokens, params, request_id, priority=priority)
        watched = None
        if sampling.confidence_floor is not None:
            watched = Watched(sampling.confidence_window, sampling.confidence_floor, sampling.top_logprobs or 0)
            outputs = watched.follow(outputs, lambda: self._llm.abort(request_id))
        last = await self._last(outputs)
        completion = self._completion(len(token_ids), params, stops, seed, last)
        if watched is not None:
            return replace(completion, **watched.confidences(completion.finish))
        if not sampling.confidence_window:
            return completion
        groups = groups_of(rows(last.outputs[0].logprobs, params.logprobs), sampling.confidence_window)
        return (
            replace(completion, group_confidence=groups.lowest, tail_confidence=groups.tail) if groups else completion
        )

    async def logprobs(self, token_ids: tuple[int, ...], start: int, request_id: str) -> list[float]:
        """`Engine.logprobs`, for a prompt's tokens."""
        params = self._sampling_params(max_tokens=1, prompt_logprobs=0, detokenize=False, output_kind=self._final_only)
        tokens = self._tokens_input(list(token_ids))
        last = await self._last(self._llm.generate(tokens, params, request_id))
        pairs = list(zip(token_ids, last.prompt_logprobs, strict=True))[start:]
        return [float(row[token].logprob) for token, row in pairs]

    def _make_params(self, sampling: Sampling) -> Any:
        """vLLM's form of it, without a seed."""
        stops = [self._stop_tokens(stop) for stop in sampling.stop]
        asked = {
            name: value
            for name in ("temperature", "top_p", "top_k", "min_p")
            if (value := getattr(sampling, name)) is not None
        }
        defaults = {name: self._defaults[name] for name in GENERATION_DEFAULTS if name in self._defaults}
        thinking = {} if sampling.thinking_tokens is None else {"thinking_token_budget": sampling.thinking_tokens}
        spelled = [stop for stop, (_, alone) in zip(sampling.stop, stops, strict=True) if not alone]
        params = self._sampling_params(
            **{**defaults, **asked, **thinking},
            max_tokens=sampling.max_tokens,
            stop=spelled,
            stop_token_ids=sorted(set().union(*(ids for ids, _ in stops))),
            include_stop_str_in_output=True,
            ignore_eos=sampling.ignore_eos,
            logprobs=sampling.top_logprobs,
            flat_logprobs=True,
            detokenize=bool(spelled),
            output_kind=self._final_only if sampling.confidence_floor is None else self._delta,
        )
        params.skip_clone = True  # nobody else has it: vLLM need not copy it deeply for every request
        return params

    def _completion(
        self, prompt_tokens: int, params: Any, stops: Mapping[str, StopTokens], seed: int, output: Any
    ) -> Completion:
        said, stats = output.outputs[0], output.metrics
        ids = tuple(said.token_ids)
        reason = said.stop_reason
        listed = rows(said.logprobs, params.logprobs)
        return Completion(
            text=self._template.decode(ids),
            finish=_finish(said.finish_reason),
            token_ids=ids,
            # A request aborted before its first token was never prefilled: the engine has not counted it either.
            prompt_tokens=prompt_tokens if ids else 0,
            cached_tokens=(output.num_cached_tokens or 0) if ids else 0,
            generated_tokens=len(ids),
            logprob_sum=said.cumulative_logprob,
            self_certainty=self_certainty(listed, self._vocabulary),
            entropy=mean_entropy(listed, self._vocabulary),
            first=self._first(said.logprobs) if listed and params.max_tokens == 1 else (),
            seed=seed,
            queue_seconds=stats.scheduled_ts - stats.queued_ts if stats and stats.scheduled_ts else None,
            seconds=stats.last_token_ts - stats.scheduled_ts if stats and stats.last_token_ts else 0.0,
            stop=reason if isinstance(reason, str) else next((s for s, (t, _) in stops.items() if reason in t), None),
        )

    def _stop_tokens(self, stop: str) -> StopTokens:
        """A stop string as tokens where it can be, so that the engine stops by itself and at once."""
        if stop not in self._stops:
            self._stops[stop] = self._template.stop_tokens(stop)
        return self._stops[stop]

    def _first(self, logprobs: Any) -> tuple[tuple[str, float], ...]:
        """The sampled token and the likeliest ones at the first position."""
        width = len(logprobs.logprobs) // len(logprobs)
        found = dict(zip(logprobs.token_ids[:width], logprobs.logprobs[:width], strict=True))
        return tuple((self._template.decode([i]), logprob) for i, logprob in found.items())


def _finish(reason: str | None) -> Finish:
    match reason:
        case "stop" | "length" | "abort":
            return reason
        case "repetition":
            return "length"
        case _:
            raise RequestError(f"vLLM ended a request with {reason!r}")
