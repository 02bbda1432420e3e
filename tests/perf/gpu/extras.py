"""What is no run of `tts eval`: a chain as long as another run took, and several questions for each context."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from tts import stats
from tts.benchmarks import Benchmark, select
from tts.evaluate import Stop, solve
from tts.journal import Journal
from tts.running import Plan
from tts.session import Setup
from tts.store import read_records
from tts.strategies.single import Single
from tts.synth.queries import WriteQueries
from tts.types import Budget, Engine, Example, Sampling
from tts.verify.pool import CheckerPool

PER_CONTEXT, AGREEING = 5, 4


async def one_chain(planned: Plan, engine: Engine, checker: CheckerPool, folder: Path) -> dict[str, Any]:
    """One chain for each problem of a finished run, of at most as many tokens as the run took for that problem."""
    taken = {r["problem_id"]: r["usage"]["generated_tokens"] for r in read_records(planned.output)}
    folder.mkdir(exist_ok=True)
    before, began = engine.counters()["generated_tokens"], time.monotonic()
    with Journal(None) as journal:

        async def chain(example: Example) -> dict[str, Any]:
            longest = max(1, min(taken[example.problem.id], engine.max_model_len // 2))
            setup = Setup(
                engine, journal, checker, None, replace(planned.sampling, max_tokens=longest), Budget(), 0,
                planned.prompt, planned.benchmark.extract,
            )  # fmt: skip
            return await solve(example, 0, Single(), setup, Stop())

        records = await asyncio.gather(*(chain(e) for e in planned.examples if e.problem.id in taken))
    seconds, generated = time.monotonic() - began, engine.counters()["generated_tokens"] - before
    (folder / "records.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    right = sum(r["grade"]["correct"] is True for r in records)
    cut = sum(c["finish"] == "length" for r in records for c in r["solution"]["candidates"])
    return {
        "benchmark": planned.benchmark.name, "strategy": "single", "n": 1, "reuse": False, "problems": len(records),
        "metrics": {"accuracy": {"value": right / len(records), "ci": stats.wilson(right, len(records))}},
        "usage": {"tokens_per_problem": generated / len(records)}, "seconds": seconds, "truncated": cut,
        "tokens_per_second": generated / seconds, "seconds_per_problem": seconds / len(records),
        "occupancy": {"whole": 0.0, "middle": 0.0},
    }  # fmt: skip


async def write_queries(engine: Engine, checker: CheckerPool, benchmark: Benchmark, contexts: int, file: Path) -> None:
    """As `tts data multi-query`, on an engine that is up: several questions for each of the first contexts."""
    examples = select(benchmark.examples, str(contexts))
    with Journal(None) as journal:
        sampling = Sampling(0.8, 0.95, max_tokens=512)
        setup = Setup(engine, journal, checker, None, sampling, Budget(), 0, benchmark.prompt, benchmark.extract)
        writer = WriteQueries(PER_CONTEXT, AGREEING)
        records = await asyncio.gather(*(solve(e, 0, writer, setup, Stop()) for e in examples))
    rows = [
        {"id": f"{e.problem.id}-{number}", "context": e.problem.context, **q}
        for e, record in zip(examples, records, strict=True)
        for number, q in enumerate(record["solution"].get("queries", ()), 1)
        if q["kept"]
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
