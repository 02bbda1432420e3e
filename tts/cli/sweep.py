"""`tts sweep`: a grid of runs as one job that can be resumed, on one engine load a model."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tts import console
from tts.cli import options as o
from tts.cli.driving import drive, engines_for, interruptible
from tts.cli.eval import execute_one
from tts.errors import InputError, RunStopped

if TYPE_CHECKING:
    from tts.evaluate import Stop
    from tts.running import Plan
    from tts.sweep import Cell
    from tts.verify.pool import CheckerPool


def sweep(
    file: Annotated[Path, typer.Argument(help="A TOML file of options; a list is an axis of the grid.")],
    output: Annotated[
        Path | None, typer.Option("--output", help="Folder of the runs (runs/NAME of the file).", metavar="DIR")
    ] = None,
    json: o.Json = False,
    dry_run: o.DryRun = False,
) -> None:
    """Run a grid: models × strategies × n × temperatures × benchmarks. Begun again, it goes on where it was.

    Runs that ask for the same samples share them. DIR gets a folder a run, and results.csv with the rows of all.
    """
    from tts.sweep import read

    folder = output or Path("runs") / file.stem
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file, not a folder for runs", "another --output")
    cells = read(file)
    plans = sweep_plans(cells, folder)
    if dry_run:
        return _print(cells, plans, json)
    raise typer.Exit(drive(_sweep(file, cells, plans, folder, json)))


def sweep_plans(cells: list[Cell], folder: Path) -> list[Plan]:
    from tts import benchmarks
    from tts.cli.eval import repeated
    from tts.running import plan

    plans = []
    for cell in cells:
        name, repeats = repeated(cell.benchmark, cell.settings.repeats)
        benchmark = benchmarks.load(name, cell.settings.columns, cell.settings.id_field)
        settings = cell.settings.model_copy(update={"resume": True})
        plans.append(plan(settings, name, benchmark, folder / cell.name, repeats))
    return plans


def _print(cells: list[Cell], plans: list[Plan], as_json: bool) -> None:
    rows = [
        {
            "run": cell.name,
            "benchmark": p.benchmark.name,
            "model": p.settings.model or "default",
            "strategy": p.settings.strategy,
            "n": p.n,
            "problems": len(p.examples),
            "samples": p.samples,
        }
        for cell, p in zip(cells, plans, strict=True)
    ]
    if as_json:
        return console.say_json(rows)
    console.table(None, list(rows[0]), [list(row.values()) for row in rows])
    loads = len({cell.load for cell in cells})
    return console.say(f"{len(rows)} runs, {loads} engine loads, {sum(p.samples for p in plans):,} samples at most")


async def _sweep(file: Path, cells: list[Cell], plans: list[Plan], folder: Path, as_json: bool) -> int:
    from tts.evaluate import Stop
    from tts.export import merge_results
    from tts.verify.pool import CheckerPool

    stop, contents = Stop(), dict[str, dict[str, Any]]()
    failed: InputError | None = None
    again = f"tts sweep {file}" + ("" if folder == Path("runs") / file.stem else f" --output {folder}")
    pairs = list(zip(cells, plans, strict=True))
    for _, group in groupby(pairs, key=lambda pair: pair[0].load):
        try:
            async with CheckerPool() as checker:
                await _load(list(group), len(pairs), checker, stop, contents)
        except InputError as error:  # an engine that cannot start takes only its own runs with it
            console.report(error)
            failed = error
        except RunStopped as error:
            error.hint = f"{again} goes on"
            raise
        if stop.draining:
            break
    for cell, planned in pairs:
        if cell.name in contents:
            merge_results(planned.output, folder / "results.csv")
    with console.regardless_of_the_reader():
        _deliver(pairs, contents, folder, as_json)
    if stop.draining:
        console.warn(f"interrupted; to go on: {again}")
        return 130
    if failed is not None and not contents:
        return failed.exit_code
    return 1 if failed or any(c["counts"]["errors"] for c in contents.values()) else 0


async def _load(
    group: list[tuple[Cell, Plan]],
    total: int,
    checker: CheckerPool,
    stop: Stop,
    contents: dict[str, dict[str, Any]],
) -> None:
    """All runs of one engine load; none is started where nothing is left to do."""
    from dataclasses import replace

    from tts.results import current
    from tts.running import open_run, unfinished
    from tts.writing import make_folder

    left = []
    for cell, planned in group:
        if (planned.output / "results.json").is_file():
            run = open_run(planned)
            missing = unfinished(planned, run)
            run.close()
            if not missing:
                contents[cell.name] = current(planned.output)
                continue
        left.append((cell, planned))
    if not left:
        return
    log = left[0][1].output / "logs" / "engine.log"
    make_folder(log.parent)
    async with engines_for(left[0][1].settings, log) as (engine, verifier):
        with interruptible(stop):
            for cell, planned in left:
                if stop.draining:
                    return
                console.note(f"run {len(contents) + 1} of {total}: {cell.name}")
                kin = [
                    p.output
                    for _, p in group
                    if p is not planned
                    and p.benchmark.name == planned.benchmark.name
                    and (p.output / "journal.sqlite").is_file()
                ]
                reusing = planned.settings.model_copy(update={"reuse": tuple(kin)})
                run = open_run(planned)
                try:
                    contents[cell.name] = await execute_one(
                        replace(planned, settings=reusing), run, engine, verifier, checker, stop
                    )
                finally:
                    run.close()


def _deliver(pairs: list[tuple[Cell, Plan]], contents: dict[str, dict[str, Any]], folder: Path, as_json: bool) -> None:
    if as_json:
        return console.say_json(contents)
    rows = []
    for cell, planned in pairs:
        if (content := contents.get(cell.name)) is None:
            continue
        accuracy, counts = content["metrics"].get("accuracy"), content["counts"]
        value = "" if accuracy is None else f"{100 * accuracy['value']:.1f} %"
        ends = accuracy["ci"] if accuracy and accuracy["ci"] else None
        interval = f"[{100 * ends[0]:.1f}, {100 * ends[1]:.1f}]" if ends else ""
        tokens = content["usage"]["tokens_per_problem"]
        rows.append((cell.name, planned.benchmark.name, value, interval, counts["problems"], tokens, counts["errors"]))
    heads = ("run", "benchmark", "accuracy", "95 % interval", "problems", "tokens a problem", "errors")
    console.table(None, heads, rows)
    return console.note(f"all rows: {folder / 'results.csv'}; curves: tts report {folder}/*/")
