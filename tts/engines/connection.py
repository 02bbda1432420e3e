"""Reaching an OpenAI-compatible server: what it serves, its tokenizer, and when to try again."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import openai
import tenacity

from tts.catalog import nearest
from tts.engines.templates import ChatTemplate
from tts.errors import EngineUnavailable

PASSING = (openai.APIConnectionError, openai.RateLimitError, openai.InternalServerError)
"""What another attempt may mend; a timeout is a connection error."""
MALFORMED = (AttributeError, IndexError, KeyError, TypeError, ValueError)
"""What reading a reply raises that is not of the expected form, such as a proxy's HTML page."""
LONGEST_WAIT = 60.0
"""Seconds that a server may ask us to wait."""


@dataclass
class Server:
    """One server, and how many requests are out to it."""

    client: openai.AsyncOpenAI
    url: str
    outstanding: int = 0


def attempts(most: int) -> tenacity.AsyncRetrying:
    """Try at most so often: after what the server says in Retry-After, or random exponential times."""
    return tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception_type(PASSING),
        wait=_wait,
        stop=tenacity.stop_after_attempt(most),
        reraise=True,
    )


_exponential = tenacity.wait_random_exponential(multiplier=0.5, max=30)


def _wait(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, openai.APIStatusError):
        with contextlib.suppress(ValueError):  # it may be a date
            return min(LONGEST_WAIT, max(0.0, float(error.response.headers.get("retry-after", ""))))
    return _exponential(state)


async def served(server: Server, model: str | None) -> dict[str, Any]:
    try:
        cards = [card.model_dump() for card in (await server.client.with_options(timeout=15).models.list()).data]
    except openai.APIConnectionError as error:
        raise EngineUnavailable(
            f"no server answers at {server.url}", "is `vllm serve` up? the URL ends in /v1"
        ) from error
    except (openai.OpenAIError, *MALFORMED) as error:
        raise EngineUnavailable(
            f"the server at {server.url} does not list its models: {error}", "the URL ends in /v1"
        ) from error
    for card in cards:
        if model is None or card["id"] == model:
            return dict(card)
    raise EngineUnavailable(
        f"the server at {server.url} does not serve {model!r}", nearest(model or "", [c["id"] for c in cards])
    )


def read_tokenizer(
    source: str | None, template: Mapping[str, Any], *, required: bool
) -> tuple[ChatTemplate | None, dict[str, Any]]:
    """The served model's tokenizer and configuration, where they can be had from disk or the hub."""
    if source is None:
        return None, {}
    from transformers import AutoConfig, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(source)
    except (OSError, ValueError) as error:
        if required:
            raise EngineUnavailable(
                f"no tokenizer at {source!r}: {str(error).splitlines()[0]}", "-M tokenizer=FOLDER_OR_HUB_ID"
            ) from error
        return None, {}
    config: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError):
        config = AutoConfig.from_pretrained(source).to_dict()
    return ChatTemplate(tokenizer, template), config
