"""What is noted beside a run: how full the engine is, where our process spends its time, what the GPU says."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

QUERY = "name,driver_version,clocks.sm,clocks.mem,clocks.max.sm,power.draw,temperature.gpu,utilization.gpu,memory.used"
EVERY = 0.25
GPU = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]


@contextlib.asynccontextmanager
async def occupancy(engine: Any, every: float = EVERY) -> AsyncIterator[list[dict[str, float]]]:
    """A series of the engine's running totals, one point each `every` seconds: steps, sequences in them, tokens."""
    series: list[dict[str, float]] = []
    began = time.perf_counter()

    def note() -> None:
        series.append({"t": round(time.perf_counter() - began, 3), **engine.counters()})

    async def follow() -> None:
        while True:
            note()
            await asyncio.sleep(every)

    following = asyncio.create_task(follow())
    try:
        yield series
    finally:
        following.cancel()
        note()


def filled(series: list[dict[str, float]], most: int) -> dict[str, float]:
    """Mean running sequences of a step over `most`: of all steps, and of the middle 80 % of the time."""

    def share(first: dict[str, float], last: dict[str, float]) -> float:
        steps = last.get("steps", 0) - first.get("steps", 0)
        return (last.get("running", 0) - first.get("running", 0)) / steps / most if steps else 0.0

    cut = len(series) // 10
    return {"whole": share(series[0], series[-1]), "middle": share(series[cut], series[-1 - cut])}


def wait_for(file: Path | None) -> None:
    while file and not file.exists():
        time.sleep(0.1)


class Profile:
    """A sampling profile of this process's main thread: every few milliseconds, which functions are on its stack."""

    def __init__(self, every: float = 0.005) -> None:
        self.every, self.samples = every, 0
        self.own, self.total = Counter[str](), Counter[str]()
        self._main, self._over = threading.main_thread().ident, threading.Event()

    def _follow(self) -> None:
        while not self._over.wait(self.every):
            frame = sys._current_frames().get(self._main or 0)
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
        thread = threading.Thread(target=self._follow, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def shares(self, most: int = 60) -> dict[str, Any]:
        """Shares of the samples: of functions themselves, and with all they called."""
        return {
            "samples": self.samples,
            **{
                kind: {name: round(count / max(1, self.samples), 4) for name, count in counted.most_common(most)}
                for kind, counted in (("own", self.own), ("total", self.total))
            },
        }


def gpu() -> dict[str, str] | None:
    """What the driver says of the GPU in use; None where there is no driver."""
    if shutil.which("nvidia-smi") is None:
        return None
    asked = ["nvidia-smi", f"--query-gpu={QUERY}", "--format=csv,noheader", "-i", GPU]
    said = subprocess.run(asked, capture_output=True, text=True, check=False).stdout
    return dict(zip(QUERY.split(","), (value.strip() for value in said.split(",")), strict=False))


@contextlib.contextmanager
def gpu_log(path: Path) -> Iterator[None]:
    """The same once a second into a file, while the block runs."""
    if shutil.which("nvidia-smi") is None:
        yield
        return
    with path.open("a") as log:
        asked = ["nvidia-smi", f"--query-gpu=timestamp,{QUERY}", "--format=csv,noheader", "-i", GPU, "-l", "1"]
        following = subprocess.Popen(asked, stdout=log)
        try:
            yield
        finally:
            following.terminate()
            following.wait()
