"""Running a coroutine under signals, with an engine that is always closed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Coroutine, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from tts import console

if TYPE_CHECKING:
    from tts.evaluate import Stop
    from tts.settings import Settings
    from tts.types import Engine

Result = TypeVar("Result")


def drive(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """asyncio.run, with Ctrl-C before the engine is up ending in exit 130."""
    try:
        return asyncio.run(coroutine)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


@contextlib.asynccontextmanager
async def engine_for(settings: Settings, log: Path) -> AsyncIterator[Engine]:
    """The engine that the settings ask for, closed whatever happens."""
    from tts import engines

    with console.waiting(f"starting {settings.engine} {settings.model or ''}".rstrip() + " …"):
        engine = await engines.start(
            settings.engine,
            settings.model,
            arguments=settings.engine_arg,
            template=settings.template_arg,
            base_urls=settings.base_url,
            log=log,
            may_abort=settings.budget.seconds is not None,
        )
    try:
        for line in engine.notes:
            console.note(line)
        yield engine
    finally:
        await engine.close()


@contextlib.contextmanager
def interruptible(stop: Stop) -> Iterator[None]:
    """First Ctrl-C: finish what has begun. Second, or SIGTERM, or a closed terminal: abort it and save. Third: go."""
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()

    def abort() -> None:
        tasks.add(asyncio.ensure_future(stop.now()))

    def interrupt() -> None:
        if stop.stopped:
            os._exit(130)  # something hangs; what is finished is on disk, and the engine dies with us
        elif stop.draining:
            abort()
        else:
            stop.drain()
            console.warn("finishing the problems in flight and saving; Ctrl-C again stops at once")

    handlers = {signal.SIGINT: interrupt, signal.SIGTERM: abort, signal.SIGHUP: abort}
    for number, handler in handlers.items():
        loop.add_signal_handler(number, handler)
    try:
        yield
    finally:
        for number in handlers:
            loop.remove_signal_handler(number)
