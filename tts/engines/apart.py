"""Engines in processes of their own, with vLLM's front ends.

A front end takes about as much of an interpreter for every token as a search and its records do. In one process they
take turns with us and with each other, and a GPU waits for all of them; apart, each has a core. What goes between is a
request and what came of it, never a token by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import copyreg
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast

from tts.collector import undisturbed
from tts.engines.child import PARENT, leave
from tts.engines.startup import start_failure
from tts.errors import EngineDead, TTSError
from tts.types import Completion, Sampling


class Asked(NamedTuple):
    """What goes there: a call's number, the coroutine's name (None: cancel the call) and its arguments."""

    number: int
    method: str | None
    arguments: tuple[Any, ...] = ()


class Told(NamedTuple):
    """What comes back: the call's number (0: none's), its value, or with `well` False its exception, and the totals."""

    number: int
    well: bool
    value: Any
    totals: Mapping[str, int]


HEADER = 8
BEAT = 0.25
"""Seconds after which totals are told though no call has ended."""
PATIENCE = 30.0
"""Seconds in which an engine should have stopped."""
GRACE = 10.0
"""Seconds in which a start that is broken off should have cleared up."""


def _by_fields(kind: type) -> None:
    """Pickle a dataclass as the values of its fields in order: its own way, with slots, takes five times as long."""
    values = attrgetter(*(f.name for f in fields(kind)))
    copyreg.pickle(kind, lambda it: (kind, values(it)))


_by_fields(Completion)
_by_fields(Sampling)


class Served(Protocol):
    """What lives in the other process; its coroutines can be called from here."""

    totals: Mapping[str, int]

    def facts(self) -> Mapping[str, Any]:
        """What is told once, when it has started."""
        ...

    async def close(self) -> None: ...


class Apart:
    """A `Served` object, made in another process.

    Its output goes to `log`. It does not get the terminal's Ctrl-C and does not outlive this process.

    Raises (from the constructor, which waits until it has started):
        TTSError: as making it raised there.
        EngineUnavailable: the process ended before.
    """

    def __init__(
        self, kind: str, arguments: tuple[Any, ...], model: str, log: Path, meanwhile: Callable[[], object] = tuple
    ) -> None:
        """`kind`: module and class, as in "tts.engines.generator:Generator"; `model` is for messages. `meanwhile` is
        called here while it starts.
        """
        self._name, self._log = model, log
        self._line: Line | None = None
        self._attaching = asyncio.Lock()
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._calls = 0
        self._ended: str | None = None
        log.parent.mkdir(parents=True, exist_ok=True)
        self._socket, there = socket.socketpair()
        path = os.pathsep.join(filter(None, sys.path))  # what can be imported here can be there
        with there, log.open("ab") as stream:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "tts.engines.apart", str(there.fileno())],
                stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, pass_fds=(there.fileno(),), process_group=0,
                env={**os.environ, "PYTHONPATH": path, PARENT: str(os.getpid())},
            )  # fmt: skip
        try:
            with _interruptible():
                self._socket.sendall(_packed((kind, arguments)))
                meanwhile()
                told = Told(*_received(self._socket))
            if not told.well:
                raise told.value
            self.facts: Mapping[str, Any] = told.value
            self.totals: Mapping[str, int] = told.totals
        except BaseException as error:
            self._socket.close()
            code = self._end()
            if isinstance(error, (EOFError, OSError)):
                raise start_failure(RuntimeError(f"its process ended ({_how(code)})"), model, log) from error
            raise

    def _end(self) -> int:
        """Have the process end, engine core and all, and wait for it; what it ended with."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(1)
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(GRACE)
        self._process.kill()
        return self._process.wait()

    async def call(self, method: str, *arguments: Any) -> Any:
        """Await a coroutine of the object. Cancelling this cancels it there.

        Raises:
            EngineDead: the process is gone.
            TTSError: as it raised there.
        """
        if self._ended is not None:
            raise EngineDead(self._ended)
        line = self._line or await self._attached()
        self._calls += 1
        number = self._calls
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            line.say(Asked(number, method, arguments))
            return await future
        except asyncio.CancelledError:
            line.say(Asked(number, None))
            raise
        finally:
            del self._waiting[number]

    async def _attached(self) -> Line:
        """The line, once the loop that calls is known."""
        async with self._attaching:
            if self._line is None:
                loop = asyncio.get_running_loop()
                _, line = await loop.create_connection(lambda: Line(self._heard, self._lost), sock=self._socket)
                self._line = line
        return self._line

    def _heard(self, message: Any) -> None:
        number, well, value, self.totals = Told(*message)
        future = self._waiting.get(number)
        if future is None or future.done():
            return
        if well:
            future.set_result(value)
        else:
            future.set_exception(value)

    def _lost(self) -> None:
        self._ended = self._ended or f"the engine's process for {self._name} ended; its log: {self._log}"
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(EngineDead(self._ended))

    async def close(self) -> None:
        """Stop it, and wait until its process has ended. Safe to call twice."""
        if self._line is not None and self._ended is None:
            with contextlib.suppress(EngineDead, TimeoutError):
                await asyncio.wait_for(self.call("close"), PATIENCE)
            self._line.hang_up()
        self._ended = self._ended or "the engine is closed"
        self._socket.close()  # without a line that is word enough
        try:
            await asyncio.to_thread(self._process.wait, PATIENCE)
        except subprocess.TimeoutExpired:
            self._end()


def _how(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit {code}"


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C ends what blocks here: asyncio's own handler would wait for the event loop to have its turn."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class Line(asyncio.Protocol):
    """Pickled messages over a socket, both ways. What is said in one turn of the event loop goes out together."""

    def __init__(self, heard: Callable[[Any], None], lost: Callable[[], None]) -> None:
        self._heard, self._lost = heard, lost
        self._buffer = bytearray()
        self._unsaid: list[bytes] = []
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def say(self, message: Asked | Told) -> None:
        """Raises whatever a value that cannot be pickled raises."""
        blob = _packed(tuple(message))
        if not self._unsaid:
            asyncio.get_running_loop().call_soon(self._flush)
        self._unsaid.append(blob)

    def _flush(self) -> None:
        blobs, self._unsaid = self._unsaid, []
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(blobs))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        start = 0
        while len(self._buffer) >= start + HEADER:
            end = start + HEADER + int.from_bytes(self._buffer[start : start + HEADER], "little")
            if len(self._buffer) < end:
                break
            self._heard(pickle.loads(self._buffer[start + HEADER : end]))
            start = end
        del self._buffer[:start]

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._lost()

    def hang_up(self) -> None:
        if self._transport is not None:
            self._transport.close()


def _packed(message: Any) -> bytes:
    blob = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return len(blob).to_bytes(HEADER, "little") + blob


def _received(channel: socket.socket) -> Any:
    """The next message, for which the thread waits.

    Raises:
        EOFError: the other end is closed.
    """

    def exactly(n: int) -> bytes:
        data = bytearray()
        while len(data) < n:
            part = channel.recv(n - len(data))
            if not part:
                raise EOFError
            data += part
        return bytes(data)

    return pickle.loads(exactly(int.from_bytes(exactly(HEADER), "little")))


async def _serve(channel: socket.socket) -> None:
    """The other process: make the object, then run what is asked of it until the line is gone."""
    kind, arguments = _received(channel)
    try:
        module, _, name = kind.partition(":")
        served: Served = getattr(import_module(module), name)(*arguments)
    except BaseException as error:
        traceback.print_exc()
        channel.sendall(_packed((0, False, _sendable(error), {})))
        return
    channel.sendall(_packed((0, True, served.facts(), served.totals)))
    gone = asyncio.Event()
    tasks: dict[int, asyncio.Task[None]] = {}

    async def run(number: int, method: str, arguments: tuple[Any, ...]) -> None:
        try:
            line.say(Told(number, True, await getattr(served, method)(*arguments), served.totals))
        except Exception as error:
            line.say(Told(number, False, _sendable(error), served.totals))
        finally:
            del tasks[number]

    def heard(message: Any) -> None:
        number, method, arguments = Asked(*message)
        if method is not None:
            tasks[number] = asyncio.get_running_loop().create_task(run(number, method, arguments))
        elif number in tasks:
            tasks[number].cancel()

    _, line = await asyncio.get_running_loop().create_connection(lambda: Line(heard, gone.set), sock=channel)
    with undisturbed():
        while not gone.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(gone.wait(), BEAT)
            line.say(Told(0, True, None, served.totals))
    await served.close()


def _sendable(error: BaseException) -> Exception:
    if isinstance(error, TTSError):
        return error
    traceback.print_exception(error)
    return RuntimeError(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    leave()
    if os.getppid() != int(os.environ[PARENT]):
        sys.exit()  # it went before Linux knew to tell us
    # Not at once: vLLM's own end of an engine core, which does not heed signals while it starts, has to run.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    asyncio.run(_serve(socket.socket(fileno=int(sys.argv[1]))))
