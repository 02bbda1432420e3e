"""Several coroutines at once, and what happens to the others when one fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar

Result = TypeVar("Result")


async def together(coroutines: Iterable[Coroutine[Any, Any, Result]]) -> list[Result]:
    """All of them at once. If any fails the others are waited for, and then the first failure is raised."""
    outcomes = await asyncio.gather(*coroutines, return_exceptions=True)
    results = []
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
        results.append(outcome)
    return results


async def workers(number: int, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """So many at once of what takes its jobs from a common source. If one fails the others are cancelled, and the
    failure is raised when they have ended.
    """
    tasks = [asyncio.ensure_future(work()) for _ in range(number)]
    try:
        await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
