"""Reading an OpenAI-compatible server's replies, whole or as they stream."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import openai

from tts.engines.confidence import GroupConfidence
from tts.errors import RequestError
from tts.types import Finish


@dataclass
class Reply:
    """What has arrived of a reply."""

    text: str = ""
    token_ids: tuple[int, ...] = ()
    finish: str | None = None
    stop_reason: str | int | None = None
    prompt_tokens: int = 0
    cached_tokens: int | None = None
    generated_tokens: int = 0
    logprob_sum: float | None = None
    top_logprobs: list[list[float]] = field(default_factory=list)
    doubted: bool = False
    first: tuple[tuple[str, float], ...] = ()
    """The likeliest first tokens as (text, log-probability)."""

    def restart(self) -> None:
        """Forget everything: another attempt begins."""
        self.__dict__.update(Reply().__dict__)


def take(answer: Any, reply: Reply) -> None:
    """Read a whole reply."""
    choice = answer.choices[0]
    reply.text = (choice.message.content or "") if hasattr(choice, "message") else choice.text
    reply.token_ids = tuple(getattr(choice, "token_ids", None) or ())
    reply.finish = choice.finish_reason
    reply.stop_reason = getattr(choice, "stop_reason", None)
    _add_logprobs(choice.logprobs, reply)
    _count(answer.usage, reply)


def likeliest(rows: Sequence[Sequence[float]], top: int) -> list[list[float]]:
    """The `top` likeliest of each row that has as many; a server may list the sampled token besides."""
    return [sorted(row, reverse=True)[:top] for row in rows if len(row) >= top > 0]


async def gather(chunks: AsyncIterator[Any], reply: Reply, groups: GroupConfidence | None = None, top: int = 0) -> None:
    """Read a reply as it streams, so that what has come is known when it is cut: here, where a group of tokens falls
    below its floor.
    """
    async for chunk in chunks:
        if chunk.usage is not None:
            _count(chunk.usage, reply)
        for choice in chunk.choices:
            reply.text += (choice.delta.content or "") if hasattr(choice, "delta") else choice.text
            reply.token_ids += tuple(getattr(choice, "token_ids", None) or ())
            reply.finish = choice.finish_reason or reply.finish
            reply.stop_reason = getattr(choice, "stop_reason", None) or reply.stop_reason
            _add_logprobs(choice.logprobs, reply)
        if groups is not None and reply.finish is None:
            for row in likeliest(reply.top_logprobs[groups.tokens :], top):
                groups.add(row)
            if groups.below:
                reply.finish, reply.doubted = "abort", True
                return


def _count(usage: Any, reply: Reply) -> None:
    if usage is None:
        raise openai.OpenAIError("no usage in the reply: tokens cannot be counted")
    reply.prompt_tokens, reply.generated_tokens = usage.prompt_tokens, usage.completion_tokens or 0
    details = getattr(usage, "prompt_tokens_details", None)
    reply.cached_tokens = details.cached_tokens if details is not None else None


def _add_logprobs(logprobs: Any, reply: Reply) -> None:
    """Both shapes of log-probabilities: a completion's parallel lists, and a chat's list of tokens."""
    if logprobs is None:
        return
    if (content := getattr(logprobs, "content", None)) is not None:
        chosen = [token.logprob for token in content]
        tops = [[t.logprob for t in token.top_logprobs or ()] for token in content]
        first = [(t.token, t.logprob) for token in content[:1] for t in token.top_logprobs or ()]
    else:
        chosen = [value for value in logprobs.token_logprobs or () if value is not None]
        tops = [list(top.values()) for top in logprobs.top_logprobs or () if top]
        first = [pair for top in (logprobs.top_logprobs or ())[:1] if top for pair in top.items()]
    reply.first = reply.first or tuple(first)
    reply.logprob_sum = (reply.logprob_sum or 0.0) + sum(chosen)
    reply.top_logprobs += tops


def finish(reason: str | None) -> Finish:
    match reason:
        case "stop" | "length" | "abort":
            return reason
        case _:
            raise RequestError(f"the server ended the request with {reason!r}")
