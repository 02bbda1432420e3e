"""Any OpenAI-compatible server, or several: `vllm serve`, or a router before many of them.

Token-id prompts where a tokenizer is known and the server is vLLM; messages otherwise. A request goes to the
server with the fewest outstanding, and after a failure to whichever has the fewest then.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

import openai

from tts.catalog import nearest
from tts.engines.confidence import GroupConfidence, groups_of, mean_entropy, self_certainty
from tts.engines.connection import MALFORMED, Server, attempts, read_tokenizer, served
from tts.engines.replies import Reply, finish, gather, likeliest, take
from tts.engines.templates import PLAIN_NOTE, ChatTemplate
from tts.errors import EngineDead, InputError, RequestError
from tts.flops import cost, kv_bytes_per_token
from tts.types import Completion, Message, Prompt, Sampling


class ServerEngine:
    """An engine behind HTTP.

    Options (`-M`): `tokenizer` (path or hub id; by default what the server says it serves), `timeout` seconds
    an attempt, `attempts`, `max_sequences` a server, `max_model_len`, `stream` (on by default only when a call
    may be aborted: a reply that streams keeps its text and tokens when it is cut).
    """

    kind = "server"
    by_priority = False

    def __init__(
        self,
        servers: Sequence[Server],
        model: str,
        card: Mapping[str, Any],
        options: Mapping[str, Any],
        template: Mapping[str, Any],
    ) -> None:
        self.notes: list[str] = []
        self.model = model
        self._servers = list(servers)
        self._is_vllm = card.get("owned_by") == "vllm"
        self._attempts = int(options.get("attempts", 6))
        self._stream = bool(options.get("stream", False))
        self._running: dict[str, asyncio.Event] = {}
        self._totals = {"prompt_tokens": 0, "generated_tokens": 0}
        self.max_sequences = int(options.get("max_sequences", 128)) * len(self._servers)
        self.max_model_len = int(options.get("max_model_len") or card.get("max_model_len") or 32768)
        source = options.get("tokenizer") or (card.get("root") or model if self._is_vllm else None)
        self._template, hf_config = read_tokenizer(source, template, required="tokenizer" in options)
        self._template_arguments = dict(template)
        self.cost = cost(hf_config)
        self.flops_per_token = self.cost.body if self.cost else None
        self.kv_bytes_per_token = kv_bytes_per_token(hf_config)
        self._vocabulary: int | None = hf_config.get("vocab_size")
        if self._template is None:
            self.notes.append(
                "no tokenizer for the server's model is at hand: prompts go as messages, not as token ids"
            )
        elif self._template.plain:
            self.notes.append(PLAIN_NOTE)

    @classmethod
    async def connect(
        cls, urls: Sequence[str], model: str | None, options: Mapping[str, Any], template: Mapping[str, Any]
    ) -> ServerEngine:
        """Find out what the servers serve.

        Raises:
            EngineUnavailable: a server does not answer, or does not serve `model`.
            InputError: an unknown option.
        """
        known = ("tokenizer", "timeout", "attempts", "max_sequences", "max_model_len", "stream")
        for name in options:
            if name not in known:
                raise InputError(f"the server engine has no option {name!r}", nearest(name, known))
        for name in ("timeout", "attempts", "max_sequences", "max_model_len"):
            value = options.get(name, 1)
            if not isinstance(value, int | float) or value <= 0:
                raise InputError(f"-M {name}={value}: a number above 0 is expected", f"-M {name}=8")
        key = os.environ.get("OPENAI_API_KEY", "none")
        servers = []
        for url in urls:
            client = openai.AsyncOpenAI(
                base_url=url, api_key=key, max_retries=0, timeout=float(options.get("timeout", 600.0))
            )
            servers.append(Server(client, url))
        try:
            cards = [await served(server, model) for server in servers]
            return cls(servers, model or str(cards[0]["id"]), cards[0], options, template)
        except BaseException:
            for server in servers:
                await server.client.close()
            raise

    def render(self, messages: Sequence[Message], prefill: str = "") -> Prompt:
        if self._template is not None:
            return self._template.render(messages, prefill)
        if prefill:
            raise InputError("beginning the assistant's turn needs the tokenizer", "-M tokenizer=PATH_OR_HF_ID")
        return Prompt("\n\n".join(m.content for m in messages), (), tuple(messages))

    def encode(self, text: str) -> tuple[int, ...]:
        return self._tokens().encode(text)

    def decode(self, token_ids: Sequence[int]) -> str:
        return self._tokens().decode(token_ids)

    def _tokens(self) -> ChatTemplate:
        if self._template is None or not self._is_vllm:
            raise InputError(
                "going on with a response needs token ids, and this server is addressed by messages",
                "a vLLM server and -M tokenizer=PATH_OR_HF_ID",
            )
        return self._template

    async def generate(
        self, prompt: Prompt, sampling: Sampling, seed: int, request_id: str, *, priority: int = 0
    ) -> Completion:
        aborted = self._running[request_id] = asyncio.Event()
        reply = Reply()
        began = time.monotonic()
        call = asyncio.ensure_future(self._with_retries(prompt, sampling, seed, reply))
        stop = asyncio.ensure_future(aborted.wait())
        try:
            await asyncio.wait((call, stop), return_when=asyncio.FIRST_COMPLETED)
            if call.done():
                call.result()
            else:
                call.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await call
                reply.finish = "abort"
        finally:
            call.cancel()
            stop.cancel()
            del self._running[request_id]
        self._totals["prompt_tokens"] += reply.prompt_tokens
        self._totals["generated_tokens"] += reply.generated_tokens
        listed = likeliest(reply.top_logprobs, sampling.top_logprobs or 0)
        groups = groups_of(listed, sampling.confidence_window)
        return Completion(
            text=reply.text,
            finish=finish(reply.finish),
            token_ids=reply.token_ids,
            prompt_tokens=reply.prompt_tokens,
            cached_tokens=reply.cached_tokens if reply.prompt_tokens else 0,
            generated_tokens=reply.generated_tokens,
            logprob_sum=reply.logprob_sum if sampling.top_logprobs is not None else None,
            self_certainty=self_certainty(listed, self._vocabulary) if listed and self._vocabulary else None,
            entropy=mean_entropy(listed, self._vocabulary) if listed and self._vocabulary else None,
            first=reply.first if sampling.max_tokens == 1 else (),
            seed=seed,
            seconds=time.monotonic() - began,
            stop=reply.stop_reason if isinstance(reply.stop_reason, str) else None,
            group_confidence=groups.lowest if groups else None,
            tail_confidence=groups.tail if groups else None,
            doubted=reply.doubted,
        )

    async def logprobs(self, prompt: Prompt, start: int, request_id: str) -> list[float]:
        self._tokens()
        server = min(self._servers, key=lambda s: s.outstanding)
        try:
            answer = await server.client.completions.create(
                model=self.model, prompt=list(prompt.token_ids), max_tokens=1, extra_body={"prompt_logprobs": 0}
            )
        except openai.APIConnectionError as error:
            raise EngineDead(f"lost the server at {server.url}: {error}") from error
        except openai.OpenAIError as error:
            raise RequestError(f"the server gives no log-probabilities of a prompt: {error}") from error
        rows = getattr(answer.choices[0], "prompt_logprobs", None)
        if not rows:
            raise RequestError("the server gives no log-probabilities of a prompt")
        pairs = list(zip(prompt.token_ids, rows, strict=True))[start:]
        return [float(row[str(token)]["logprob"]) for token, row in pairs]

    async def _with_retries(self, prompt: Prompt, sampling: Sampling, seed: int, reply: Reply) -> None:
        try:
            async for attempt in attempts(self._attempts):
                with attempt:
                    await self._attempt(prompt, sampling, seed, reply)
        except openai.APITimeoutError as error:
            raise RequestError(f"no reply within the timeout, {self._attempts} times", "-M timeout=SECONDS") from error
        except openai.APIConnectionError as error:
            where = ", ".join(s.url for s in self._servers)
            raise EngineDead(f"lost the server at {where} ({self._attempts} attempts): {error}") from error
        except openai.APIStatusError as error:
            raise RequestError(f"the server refused the request ({error.status_code}): {_said(error)}") from error
        except (openai.OpenAIError, *MALFORMED) as error:
            raise RequestError(f"the server's reply cannot be used: {error}") from error

    async def _attempt(self, prompt: Prompt, sampling: Sampling, seed: int, reply: Reply) -> None:
        reply.restart()  # a failed attempt leaves nothing behind
        server = min(self._servers, key=lambda s: s.outstanding)
        server.outstanding += 1
        try:
            body, top = self._body(sampling, seed), sampling.top_logprobs
            if prompt.token_ids:
                if top is not None:
                    body["logprobs"] = top
                call = server.client.completions.create(prompt=list(prompt.token_ids), **body)
            else:
                turns: Any = [{"role": m.role, "content": m.content} for m in prompt.messages]
                if self._template_arguments:
                    body["extra_body"]["chat_template_kwargs"] = self._template_arguments
                if top is not None:
                    body |= {"logprobs": True, "top_logprobs": top or None}
                call = server.client.chat.completions.create(messages=turns, **body)
            answer = await call
            if body.get("stream"):
                floor = sampling.confidence_floor
                groups = GroupConfidence(sampling.confidence_window, floor) if floor is not None else None
                await gather(answer, reply, groups, top or 0)
                await answer.close()
            else:
                take(answer, reply)
        finally:
            server.outstanding -= 1

    def _body(self, sampling: Sampling, seed: int) -> dict[str, Any]:
        extra: dict[str, Any] = {}
        if self._is_vllm:
            extra = {"return_token_ids": True, "ignore_eos": sampling.ignore_eos, "include_stop_str_in_output": True}
            extra |= {k: v for k in ("top_k", "min_p") if (v := getattr(sampling, k)) is not None}
            if sampling.thinking_tokens is not None:
                extra["thinking_token_budget"] = sampling.thinking_tokens
        elif sampling.top_k is not None or sampling.min_p is not None or sampling.thinking_tokens is not None:
            raise RequestError("this server is not vLLM: it has no top_k, min_p or thinking budget")
        elif sampling.stop:
            raise RequestError("this server is not vLLM: it does not tell which stop string ended a response")
        body: dict[str, Any] = {
            "model": self.model,
            "seed": seed,
            "max_tokens": sampling.max_tokens,
            "stop": list(sampling.stop) or None,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "extra_body": extra,
        }
        if self._stream or sampling.confidence_floor is not None:
            body["stream"] = True
            body["stream_options"] = {"include_usage": True}
            if self._is_vllm:
                body["stream_options"]["continuous_usage_stats"] = True
        return {name: value for name, value in body.items() if value is not None}

    async def abort(self, *request_ids: str) -> None:
        for request_id in request_ids:
            if event := self._running.get(request_id):
                event.set()

    def counters(self) -> Mapping[str, int]:
        return dict(self._totals)

    def describe(self) -> Mapping[str, Any]:
        return {
            "engine": self.kind,
            "base_urls": [s.url for s in self._servers],
            "vllm": self._is_vllm,
            "max_model_len": self.max_model_len,
            "flops_per_token": self.flops_per_token,
            "replay": "finished calls exactly; the rest is drawn with the same seeds, and may depend on the batch",
        }

    async def close(self) -> None:
        for server in self._servers:
            await server.client.close()


def _said(error: openai.APIStatusError) -> str:
    body = error.body
    message = body.get("message") if isinstance(body, dict) else None
    return " ".join(str(message or error.message).split())[:300]
