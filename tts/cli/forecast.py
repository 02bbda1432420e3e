"""`tts plan FILE`: a sweep's samples, tokens, minutes and memory, from a sample of each benchmark on each engine."""

from __future__ import annotations

import tempfile
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tts import console
from tts.cli.driving import drive, engines_for, interruptible
from tts.cli.eval import execute_one
from tts.errors import InputError

if TYPE_CHECKING:
    from tts.forecast import Calibrated
    from tts.running import Plan
    from tts.sweep import Cell

SAMPLES = 8
"""Responses to each problem of the sample, so that a few problems fill a batch."""


def forecast_sweep(file: Path, problems: int, as_json: bool) -> int:
    """Solve a few problems, say what all will take; returns the exit code."""
    from tts.cli.sweep import sweep_plans
    from tts.sweep import read

    cells = read(file)
    with tempfile.TemporaryDirectory() as folder:
        plans = sweep_plans(cells, Path(folder) / "runs")
        pairs = list(zip(cells, plans, strict=True))
        code, rows, models = drive(_forecast(pairs, problems, Path(folder)))
    if not rows:
        return code
    total = {"run": "all", "samples": sum(r["samples"] for r in rows), "tokens": sum(r["tokens"] for r in rows)}
    total["minutes"] = round(sum(r["minutes"] for r in rows), 1)
    if as_json:
        console.say_json({"runs": rows, "total": total, "models": models})
        return code
    shown = [*rows, {**dict.fromkeys(rows[0], ""), **total}]
    console.table(None, list(rows[0]), [[f"{v:,}" if isinstance(v, int) else v for v in r.values()] for r in shown])
    console.table("memory, with the engine full", list(models[0]), [list(m.values()) for m in models])
    console.note(
        "minutes at the rate of the sample, an upper bound where it did not fill the engine; samples that runs share "
        "and votes that stop early make it less, verifiers and searches' prompts more"
    )
    return code


async def _forecast(
    pairs: list[tuple[Cell, Plan]], problems: int, folder: Path
) -> tuple[int, list[dict[str, Any]], list[dict[str, Any]]]:
    from tts.cli.plan import read_config
    from tts.evaluate import Stop
    from tts.forecast import forecast, memory_bytes

    stop, rows, models = Stop(), list[dict[str, Any]](), list[dict[str, Any]]()
    for number, (_, group) in enumerate(groupby(pairs, key=lambda pair: pair[0].load)):
        members = list(group)
        settings = members[0][1].settings.model_copy(update={"verifier": None})
        log = folder / f"{number}.log"
        async with engines_for(settings, log) as (engine, _):
            with interruptible(stop):
                found: dict[tuple[str, ...], Calibrated] = {}
                for cell, planned in members:
                    key = (planned.benchmark.name, repr(planned.sampling), planned.prompt)
                    if key not in found:
                        place = folder / f"{number}-{len(found)}"
                        sample = await _sample(planned, problems, place, engine, stop)
                        if sample is None:
                            return 130, rows, models
                        found[key] = sample
                    taken = forecast(planned.samples, found[key])
                    rows.append(
                        {
                            "run": cell.name,
                            "samples": taken.samples,
                            "tokens": round(taken.generated_tokens),
                            "tokens a response": round(found[key].generated_tokens),
                            "truncated": f"{100 * found[key].truncated:.0f} %",
                            "tokens/s": round(found[key].tokens_per_second),
                            "minutes": round(taken.minutes, 1),
                        }
                    )
        context = max(s.prompt_tokens + s.generated_tokens for s in found.values())
        needed = None
        if settings.engine == "vllm":
            needed = memory_bytes(read_config(settings.model or "nano"), engine.max_sequences, context)
        model = {
            "model": engine.model,
            "sequences": engine.max_sequences,
            "tokens a sequence": round(context),
            "GB": round(needed / 1e9, 2) if needed else "not known",
        }
        if model not in models:
            models.append(model)
    return 0, rows, models


async def _sample(planned: Plan, problems: int, place: Path, engine: Any, stop: Any) -> Calibrated | None:
    """A run of the first problems, a vote of a few samples each; None where it was interrupted."""
    from dataclasses import replace

    from tts.forecast import calibrated
    from tts.running import open_run
    from tts.store import read_manifest
    from tts.strategies import STRATEGIES
    from tts.verify.pool import CheckerPool

    voting: Any = STRATEGIES["self-consistency"]
    settings = planned.settings.model_copy(
        update={"strategy": "self-consistency", "n": SAMPLES, "option": {}, "verifier": None, "resume": False}
    )
    small = replace(
        planned, settings=settings, examples=planned.examples[:problems], strategy=voting(n=SAMPLES), output=place,
        repeats=1,
    )  # fmt: skip
    run = open_run(small)
    try:
        async with CheckerPool() as checker:
            results = await execute_one(small, run, engine, None, checker, stop)
    finally:
        run.close()
    if stop.draining:
        return None
    try:
        return calibrated(results, read_manifest(place), engine.max_sequences)
    except ValueError as error:
        raise InputError(f"{planned.benchmark.name}: {error}", "--calibrate with more problems") from error
