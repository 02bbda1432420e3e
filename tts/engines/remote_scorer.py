"""A reward model on a second server: `vllm serve MODEL --runner pooling`, asked by token ids over /pooling.

The server's pooling interface has no say about its prefix cache (vLLM 0.32): each call computes its whole prompt. What
a verifier remembers of earlier steps still spares it calls.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from typing import Any

import openai

from tts.engines.connection import MALFORMED, Server, attempts, served
from tts.engines.scorer import folder_of, load_tokenizer
from tts.engines.templates import ChatTemplate
from tts.errors import EngineDead, RequestError
from tts.flops import flops_per_token
from tts.types import Message
from tts.verify.cards import RewardCard
from tts.verify.reward import Reading

_ATTEMPTS = 6


class RemoteScorer:
    """A model that classifies tokens, behind HTTP. The tokenizer is the card's model's, loaded here."""

    def __init__(self, card: RewardCard, client: openai.AsyncOpenAI, serves: dict[str, Any]) -> None:
        self._template = ChatTemplate(load_tokenizer(card.model), {})
        from transformers import AutoConfig

        self.flops_per_token = flops_per_token(AutoConfig.from_pretrained(folder_of(card.model)).to_dict())
        longest = int(serves.get("max_model_len") or 4096)
        self.max_model_len = min(longest, card.max_length or longest)
        self.notes = ["a verifier on a server computes every scoring in full: its interface reads no prefix cache"]
        self._client = client
        root = str(client.base_url).rstrip("/").removesuffix("/v1")
        self._pooling = client.with_options(base_url=root)
        self._model = str(serves["id"])
        self._running: dict[str, asyncio.Task[Any]] = {}

    @classmethod
    async def open(cls, card: RewardCard, url: str) -> RemoteScorer:
        """Find out what the server serves.

        Raises:
            EngineUnavailable: it does not answer, or the card's tokenizer cannot be had.
        """
        client = openai.AsyncOpenAI(
            base_url=url, api_key=os.environ.get("OPENAI_API_KEY", "none"), max_retries=0, timeout=600.0
        )
        try:
            return cls(card, client, await served(Server(client, url), None))
        except BaseException:
            await client.close()
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
        answer: Any = None
        try:
            async for attempt in attempts(_ATTEMPTS):
                with attempt:
                    answer = await self._pooling.post("/pooling", cast_to=object, body=body)
            data = answer["data"][0]["data"]
            return [[float(x) for x in row] if isinstance(row, list) else [float(row)] for row in data]
        except openai.APIConnectionError as error:
            raise EngineDead(f"lost the verifier's server ({_ATTEMPTS} attempts): {error}") from error
        except openai.APIStatusError as error:
            said = " ".join(error.message.split())[:300]
            raise RequestError(f"the verifier's server refused the request ({error.status_code}): {said}") from error
        except (openai.OpenAIError, *MALFORMED) as error:
            raise RequestError(f"the verifier's server replied with something else: {str(answer)[:100]}") from error

    async def abort(self, request_id: str) -> None:
        if task := self._running.get(request_id):
            task.cancel()

    async def close(self) -> None:
        await self._client.close()
