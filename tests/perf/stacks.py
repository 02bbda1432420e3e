"""Where this process spends its processor time: its stack each few milliseconds of it."""

from __future__ import annotations

import contextlib
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any


class Profile:
    """A sampling profile of the main thread by processor time (ITIMER_PROF): native code counts for its caller.

    (A thread that looks at the main thread's frame would see mostly those calls that let go of the interpreter's lock.)
    """

    def __init__(self, every: float = 0.002) -> None:
        self.every, self.samples = every, 0
        self.own, self.total = Counter[str](), Counter[str]()

    def _note(self, signum: int, frame: FrameType | None) -> None:
        names = []
        while frame is not None:
            code = frame.f_code
            names.append(f"{'/'.join(Path(code.co_filename).parts[-3:])}:{code.co_name}")
            frame = frame.f_back
        if names:
            self.samples += 1
            self.own[names[0]] += 1
            self.total.update(set(names))

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
        return {
            "samples": self.samples,
            **{
                kind: {name: round(count / max(1, self.samples), 4) for name, count in counted.most_common(most)}
                for kind, counted in (("own", self.own), ("total", self.total))
            },
        }
