"""`tts eval`: benchmarks or files of problems, solved, graded and costed into a run directory."""

from __future__ import annotations

import datetime
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tts import console
from tts.cli import options as o
from tts.cli.driving import drive, engines_for, interruptible
from tts.errors import InputError, RunStopped

if TYPE_CHECKING:
    from tts.evaluate import Stop
    from tts.running import Plan
    from tts.settings import Settings
    from tts.store import RunDirectory
    from tts.types import Engine, Verifier
    from tts.verify.pool import CheckerPool


def eval_(
    benchmarks: Annotated[
        list[str] | None,
        typer.Argument(
            help="Names of `tts list benchmarks`, NAME=FILE, .jsonl/.csv/.parquet files, cards (.toml), "
            "FILE.py:FUNCTION, reasoning-gym:TASK; NAME:R repeats R times."
        ),
    ] = None,
    model: o.Model = None,
    strategy: o.Strategy = None,
    n: o.N = None,
    option: o.Option = None,
    verifier: o.VerifierName = None,
    verifier_model: o.VerifierModel = None,
    verifier_url: o.VerifierUrl = None,
    prompt: o.PromptName = None,
    seed: o.Seed = None,
    temperature: o.Temperature = None,
    top_p: o.TopP = None,
    top_k: o.TopK = None,
    min_p: o.MinP = None,
    max_tokens: o.MaxTokens = None,
    logprobs: o.Logprobs = None,
    budget_tokens: o.BudgetTokens = None,
    budget_seconds: o.BudgetSeconds = None,
    budget_calls: o.BudgetCalls = None,
    budget_flops: o.BudgetFlops = None,
    total_seconds: o.TotalSeconds = None,
    total_tokens: o.TotalTokens = None,
    against_uniform: o.AgainstUniform = False,
    engine: o.EngineKind = None,
    base_url: o.BaseUrl = None,
    engine_arg: o.EngineArg = None,
    template_arg: o.TemplateArg = None,
    concurrency: o.Concurrency = None,
    limit: Annotated[
        str | None, typer.Option("--limit", help="The first K problems, or A-B from 1.", metavar="K|A-B")
    ] = None,
    repeats: Annotated[int | None, typer.Option("--repeats", help="Solve each problem R times.", metavar="R")] = None,
    permute: Annotated[
        str | None,
        typer.Option("--permute", help="Order of options: per-record or per-attempt, by a hash.", metavar="HOW"),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", help="Run directory (runs/DATE-BENCHMARK-STRATEGY).", metavar="DIR"),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run directory that exists.")] = False,
    reuse: Annotated[
        list[Path] | None,
        typer.Option("--reuse", help="Take equal engine calls from another run's journal, repeatable.", metavar="RUN"),
    ] = None,
    csv: Annotated[
        str | None,
        typer.Option("--csv", help="Also put the result rows into this CSV (- is stdout).", metavar="FILE"),
    ] = None,
    question_field: o.QuestionField = None,
    target_field: o.TargetField = None,
    context_field: o.ContextField = None,
    id_field: o.IdField = None,
    config: o.Config = None,
    json: o.Json = False,
    dry_run: o.DryRun = False,
) -> None:
    """Solve benchmarks or files of problems; grade, count and keep everything in a run directory."""
    given = {k: v for k, v in locals().items() if k not in ("config", "json", "dry_run", "resume")}
    given |= {"resume": resume or None, "against_uniform": against_uniform or None}
    from tts.settings import resolve

    settings = resolve(given, config)
    if json and settings.csv == "-":
        raise InputError("--json and --csv - both write to stdout", "give one of them")
    plans = _plans(settings)
    if dry_run:
        return _print_plans(plans, settings)
    code = drive(_evaluate(plans, settings, json))
    raise typer.Exit(code)


def _plans(settings: Settings) -> list[Plan]:
    from tts import benchmarks
    from tts.export import shared_rows
    from tts.running import plan

    if not settings.benchmarks:
        raise InputError("no benchmark given", "a name of `tts list benchmarks`, or a file of problems")
    if settings.csv not in (None, "-"):
        target = Path(str(settings.csv))
        if not target.parent.is_dir():
            raise InputError(f"--csv {target}: no such folder: {target.parent}", "make it first, or name another")
        shared_rows(target)
        if not os.access(target.parent, os.W_OK):
            raise InputError(f"--csv {target}: you may not write in {target.parent}", "a file in another folder")
    if settings.resume and settings.output is None:
        raise InputError("--resume needs the run directory", "--output DIR names it")
    stamp = datetime.datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    plans = []
    for given in settings.benchmarks:
        name, repeats = repeated(given, settings.repeats)
        benchmark = benchmarks.load(name, settings.columns, settings.id_field)
        several = len(settings.benchmarks) > 1
        name_of_run = f"{stamp}-{settings.strategy}" if several else f"{stamp}-{benchmark.name}-{settings.strategy}"
        folder = settings.output or Path("runs") / name_of_run
        output = folder / benchmark.name if several else folder
        plans.append(plan(settings, name, benchmark, output, repeats))
        if settings.against_uniform:
            plans.append(plans[-1].uniformly())
    if len({p.output for p in plans}) < len(plans):
        raise InputError("two of the benchmarks have the same name", "run them one by one, each with its --output")
    return plans


def repeated(given: str, repeats: int) -> tuple[str, int]:
    """`gsm8k:16` is gsm8k with 16 repeats."""
    name, colon, number = given.rpartition(":")
    if colon and number.isdigit():
        if int(number) < 1:
            raise InputError(f"{given}: repeats must be at least 1", "NAME:R, with R of 1 or more")
        return name, int(number)
    return given, repeats


def _print_plans(plans: list[Plan], settings: Settings) -> None:
    from tts.settings import as_config, strategy_record

    runs = [
        {
            "benchmark": p.benchmark.name,
            "dataset": p.benchmark.source,
            "revision": p.benchmark.revision,
            "problems": len(p.examples),
            "repeats": p.repeats,
            "samples": p.samples,
            "strategy": {"name": settings.strategy, **strategy_record(p.strategy)},
            "sampling": p.identity()["sampling"],
            "prompt": p.prompt,
            "output": str(p.output),
        }
        for p in plans
    ]
    console.say_json({"config": as_config(settings), "runs": runs, "samples": sum(p.samples for p in plans)})


async def _evaluate(plans: list[Plan], settings: Settings, as_json: bool) -> int:
    from tts.evaluate import Stop
    from tts.running import open_run
    from tts.verify.pool import CheckerPool

    opened: list[RunDirectory] = []
    contents: list[dict[str, Any]] = []
    stop, left = Stop(), 0
    try:
        opened.extend(open_run(p) for p in plans)
        log = opened[0].path / "logs" / "engine.log"
        async with engines_for(settings, log) as (engine, verifier), CheckerPool() as checker:
            with interruptible(stop):
                for planned, run in zip(plans, opened, strict=True):
                    if not stop.draining:
                        contents.append(await execute_one(planned, run, engine, verifier, checker, stop))
        left = sum(_unfinished(p, r) for p, r in zip(plans, opened, strict=True))
    except InputError:
        for run in opened:
            run.forget()
        raise
    except RunStopped as error:
        error.hint = _resume_command(plans)
        raise
    finally:
        for run in opened:
            run.close()
    with console.regardless_of_the_reader():
        _deliver(plans, contents, settings, as_json)
    if settings.against_uniform and not stop.draining and not as_json:
        _compare(plans)
    if stop.any_expired:
        console.note(f"time was up after {settings.total_seconds:g} s; --resume takes up problems that were not begun")
    if stop.draining and left:
        console.warn(f"interrupted, {left} problems left; to go on: {_resume_command(plans)}")
        return 130
    return 1 if any(c["counts"]["errors"] for c in contents) else 0


async def execute_one(
    planned: Plan, run: RunDirectory, engine: Engine, verifier: Verifier | None, checker: CheckerPool, stop: Stop
) -> dict[str, Any]:
    """Run one plan under a progress display; returns the content of its results.json."""
    from tts.running import execute

    board = console.Board(
        planned.benchmark.name,
        len(planned.examples) * planned.repeats,
        len(planned.examples) * planned.repeats - _unfinished(planned, run),
        lambda: engine.counters()["generated_tokens"],
    )
    async with board.shown():
        return await execute(planned, run, engine, verifier, checker, board, stop)


def _unfinished(planned: Plan, run: RunDirectory) -> int:
    from tts.running import unfinished

    return unfinished(planned, run)


def _deliver(plans: list[Plan], contents: list[dict[str, Any]], settings: Settings, as_json: bool) -> None:
    from tts.export import merge_results, rows, write_text

    done = list(zip(plans, contents, strict=False))
    for planned, _ in done:
        if settings.csv not in (None, "-"):
            merge_results(planned.output, Path(str(settings.csv)))
    if as_json:
        console.say_json(contents[0] if len(plans) == 1 and contents else {"runs": contents})
    elif settings.csv == "-":
        write_text((row for p, _ in done for row in rows(p.output, "results")), "results", "csv", sys.stdout)
    else:
        for planned, content in done:
            if len(plans) > 1:
                console.say(f"\n{planned.benchmark.name}")
            console.results(content, str(planned.output))


def _compare(plans: list[Plan]) -> None:
    """The adaptive run of each benchmark beside the uniform one."""
    from tts.spending import side_by_side

    for adaptive, uniform in zip(plans[::2], plans[1::2], strict=True):
        rows, difference = side_by_side(adaptive.output, uniform.output)
        console.table("the same budget, spent two ways", tuple(rows[0]), (tuple(row.values()) for row in rows))
        console.say(difference)


def _resume_command(plans: list[Plan]) -> str:
    """The command line that goes on with this run: what was typed, with the directory it chose."""
    words = [w for w in sys.argv[1:] if w != "--resume"]
    if plans[0].settings.output is None:
        several = len(plans[0].settings.benchmarks) > 1
        words += ["--output", str(plans[0].output.parent if several else plans[0].output)]
    return shlex.join(["tts", *words, "--resume"])
