"""One engine load, and the cells that go through it."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from cells import LENGTH, PHASES, SAMPLING, Cell, local
from extras import one_chain, write_queries
from machine import engine_arguments, machine
from table import HEAD, line, row
from watching import filled, occupancy

from tts import benchmarks, engines
from tts.errors import RunStopped
from tts.evaluate import Stop
from tts.rescoring import score_run
from tts.running import Plan, execute, open_run, plan, unfinished
from tts.settings import load_verifier, resolve
from tts.store import pretty, replace_file
from tts.types import Engine
from tts.verify.pool import CheckerPool

sys.path.append(str(Path(__file__).parents[1]))
from runs import wait_for
from stacks import Profile

SCORING = 512
"""Problems that are rated at once by a verifier afterwards."""


class Silent:
    def began(self, problem_id: str) -> None: ...
    def ended(self, record: Any) -> None: ...


class Bench:
    """One engine, its cells, and the table that grows."""

    def __init__(self, a: argparse.Namespace) -> None:
        self.a, self.began, self.stop = a, time.monotonic(), Stop()
        self.root: Path = a.out / a.label
        (self.root / "series").mkdir(parents=True, exist_ok=True)
        self.arguments = engine_arguments(a.graphs, a.engine_arg)
        self.table = self.root / "bench.json"
        self.content: dict[str, Any] = {"cells": {}, "loads": []}
        if self.table.is_file():
            self.content = json.loads(self.table.read_text())

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self.began

    def cells(self) -> list[Cell]:
        chosen = {c.name: c for phase in self.a.phases for c in PHASES[phase]()}
        cells = [c for c in chosen.values() if not self.a.only or c.name in self.a.only]
        return [_rehearsed(c) for c in cells] if self.a.rehearse else cells

    def source(self, name: str) -> str:
        data: Path = self.a.data
        made = {"stateful": self.root / "stateful.jsonl", "queries": self.root / "queries.jsonl"}
        if name == "stateful" and not made[name].exists():
            words = ["-m", "tts", "data", "stateful", data / "gsm_symbolic_p2.jsonl", "-o", made[name]]
            subprocess.run([sys.executable, *map(str, words)], check=True)
        return str(made[name]) if name in made else local(name, data)

    def plan(self, cell: Cell) -> Plan:
        longest = LENGTH[cell.benchmark]
        given: dict[str, Any] = {
            "benchmarks": [self.source(cell.benchmark)], "model": self.a.model, "strategy": cell.strategy, "n": cell.n,
            "limit": str(cell.limit), "max_tokens": longest, **SAMPLING, **cell.options,
            "engine_arg": self.arguments, "resume": True,
        }  # fmt: skip
        if self.a.rehearse:
            given["max_tokens"] = min(given["max_tokens"], self.a.rehearse)
        settings = resolve(given, None)
        benchmark = benchmarks.load(settings.benchmarks[0], settings.columns, settings.id_field)
        planned = plan(settings, settings.benchmarks[0], benchmark, self.root / cell.name, 1)
        if cell.reuse:
            kin = [p.parent for p in self.root.glob("*/journal.sqlite") if p.parent != planned.output]
            planned = replace(planned, settings=settings.model_copy(update={"reuse": tuple(sorted(kin))}))
        return planned

    async def all(self) -> None:
        cells = self.cells()
        for cell in cells:
            say(f"  {cell.name:26} about {cell.tokens:9,} tokens, {self.guess(cell):4.0f} s")
        say(f"  together about {sum(map(self.guess, cells)):.0f} s at {self.a.rate:,} tokens/s, engine start left out")
        before, start = machine(self.a.commit), time.monotonic()
        engine = await engines.start(
            "vllm", self.a.model, arguments=self.arguments, template={}, base_urls=(),
            log=self.root / "engine.log", may_abort=True, beside_verifier=False,
        )  # fmt: skip
        load: dict[str, Any] = {
            "start_seconds": round(time.monotonic() - start, 1), "before": before, "engine": dict(engine.describe()),
        }  # fmt: skip
        self.content["loads"].append(load)
        say(f"engine up after {load['start_seconds']} s")
        wait_for(self.a.after)
        asyncio.get_running_loop().call_later(max(1.0, self.a.until + self.a.grace - self.elapsed), self.stop.drain)
        try:
            async with CheckerPool() as checker:
                for cell in cells:
                    if self.stop.draining or self.elapsed > self.a.until:
                        say(f"time is up: {cell.name} and what follows are left out")
                        break
                    await self.one(cell, engine, checker)
        finally:
            load["after"] = machine(self.a.commit)
            self.write()
            await engine.close()

    def guess(self, cell: Cell) -> float:
        return max(cell.seconds, cell.tokens / float(self.a.rate))

    async def one(self, cell: Cell, engine: Engine, checker: CheckerPool) -> None:
        """A failure costs its cell alone."""
        try:
            if cell.benchmark == "queries" and not Path(self.source("queries")).exists():
                stateful = benchmarks.load(self.source("stateful"))
                await write_queries(engine, checker, stateful, cell.limit // 3 + 1, Path(self.source("queries")))
            await self.run(cell, engine, checker)
        except RunStopped:
            raise
        except Exception as error:
            say(f"{cell.name}: {type(error).__name__}: {error}")
            self.content["cells"][cell.name] = {"failed": f"{type(error).__name__}: {error}"}
        self.write()

    async def run(self, cell: Cell, engine: Engine, checker: CheckerPool) -> None:
        """A cell, and what belongs to it; what is there already is not made again."""
        planned, cells = self.plan(cell), self.content["cells"]
        await self.measure(cell, planned, engine, checker)
        name = f"{cell.name}-one-chain"
        if cell.strategy == "infty-think" and name not in cells and not self.stop.draining:
            cells[name] = await one_chain(planned, engine, checker, self.root / name)
            self.tell(name)
        for name in cell.score:
            if name not in cells[cell.name].get("scored", {}):
                await self.score(cell, planned, name, engine)

    async def measure(self, cell: Cell, planned: Plan, engine: Engine, checker: CheckerPool) -> None:
        run = open_run(planned)
        try:
            if (planned.output / "results.json").is_file() and not unfinished(planned, run):
                return say(f"{cell.name}: there already")
            await engine.reset_prefix_cache()  # type: ignore[attr-defined]
            verifier = None
            if planned.settings.verifier:
                card, _ = load_verifier(planned.settings)
                verifier = await engines.start_verifier(card, None, self.root / "verifier.log", alone=False)
            profile = Profile()
            async with occupancy(engine) as series:
                with profile.following() if cell.profile else contextlib.nullcontext():
                    results = await execute(planned, run, engine, verifier, checker, Silent(), self.stop)
        finally:
            run.close()
        lives = json.loads((planned.output / "manifest.json").read_text())["lives"]
        self.content["cells"][cell.name] = row(cell, results, lives, filled(series, engine.max_sequences))
        if cell.profile:
            self.content["cells"][cell.name]["profile"] = profile.shares()
        (self.root / "series" / f"{cell.name}.json").write_text(json.dumps(series))
        return self.tell(cell.name)

    async def score(self, cell: Cell, planned: Plan, name: str, engine: Engine) -> None:
        if self.stop.draining:
            return
        began = time.monotonic()
        settings = planned.settings.model_copy(update={"verifier": name})
        verifier = await engines.start_verifier(
            load_verifier(settings)[0], None, self.root / "verifier.log", alone=False
        )
        examples = {e.problem.id: e for e in planned.examples}
        outcome = await score_run(
            planned.output, examples, engine, verifier,
            prompt=planned.prompt, seed=0, concurrency=SCORING, stop=self.stop,
        )  # fmt: skip
        results = json.loads((planned.output / "results.json").read_text())
        made = {k: v for k, v in results["metrics"].items() if k.endswith(f":{name}")}
        self.content["cells"][cell.name].setdefault("scored", {})[name] = {
            "seconds": round(time.monotonic() - began, 2), "scored": outcome.scored, "failed": outcome.failed,
            "first_error": outcome.first_error, "metrics": made,
        }  # fmt: skip
        say(f"    scored by {name}: {outcome.scored} in {time.monotonic() - began:.1f} s")
        if outcome.failed:
            say(f"    {outcome.failed} not: {outcome.first_error}")

    def write(self) -> None:
        replace_file(self.table, pretty(self.content))
        self.table.with_suffix(".txt").write_text(
            "\n".join([HEAD, *(line(n, r) for n, r in self.content["cells"].items())])
        )

    def tell(self, name: str) -> None:
        say(line(name, self.content["cells"][name]), f"   [{self.elapsed:.0f} s]")


def _rehearsed(cell: Cell) -> Cell:
    """Small enough for a CPU: the same steps, no figures worth keeping."""
    options = {**cell.options, "total_tokens": 400} if "total_tokens" in cell.options else cell.options
    return replace(cell, limit=2, n=min(cell.n, 4), options=options)


def say(*words: str) -> None:
    print(*words, flush=True)
