"""Where this process spends its processor time: its stack each few milliseconds of it."""

from __future__ import annotations

import contextlib
import signal
from collections import Counter
from collections.abc import Iterator
from types import FrameType
from typing import Any

WAITING = "selectors"
"""Where the event loop waits: what takes processor time then is another thread."""


class Profile:
    """A sampling profile of the main thread by processor time (ITIMER_PROF): native code counts for its caller.

    (A thread that looks at the main thread's frame would see mostly those calls that let go of the interpreter's lock.)
    """

    def __init__(self, every: float = 0.005) -> None:
        self.every = every
        """Seconds of processor time between two looks."""
        self.stacks = Counter[tuple[str, ...]]()
        """How often each was seen: functions as `module:name`, the innermost first."""

    def _note(self, signum: int, frame: FrameType | None) -> None:
        names = []
        while frame is not None:
            names.append(f"{frame.f_globals.get('__name__')}:{frame.f_code.co_qualname}")
            frame = frame.f_back
        if names and not names[0].startswith(WAITING):
            self.stacks[tuple(names)] += 1

    @contextlib.contextmanager
    def following(self) -> Iterator[None]:
        before = signal.signal(signal.SIGPROF, self._note)
        signal.setitimer(signal.ITIMER_PROF, self.every, self.every)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.signal(signal.SIGPROF, before)

    def shares(self, most: int = 60) -> dict[str, Any]:
        """Shares of the samples: of functions themselves, and with all they called."""
        own, total, samples = Counter[str](), Counter[str](), self.stacks.total()
        for stack, count in self.stacks.items():
            own[stack[0]] += count
            total.update(dict.fromkeys(stack, count))
        return {
            "samples": samples,
            **{
                kind: {name: round(count / max(1, samples), 4) for name, count in counted.most_common(most)}
                for kind, counted in (("own", own), ("total", total))
            },
        }
