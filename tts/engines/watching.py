"""Watching the confidence of one vLLM request as its tokens come, to cut it where the model doubts itself.

Only requests with a floor stream; all others wake the event loop once, at their end. vLLM brings the log-probabilities
of the whole batch to the host in one copy a step, so that a watched request costs the device nothing more.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from tts.engines.confidence import GroupConfidence


def rows(logprobs: Any, top: int | None) -> list[list[float]]:
    """The `top` likeliest tokens' log-probabilities at each position of vLLM's flat table: (positions, top).

    A position lists the sampled token before them; where vLLM has merged two streamed outputs the sampled one stands
    among them instead.
    """
    if not (logprobs and top):
        return []
    flat = logprobs.logprobs
    return [flat[max(a, b - top) : b] for a, b in zip(logprobs.start_indices, logprobs.end_indices, strict=True)]


class Watched:
    """One streaming request: what has come of it, and its groups' confidence."""

    def __init__(self, window: int, floor: float, top: int) -> None:
        self._groups = GroupConfidence(window, floor)
        self._top = top
        self._ids: list[int] = []
        self._cut = False

    async def follow(self, outputs: AsyncIterator[Any], abort: Callable[[], Awaitable[None]]) -> AsyncIterator[Any]:
        """Pass the outputs on, the last with all tokens, and abort the request once a group falls below the floor."""
        async for output in outputs:
            said = output.outputs[0]
            for row in rows(said.logprobs, self._top):
                self._groups.add(row)
            self._ids.extend(said.token_ids)
            said.logprobs = None
            if said.finish_reason is not None:
                said.token_ids = self._ids
            elif self._groups.below and not self._cut:
                self._cut = True
                await abort()
            yield output

    def confidences(self, finish: str) -> dict[str, Any]:
        """The fields of the completion that were watched for."""
        doubted = self._cut and finish == "abort"
        return {"group_confidence": self._groups.lowest, "tail_confidence": self._groups.tail, "doubted": doubted}
