"""Checking beside an event loop: cheap verdicts inline, SymPy in worker processes that can be killed.

Workers come from a fork server with SymPy loaded, so one that is killed is replaced in milliseconds, and nothing of
this process (threads, CUDA) is ever forked. Each has a memory ceiling, ignores Ctrl-C, and writes nothing to stdout.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import multiprocessing.forkserver as forkserver
import multiprocessing.resource_tracker as resource_tracker
import os
import resource
import signal
import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import TimeoutError as FutureTimeout
from types import TracebackType
from typing import Any

from pebble import ProcessExpired, ProcessPool

from tts.types import Checker, Grade
from tts.verify.symbolic import canonical, is_decided, quick

_CACHE = 20_000


def _start_worker(memory_mb: int) -> None:
    """Runs once in each worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(2, 1)
    limit = memory_mb * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    import tts.verify.cas  # noqa: F401  (already there in a forked worker; here so that the clock never pays for it)


def _check(answer: str, target: str, checker: Checker | None = None) -> Grade:
    from tts.verify.symbolic import check

    try:
        return (checker or check)(answer, target)
    except (MemoryError, RecursionError):
        return Grade(False, "too_large", answer, target)


class CheckerPool:
    """Grades pairs, many at a time. Safe to close twice; usable as an async context manager.

    `workers` are started with the first pair that needs SymPy; `timeout` is the wall clock of one pair in seconds,
    `memory_mb` the address space of one worker.
    """

    def __init__(self, workers: int = 2, timeout: float = 2.0, memory_mb: int = 1024) -> None:
        self.workers = workers
        self.timeout = timeout
        self.memory_mb = memory_mb
        self._pool: ProcessPool | None = None
        self._cache: OrderedDict[tuple[str | None, str, Checker | None], Grade] = OrderedDict()
        self._lock = threading.Lock()
        self._own_server = self._own_tracker = False

    async def grade(self, answer: str | None, target: str | None, checker: Checker | None = None) -> Grade:
        """The verdict on one pair, the symbolic checker's unless another is given. Never raises for what the texts
        say; a lost worker is `too_large` or `timeout`.
        """
        if target is None:
            return Grade(None, "target_unparsed", answer, None)
        if checker is not None and not (answer or "").strip():
            return Grade(False, "no_answer", answer, target)
        key = (answer.strip() if answer else None, target.strip(), checker)
        known = self._cache.get(key)
        if known is None:
            decided = quick(answer, target) if checker is None else None
            known = decided or await self._slow(key[0] or "", key[1], checker)
            self._cache[key] = known
            if len(self._cache) > _CACHE:
                self._cache.popitem(last=False)
        else:
            self._cache.move_to_end(key)
        return known

    async def _slow(self, answer: str, target: str, checker: Checker | None) -> Grade:
        pool = await self._started()
        timeout = getattr(checker, "timeout", self.timeout)
        future = pool.schedule(_check, args=(answer, target, checker), timeout=timeout)
        try:
            grade: Grade = await asyncio.wrap_future(future)
        except (TimeoutError, FutureTimeout):
            return Grade(False, "timeout", answer, target)
        except (ProcessExpired, MemoryError):
            return Grade(False, "too_large", answer, target)
        return grade

    async def _started(self) -> ProcessPool:
        """The pool; starting it takes as long as importing SymPy, so that happens in a thread."""
        pool = self._pool
        return pool if pool is not None else await asyncio.to_thread(self._start)

    def _start(self) -> ProcessPool:
        """Starts the pool once. It is kept here, not by the caller, who may be cancelled while this goes on."""
        with self._lock:
            pool = self._pool
            if pool is None:
                context = multiprocessing.get_context("forkserver")
                self._own_server = _server_pid() is None
                self._own_tracker = _tracker_pid() is None
                context.set_forkserver_preload(["tts.verify.cas"])
                pool = self._pool = ProcessPool(
                    max_workers=self.workers, context=context, initializer=_start_worker, initargs=(self.memory_mb,)
                )
                pool.schedule(_check, args=("1", "1")).result()
            return pool

    async def classes(self, answers: Sequence[str | None]) -> list[int]:
        """A number per answer, equal for equivalent answers, in order of first appearance; -1 for None.

        Answers meet in buckets by canonical form; only answers whose form is undecided without SymPy are compared.
        """
        buckets: dict[str, int] = {}
        representatives: list[tuple[str, str]] = []
        numbers: list[int] = []
        for answer in answers:
            if answer is None or not answer.strip():
                numbers.append(-1)
                continue
            key = canonical(answer)
            if key not in buckets:
                buckets[key] = await self._place(answer, key, representatives)
                if buckets[key] == len(representatives):
                    representatives.append((answer, key))
            numbers.append(buckets[key])
        return numbers

    async def _place(self, answer: str, key: str, representatives: list[tuple[str, str]]) -> int:
        for i, (other, other_key) in enumerate(representatives):
            if is_decided(key) and is_decided(other_key):
                continue
            if (await self.grade(answer, other)).correct:
                return i
        return len(representatives)

    def close(self) -> None:
        """Stops the workers, and Python's fork server and resource tracker if this pool started them."""
        with self._lock:  # a start that has begun is waited for, so that it leaves nothing behind
            pool, self._pool = self._pool, None
            if pool is None:
                return
            pool.stop()  # type: ignore[no-untyped-call]
            pool.join()
            if self._own_server and not multiprocessing.active_children():
                _stop(_server())
                if self._own_tracker:
                    _stop(_tracker())

    async def __aenter__(self) -> CheckerPool:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.close)


def _server() -> Any:
    return forkserver._forkserver


def _server_pid() -> int | None:
    pid: int | None = getattr(_server(), "_forkserver_pid", None)
    return pid


def _tracker() -> Any:
    return resource_tracker._resource_tracker


def _tracker_pid() -> int | None:
    pid: int | None = getattr(_tracker(), "_pid", None)
    return pid


def _stop(helper: Any) -> None:
    """Python keeps these processes until it exits; there is no public way to end them sooner."""
    stop = getattr(helper, "_stop", None)
    if stop is not None:
        stop()
