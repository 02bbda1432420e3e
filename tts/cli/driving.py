"""Running a coroutine under signals, with an engine that is always closed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from tts import console
from tts.errors import RunStopped

if TYPE_CHECKING:
    from tts.evaluate import Stop
    from tts.running import Plan
    from tts.settings import Settings
    from tts.types import Engine, Example, Strategy, Verifier

Result = TypeVar("Result")


AGAIN = "the same command goes on"


@contextlib.contextmanager
def hinted(hint: str) -> Iterator[None]:
    """What to do when the engine or the disk gives out in the block."""
    try:
        yield
    except RunStopped as error:
        error.hint = error.hint or hint
        raise


def drive(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """asyncio.run, with Ctrl-C before the engine is up ending in exit 130."""
    try:
        return asyncio.run(coroutine)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


@contextlib.asynccontextmanager
async def engines_for(
    settings: Settings, log: Path, *, policy: bool = True
) -> AsyncIterator[tuple[Engine, Verifier | None]]:
    """The engine that the settings ask for, and the verifier beside it; closed whatever happens. `policy` False: nobody
    will ask the engine for anything, so the scripted one stands in for it.
    """
    from tts import engines
    from tts.settings import DEFAULT_MODEL, load_verifier, may_abort

    kind = settings.engine if policy else "scripted"
    model = settings.model or DEFAULT_MODEL.get(kind) if policy else None
    if kind == "vllm" and settings.model is None:
        console.note("no -m given: using nano, a tiny model for demonstrations; -m takes a Hugging Face id or a folder")
    if settings.verifier:
        engines.check_verifier(load_verifier(settings)[0])
    async with contextlib.AsyncExitStack() as stack:
        with console.waiting(f"starting {kind} {model or ''}".rstrip() + " …") if policy else contextlib.nullcontext():
            engine = await engines.start(
                kind,
                model,
                arguments=settings.engine_arg if policy else {},
                template=settings.template_arg,
                base_urls=settings.base_url,
                log=log,
                may_abort=may_abort(settings),
                beside_verifier=_shares_memory(settings),
            )
        stack.push_async_callback(engine.close)
        for line in engine.notes if policy else ():
            console.note(line)
        verifier: Verifier | None = None
        if settings.verifier:
            with console.waiting(f"starting verifier {settings.verifier} …"):
                card, _ = load_verifier(settings)
                verifier = await engines.start_verifier(
                    card, settings.verifier_url, log.with_name("verifier.log"), alone=kind != "vllm"
                )
            stack.push_async_callback(verifier.close)
            for line in verifier.notes:
                console.warn(line)
        yield engine, verifier


async def solve_ungraded(
    planned: Plan, name: str, journal: Path | None, log: Path, write: Callable[[dict[str, Any]], None], stop: Stop
) -> None:
    """Solve a plan's problems outside of a run directory; `journal` None keeps the calls in memory.

    Raises:
        RunStopped: the engine or the disk failed; what was written stays.
    """
    from tts.evaluate import evaluate
    from tts.journal import Journal
    from tts.session import Setup
    from tts.verify.pool import CheckerPool

    settings = planned.settings
    async with engines_for(settings, log) as (engine, verifier), CheckerPool() as checker:
        with Journal(journal) as calls, interruptible(stop):
            setup = Setup(
                engine, calls, checker, verifier, planned.sampling, settings.budget, settings.seed,
                planned.prompt, planned.benchmark.extract,
            )  # fmt: skip
            total = len(planned.examples)
            board = console.Board(name, total, 0, lambda: engine.counters()["generated_tokens"], graded=False)
            async with board.shown():
                await evaluate(
                    planned.examples, planned.strategy, setup,
                    concurrency=planned.concurrency(engine), write=write, watch=board, stop=stop,
                )  # fmt: skip


async def work_through(
    settings: Settings,
    strategy: Strategy,
    examples: Sequence[Example],
    write: Callable[[dict[str, Any]], None],
    *,
    name: str,
    folder: Path,
    failed: Callable[[str, str], None],
) -> int:
    """A job that is no evaluation: the strategy over ungraded problems; `write` gets the record of each that succeeds,
    `failed` its id and what went wrong. What is finished is in the journal in `folder`. Returns the exit code.

    Raises:
        RunDirectoryError: the folder cannot be made, or another process works in it.
        RunStopped: the engine or the disk failed; the same command goes on.
    """
    from tts.benchmarks import Benchmark
    from tts.evaluate import Stop
    from tts.running import Plan
    from tts.writing import held

    stop, done, errors = Stop(), 0, 0

    def take(record: dict[str, Any]) -> None:
        nonlocal done, errors
        done += 1
        if record["error"] is None:
            return write(record)
        errors += 1
        return failed(record["problem_id"], record["error"])

    sampling = settings.sampling(strategy)
    planned = Plan(settings, Benchmark(name, "", "", tuple(examples)), tuple(examples), strategy, sampling, 1, folder)
    with held(folder), hinted(AGAIN):
        await solve_ungraded(planned, name, folder / "journal.sqlite", folder / "engine.log", take, stop)
    if stop.draining and done < len(examples):
        console.warn(f"interrupted; {AGAIN}")
        return 130
    return 1 if errors else 0


def _shares_memory(settings: Settings) -> bool:
    """Whether a verifier's model will run on this machine beside the policy's."""
    from tts.settings import load_verifier
    from tts.verify.cards import model_of

    if settings.verifier is None or settings.verifier_url is not None:
        return False
    return model_of(load_verifier(settings)[0]) is not None


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
