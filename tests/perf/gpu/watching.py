"""What is noted beside a run: how full the engine is, what the GPU says."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import time
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
