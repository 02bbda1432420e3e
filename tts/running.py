"""One benchmark from configuration to results: the run directory around `evaluate`."""

from __future__ import annotations

import datetime
import math
import os
import platform
import secrets
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import tts
from tts import catalog
from tts.allotment import Allotment, Policy
from tts.benchmarks import Benchmark, arranged, select, with_permutation
from tts.errors import InputError, RunDirectoryError, RunStopped
from tts.evaluate import Stop, Watch, evaluate
from tts.journal import Journal
from tts.results import summary
from tts.rows import file_hash
from tts.session import Setup
from tts.settings import DEFAULT_MODEL, Settings, as_config, build_strategy, load_verifier, strategy_record
from tts.store import RunDirectory, read_records
from tts.strategies.declared import declared
from tts.types import Engine, Example, Sampling, Strategy, Verifier
from tts.verify.pool import CheckerPool

MOST = 256
"""Samples that one problem may get of a budget for the whole set, where -n does not say."""


@dataclass(frozen=True)
class Plan:
    """Everything about a run that is known before an engine exists."""

    settings: Settings
    benchmark: Benchmark
    examples: tuple[Example, ...]
    strategy: Strategy
    sampling: Sampling
    repeats: int
    output: Path
    policy: Policy = "adaptive"
    """How `--total-tokens` is given out."""

    @property
    def n(self) -> int:
        """Samples a problem, for strategies that have such a number; else 1. At most, of a budget for the whole set."""
        if self.settings.total_tokens and self.settings.n is None:
            return MOST
        return declared(self.strategy).n

    def uniformly(self) -> Plan:
        """The same budget spent evenly, over the samples of this run."""
        settings = self.settings.model_copy(update={"reuse": (*self.settings.reuse, self.output)})
        return replace(
            self, settings=settings, policy="uniform", output=self.output.with_name(self.output.name + "-uniform")
        )

    @property
    def samples(self) -> int:
        """Responses that the run draws if nothing stops early; a search asks for each of them in several calls."""
        return len(self.examples) * self.repeats * self.n

    @property
    def budget(self) -> str:
        """Every limit, a problem's and the run's."""
        s = self.settings
        seconds = f"total_seconds={s.total_seconds:g}" if s.total_seconds else ""
        tokens = f"total_tokens={s.total_tokens} {self.policy}" if s.total_tokens else ""
        return " ".join(filter(None, (str(s.budget), seconds, tokens)))

    def identity(self) -> dict[str, Any]:
        """What must be the same for a run to be resumed. Where it is written and how far it went is not part."""
        s, b, said = self.settings, self.benchmark, declared(self.strategy)
        return {
            "benchmark": b.name,
            "revision": b.revision,
            "columns": {**asdict(s.columns), "id": s.id_field},
            "card": b.card_sha256,
            "model": s.model or DEFAULT_MODEL.get(s.engine),
            "strategy": s.strategy,
            "options": _without_n(strategy_record(self.strategy)),
            "templates": {name: catalog.find("prompts", name).sha256 for name in said.templates},
            "verifier": s.verifier,
            "verifier_sha256": load_verifier(s)[1] if s.verifier else None,
            **({"verifier_model": s.verifier_model} if s.verifier_model else {}),
            "sampling": asdict(self.sampling),
            "budget": asdict(s.budget),
            "prompt": self.prompt,
            "prompt_sha256": catalog.find("prompts", self.prompt).sha256,
            "template": dict(s.template_arg),
            "extract": list(b.extract),
            "checker": b.checker,
            "seed": s.seed,
            **({"policy_sha256": file_hash(Path(said.policy))} if said.policy else {}),
            **({"allocation": [s.total_tokens, self.policy]} if s.total_tokens else {}),
            **({"permute": s.permute} if s.permute else {}),
        }

    @property
    def prompt(self) -> str:
        return self.settings.prompt or self.benchmark.prompt

    def growing(self) -> dict[str, Any]:
        """What a resumed run may raise."""
        return {"n": self.n, "repeats": self.repeats, "limit": self.settings.limit}

    def concurrency(self, engine: Engine) -> int:
        """Problems in flight: twice what fills the engine, so that its batch never runs short of waiting requests.

        With a limit in seconds just what fills it, so that no problem spends its time waiting. With one for the whole
        run as many as there are places, so that every problem gets its first sample before any its second.
        """
        if self.settings.concurrency:
            return self.settings.concurrency
        if self.settings.total_seconds:
            return engine.max_sequences
        fill = engine.max_sequences / declared(self.strategy).width
        return max(1, math.ceil(fill if self.settings.budget.seconds else 2 * fill))


def _without_n(options: dict[str, Any]) -> dict[str, Any]:
    """A strategy's options less n, and less that of a strategy inside it."""
    return {k: _without_n(v) if isinstance(v, dict) else v for k, v in options.items() if k != "n"}


def plan(settings: Settings, name: str, benchmark: Benchmark, output: Path, repeats: int) -> Plan:
    """Check everything about a run that can be checked without an engine.

    Raises:
        InputError: nothing to grade against, an empty selection, an unknown prompt.
    """
    strategy = build_strategy(settings)
    if settings.permute:
        benchmark = with_permutation(benchmark)
    examples = select(benchmark.examples, settings.limit)
    if not any(e.target is not None for e in examples):
        raise InputError(
            f"{name} has no targets to grade against",
            "--target-field names their column; `tts run --input` answers questions that have none",
        )
    for path in settings.reuse:
        if not os.access(path / "journal.sqlite", os.R_OK):
            raise InputError(f"--reuse {path}: no journal.sqlite in it that can be read", "it takes a run directory")
    sampling = settings.sampling(strategy, benchmark)
    planned = Plan(settings, benchmark, examples, strategy, sampling, repeats, output)
    catalog.find("prompts", planned.prompt)
    return planned


def open_run(planned: Plan) -> RunDirectory:
    """Hold the run's directory, new or resumed; nothing in it changes before `execute`."""
    return RunDirectory(planned.output, planned.identity(), planned.growing(), resume=planned.settings.resume)


def _begin(planned: Plan, run: RunDirectory, engine: Engine, life: dict[str, Any]) -> None:
    """Write the manifest, now that the engine is up.

    Raises:
        RunDirectoryError: a server now serves another model than the one this run began with.
    """
    before = run.manifest.get("served_model", engine.model)
    if before != engine.model and planned.settings.model is None:
        raise RunDirectoryError(
            f"{run.path} was made with {before}, the engine runs {engine.model}", "give another --output"
        )
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    stamp = now[:19].replace("-", "").replace(":", "")
    run_id = f"{stamp}-{planned.benchmark.name}-{planned.settings.strategy}-{secrets.token_hex(3)}"
    described = engine.describe()
    run.begin()
    run.write_manifest(
        run_id=run.manifest.get("run_id", run_id),
        date=run.manifest.get("date", now),
        tts_version=tts.__version__,
        identity=planned.identity(),
        growing=planned.growing(),
        dataset=planned.benchmark.source,
        budget=planned.budget,
        config=as_config(planned.settings),
        git=_git(),
        host={"python": platform.python_version(), "system": platform.platform(), "cores": os.cpu_count()},
        served_model=engine.model,
        engine=described,
        vllm_version=described.get("vllm_version"),
        replay=described.get("replay"),
        lives=[*_mended(run), life],
    )


def by_attempt(example: Example, attempt: int) -> Example:
    """Options in an order of the attempt's own; the first attempt has the record's."""
    return arranged(example, f"{example.problem.id}#{attempt}" if attempt else example.problem.id)


def _mended(run: RunDirectory) -> list[dict[str, Any]]:
    """Earlier lives; one that was killed gets the time of its last record as its end."""
    lives: list[dict[str, Any]] = run.manifest.get("lives", [])
    for life in lives:
        if life["ended"] == "running":
            last = run.last_written or life["began"]
            life.update(ended="killed", seconds=round(max(0.0, last - life["began"]), 3))
    return lives


async def execute(
    planned: Plan,
    run: RunDirectory,
    engine: Engine,
    verifier: Verifier | None,
    checker: CheckerPool,
    watch: Watch,
    stop: Stop,
) -> dict[str, Any]:
    """Solve what is not solved yet, write records and results; returns the content of results.json.

    Raises:
        RunStopped: the engine or the disk failed. Records and results so far are written.
    """
    settings = planned.settings
    reuse = [path / "journal.sqlite" for path in settings.reuse]
    began = datetime.datetime.now(datetime.UTC).timestamp()
    life: dict[str, Any] = {"began": began, "seconds": 0.0, "ended": "running"}
    _begin(planned, run, engine, life)
    before = engine.counters()
    ended = "failed"
    try:
        with Journal(run.path / "journal.sqlite", reuse) as journal:
            setup = Setup(
                engine, journal, checker, verifier, planned.sampling, settings.budget, settings.seed,
                planned.prompt, planned.benchmark.extract, in_turn=settings.total_seconds is not None,
            )  # fmt: skip
            how: dict[str, Any] = {
                "write": run.record,
                "watch": watch,
                "stop": stop,
                "vary": by_attempt if settings.permute == "per-attempt" else None,
                "repeats": planned.repeats,
                "done": frozenset(run.done),
                "run_id": run.manifest["run_id"],
                "errors_log": run.path / "logs" / "errors.log",
                "seconds": settings.total_seconds,
            }
            if settings.total_tokens:
                await _allotment(planned, run, setup, settings.total_tokens).run(planned.examples, **how)
            else:
                concurrency = planned.concurrency(engine)
                await evaluate(planned.examples, planned.strategy, setup, concurrency=concurrency, **how)
        ended = "stopped" if stop.stopped else "drained" if stop.draining else "complete"
    except RunStopped as error:
        ended = type(error).__name__
        raise
    finally:
        seconds = datetime.datetime.now(datetime.UTC).timestamp() - began
        counters = {name: value - before.get(name, 0) for name, value in engine.counters().items()}
        life.update(seconds=round(seconds, 3), ended=ended, engine=counters)
        results = _conclude(run)
    return results


def _allotment(planned: Plan, run: RunDirectory, setup: Setup, tokens: int) -> Allotment:
    spent = sum(r["usage"]["generated_tokens"] for r in read_records(run.path)) if run.done else 0
    by_score = declared(planned.strategy).selector(planned.settings.verifier) == "weighted"
    return Allotment(
        planned.strategy, setup,
        tokens=tokens, most=planned.n, policy=planned.policy, by_score=by_score, spent=spent,
    )  # fmt: skip


def _conclude(run: RunDirectory) -> dict[str, Any]:
    from tts.export import rows, write_table

    run.write_manifest()
    results = summary(run.path)
    run.write_results(results)
    write_table(rows(run.path, "results"), "results", "csv", run.path / "results.csv")
    return results


def unfinished(planned: Plan, run: RunDirectory) -> int:
    """How many of the run's problems (times repeats) have no record yet."""
    wanted = {(e.problem.id, attempt) for e in planned.examples for attempt in range(planned.repeats)}
    return len(wanted - run.done)


def _git() -> Mapping[str, Any] | None:
    """The commit of the directory the run was started in, where it is a checkout."""
    try:
        commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=False)
        if commit.returncode:
            return None
        status = subprocess.run(
            ["git", "status", "--porcelain"], capture_output=True, text=True, timeout=5, check=False
        )
        return {"commit": commit.stdout.strip(), "dirty": bool(status.stdout.strip())}
    except (OSError, subprocess.TimeoutExpired):
        return None
