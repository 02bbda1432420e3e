"""A problem's clock: how long it has taken, in this life of the run and those before, and whether its time is up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Clock:
    """Runs from when it is made; after `seconds` it tells `ring`, once."""

    def __init__(self, seconds: float | None, ring: Callable[[], None]) -> None:
        self.stopped = False
        """Nothing more may begin, whatever the time."""
        self._seconds, self._ring = seconds, ring
        self._loop = asyncio.get_running_loop()
        self._started = self._loop.time()
        self._alarm: asyncio.TimerHandle | None = None
        self._set_alarm()

    @property
    def elapsed(self) -> float:
        """Seconds spent on this problem, in this life of the run and those before."""
        return self._loop.time() - self._started

    @property
    def expired(self) -> bool:
        """Whether time is up, or the run is being stopped."""
        return self.stopped or (self._seconds is not None and self.elapsed >= self._seconds)

    def advance(self, elapsed: float) -> None:
        """A replayed call brings back the time it took: a resumed problem does not get its seconds anew."""
        if elapsed > self.elapsed:
            self._started = self._loop.time() - elapsed
            self._set_alarm()

    @contextmanager
    def held(self) -> Iterator[None]:
        """The clock stands still meanwhile."""
        before = self.elapsed
        self.close()
        try:
            yield
        finally:
            self._started = self._loop.time() - before
            self._set_alarm()

    def close(self) -> None:
        """Ring no more."""
        if self._alarm is not None:
            self._alarm.cancel()

    def _set_alarm(self) -> None:
        self.close()
        if self._seconds is not None:
            self._alarm = self._loop.call_at(self._started + self._seconds, self._ring)
