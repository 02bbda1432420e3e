"""A reward model on a second server: `vllm serve MODEL --runner pooling`, asked by token ids over /pooling.

The server's pooling interface has no say about its prefix cache (vLLM 0.32): each call computes its whole prompt. What
a verifier remembers of earlier steps still spares it calls.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx
import tenacity

from tts import nano
from tts.engines.scorer import load_tokenizer
from tts.engines.templates import ChatTemplate
from tts.errors import EngineDead, EngineUnavailable, RequestError
from tts.flops import flops_per_token
from tts.types import Message
from tts.verify.cards import RewardCard
from tts.verify.reward import Reading

_ATTEMPTS = 6


class RemoteScorer:
    """A model that classifies tokens, behind HTTP. The tokenizer is the card's model's, loaded here."""

    def __init__(self, card: RewardCard, client: httpx.AsyncClient, served: dict[str, Any]) -> None:
        path = str(nano.VERIFIER) if card.model == nano.NAME else card.model
        self._template = ChatTemplate(load_tokenizer(path), {})
        from transformers import AutoConfig

        self.flops_per_token = flops_per_token(AutoConfig.from_pretrained(path).to_dict())
        longest = int(served.get("max_model_len") or 4096)
        self.max_model_len = min(longest, card.max_length or longest)
        self.notes = ["a verifier on a server computes every scoring in full: its interface reads no prefix cache"]
        self._client = client
        self._model = str(served["id"])
        self._running: dict[str, asyncio.Task[Any]] = {}

    @classmethod
    async def open(cls, card: RewardCard, url: str) -> RemoteScorer:
        """Find out what the server serves.

        Raises:
            EngineUnavailable: it does not answer, or the card's tokenizer cannot be had.
        """
        client = httpx.AsyncClient(base_url=url.rstrip("/").removesuffix("/v1"), timeout=600.0)
        try:
            answer = await client.get("/v1/models", timeout=15.0)
            answer.raise_for_status()
            return cls(card, client, answer.json()["data"][0])
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, LookupError) as error:
            await client.aclose()
            raise EngineUnavailable(
                f"no verifier answers at {url}: {error}", "is `vllm serve MODEL --runner pooling` up? docs/verifiers.md"
            ) from error
        except BaseException:
            await client.aclose()
            raise

    def transcript(self, messages: Sequence[Message], *, reply: bool) -> str:
        return self._template.transcript(messages, reply=reply)

    def encode(self, text: str) -> tuple[int, ...]:
        return self._template.encode(text)

    @property
    def bos(self) -> str:
        return self._template.bos

    async def classify(
        self, token_ids: Sequence[int], positions: Sequence[int], request_id: str, *, cached: bool = True
    ) -> Reading:
        body = {"model": self._model, "input": list(token_ids), "task": "token_classify", "use_activation": False}
        task = self._running[request_id] = asyncio.ensure_future(self._post(body))
        try:
            rows = await task
        except asyncio.CancelledError:
            if (current := asyncio.current_task()) is not None and current.cancelling():
                raise
            raise RequestError("the scoring was aborted") from None
        finally:
            task.cancel()
            self._running.pop(request_id, None)
        if len(rows) != len(token_ids):
            raise RequestError(
                f"the verifier's server gave {len(rows)} rows for {len(token_ids)} tokens",
                'it must be started with --pooler-config \'{"tok_pooling_type": "ALL"}\'',
            )
        return Reading({p: rows[p] for p in positions}, 0)

    async def _post(self, body: dict[str, Any]) -> list[list[float]]:
        attempts = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(httpx.TransportError),
            wait=tenacity.wait_random_exponential(multiplier=0.5, max=30),
            stop=tenacity.stop_after_attempt(_ATTEMPTS),
            reraise=True,
        )
        try:
            async for attempt in attempts:
                with attempt:
                    answer = await self._client.post("/pooling", json=body)
        except httpx.TransportError as error:
            raise EngineDead(f"lost the verifier's server ({_ATTEMPTS} attempts): {error}") from error
        if answer.is_error:
            raise RequestError(f"the verifier's server refused the request ({answer.status_code}): {answer.text[:300]}")
        try:
            data: list[Any] = answer.json()["data"][0]["data"]
        except (ValueError, LookupError, TypeError) as error:
            raise RequestError(f"the verifier's server replied with something else: {answer.text[:100]}") from error
        return [row if isinstance(row, list) else [row] for row in data]

    async def abort(self, request_id: str) -> None:
        if task := self._running.get(request_id):
            task.cancel()

    async def close(self) -> None:
        await self._client.aclose()
