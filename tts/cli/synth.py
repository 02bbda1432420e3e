"""`tts synth`: training data from what there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from tts import console
from tts.cli import options as o
from tts.cli.driving import drive, engines_for, interruptible
from tts.errors import EngineUnavailable, InputError, RunStopped

if TYPE_CHECKING:
    from tts.settings import Settings
    from tts.synth.infty_think import Case, Recipe
    from tts.synth.output import Output
    from tts.types import Engine

app = typer.Typer(no_args_is_help=True, help="Make training data.", rich_markup_mode=None)


@app.callback()
def _top() -> None:
    """Make training data."""


@app.command("infty-think")
def infty_think(
    source: Annotated[
        str | None,
        typer.Argument(
            help="A .jsonl, .csv or .parquet file or a hub id (open-r1/OpenR1-Math-220k).", metavar="SOURCE"
        ),
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", help="A folder for the rows.", metavar="DIR")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a folder that exists.")] = False,
    format: Annotated[
        Literal["jsonl", "parquet"], typer.Option("--format", help="parquet: rows.parquet besides rows.jsonl.")
    ] = "jsonl",
    window: Annotated[int, typer.Option("--window", min=1, help="Tokens of a segment at most.")] = 4096,
    summary: Annotated[int, typer.Option("--summary", min=1, help="Tokens of a summary at most.")] = 1024,
    condition: Annotated[
        Literal["last", "all"],
        typer.Option("--condition", help="Summaries of the last summary and its segment, or of all reasoning so far."),
    ] = "last",
    resamples: Annotated[int, typer.Option("--resamples", min=0, help="More tries for a good summary.")] = 10,
    tags: Annotated[str, typer.Option("--tags", help="Names of the tags.")] = "history,think,summary",
    tokenizer: Annotated[
        str | None, typer.Option("--tokenizer", help="Whose tokens the window counts (the model's).")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="The first K cases.", metavar="K")] = None,
    subset: Annotated[str | None, typer.Option("--subset", help="The hub data set's configuration.")] = None,
    split: Annotated[str, typer.Option("--split", help="Its split.")] = "train",
    revision: Annotated[str | None, typer.Option("--revision", help="Its revision.")] = None,
    response_field: Annotated[str | None, typer.Option("--response-field", help="Column of the response.")] = None,
    question_field: o.QuestionField = None,
    prompt: o.PromptName = None,
    model: o.Model = None,
    seed: o.Seed = None,
    temperature: o.Temperature = None,
    top_p: o.TopP = None,
    engine: o.EngineKind = None,
    base_url: o.BaseUrl = None,
    engine_arg: o.EngineArg = None,
    template_arg: o.TemplateArg = None,
    concurrency: o.Concurrency = None,
    config: o.Config = None,
) -> None:
    """Rounds with summaries out of long chains of thought, as training rows for `-s infty-think`."""
    names = ("model", "seed", "temperature", "top_p", "engine", "base_url", "engine_arg", "template_arg", "concurrency")
    given = {name: value for name, value in locals().items() if name in names}
    from tts import catalog
    from tts.settings import resolve
    from tts.synth.infty_think import DEFAULT_SOURCE, Recipe, read_cases
    from tts.synth.output import Output

    if output is None:
        raise InputError("where to? no --output given", "--output DIR")
    settings = resolve({"temperature": 0.5, "top_p": 0.95, **{k: v for k, v in given.items() if v is not None}}, config)
    recipe = Recipe(window, summary, condition, resamples, _tags(tags), prompt or "cot")
    catalog.find("prompts", recipe.prompt)
    found = read_cases(
        source or DEFAULT_SOURCE, question_field, response_field, config=subset, split=split, revision=revision
    )
    chosen = _peeked(found, limit)
    identity = {
        "job": "infty-think", "source": source or DEFAULT_SOURCE, "subset": subset, "split": split,
        "revision": revision, "columns": [question_field, response_field], "recipe": asdict(recipe),
        "prompts": {n: catalog.find("prompts", n).sha256 for n in (recipe.prompt, "infty-summary", "infty-history")},
        "model": settings.model, "tokenizer": tokenizer, "temperature": settings.temperature,
        "top_p": settings.top_p, "seed": settings.seed,
    }  # fmt: skip
    with Output(output, identity, resume=resume) as out:
        code = drive(_make(chosen, recipe, settings, out, tokenizer))
        if format == "parquet":
            out.write_parquet()
    raise typer.Exit(code)


def _tags(text: str) -> tuple[str, str, str]:
    names = [name.strip() for name in text.split(",")]
    if len(names) != 3 or not names[0] or not names[2]:
        raise InputError(f"--tags {text}: three names are expected", "history,think,summary; think may be empty")
    return names[0], names[1], names[2]


def _peeked(cases: Iterator[Case], limit: int | None) -> Iterator[Case]:
    """The first `limit`; the very first is read now: a missing file or column is told before an engine starts."""
    first = next(cases, None)
    return islice(chain(() if first is None else (first,), cases), limit)


async def _make(cases: Iterator[Case], recipe: Recipe, settings: Settings, out: Output, tokenizer: str | None) -> int:
    from tts.evaluate import Stop
    from tts.journal import Journal
    from tts.session import Setup
    from tts.synth.infty_think import work_through
    from tts.synth.segments import tally
    from tts.types import Budget, Sampling
    from tts.verify.pool import CheckerPool

    (out.folder / "logs").mkdir(exist_ok=True)
    sampling = Sampling(settings.temperature, settings.top_p, max_tokens=recipe.summary, top_logprobs=None)
    stop, counts = Stop(), dict[str, Any]()
    try:
        async with engines_for(settings, out.folder / "logs" / "engine.log") as (engine, _):
            with Journal(out.folder / "journal.sqlite") as journal, interruptible(stop):
                setup = Setup(engine, journal, CheckerPool(), None, sampling, Budget(), settings.seed)
                async with console.beating(lambda: _progress(out)):
                    await work_through(
                        cases, recipe, setup, out, _counter(engine, tokenizer),
                        concurrency=settings.concurrency or 2 * engine.max_sequences, stop=stop,
                    )  # fmt: skip
    except RunStopped as error:
        error.hint = "the same command with --resume goes on"
        raise
    finally:
        counts = tally(out.fates, out.histogram)
        out.write_counts(counts)
    console.say_json(counts)
    if stop.draining:
        console.warn("interrupted; the same command with --resume goes on")
        return 130
    return 0


def _progress(out: Output) -> str:
    return f"{len(out.done)} cases, {out.fates['kept']} kept"


def _counter(engine: Engine, tokenizer: str | None) -> Callable[[str], int]:
    if tokenizer is None:
        return lambda text: len(engine.encode(text))
    from transformers import AutoTokenizer

    try:
        loaded = AutoTokenizer.from_pretrained(tokenizer)
    except (OSError, ValueError) as error:
        raise EngineUnavailable(
            f"no tokenizer at {tokenizer!r}: {str(error).splitlines()[0]}", "a folder with a tokenizer, or a hub id"
        ) from error
    return lambda text: len(loaded.encode(text, add_special_tokens=False))
