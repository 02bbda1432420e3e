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
    from tts.types import Engine, Verifier

Result = TypeVar("Result")


def drive(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """asyncio.run, with Ctrl-C before the engine is up ending in exit 130."""
    try:
        return asyncio.run(coroutine)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


@contextlib.asynccontextmanager
async def engines_for(settings: Settings, log: Path) -> AsyncIterator[tuple[Engine, Verifier | None]]:
    """The engine that the settings ask for, and the verifier beside it; closed whatever happens."""
    from tts import engines
    from tts.settings import DEFAULT_MODEL, load_verifier

    model = settings.model or DEFAULT_MODEL.get(settings.engine)
    if settings.engine == "vllm" and settings.model is None:
        console.note("no -m given: using nano, a tiny model for demonstrations; -m takes a Hugging Face id or a folder")
    async with contextlib.AsyncExitStack() as stack:
        with console.waiting(f"starting {settings.engine} {model or ''}".rstrip() + " …"):
            engine = await engines.start(
                settings.engine,
                model,
                arguments=settings.engine_arg,
                template=settings.template_arg,
                base_urls=settings.base_url,
                log=log,
                may_abort=settings.budget.seconds is not None,
                beside_verifier=settings.verifier is not None,
            )
        stack.push_async_callback(engine.close)
        for line in engine.notes:
            console.note(line)
        verifier = None
        if settings.verifier:
            with console.waiting(f"starting verifier {settings.verifier} …"):
                card, _ = load_verifier(settings.verifier)
                verifier = await engines.start_verifier(card, log.with_name("verifier.log"))
            stack.push_async_callback(verifier.close)
            for line in verifier.notes:
                console.warn(line)
        yield engine, verifier


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
