"""`tts sleep`: notes about contexts, made before any question comes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tts import console
from tts.cli import options as o
from tts.cli.driving import drive, engines_for, work_through
from tts.errors import InputError

if TYPE_CHECKING:
    from tts.notes import Entry
    from tts.settings import Settings
    from tts.types import Example

app = typer.Typer(help="Think about contexts before the questions come.", no_args_is_help=True, rich_markup_mode=None)
TEXT_SUFFIXES = (".txt", ".md")

Store = Annotated[
    Path | None, typer.Option("--store", help="The notes store (in $TTS_HOME or your data folder).", metavar="FILE")
]
Key = Annotated[str, typer.Argument(help="The beginning of a note's key, or of its context's hash.", metavar="KEY")]


@app.command()
def write(
    files: Annotated[
        list[str] | None,
        typer.Argument(help="Texts (.txt, .md), or data with a context column: files, or benchmarks' names."),
    ] = None,
    context: Annotated[str | None, typer.Option("--context", help="One context, as text.", metavar="TEXT")] = None,
    model: o.Model = None,
    notes: Annotated[int, typer.Option("--notes", help="Independent notes a context, joined.", min=1)] = 1,
    rethinks: Annotated[int, typer.Option("--rethinks", help="Passes that write the notes anew.", min=0)] = 0,
    examples: Annotated[
        Path | None, typer.Option("--examples", help="Questions of the kind that will come, one a line.")
    ] = None,
    store: Store = None,
    seed: o.Seed = None,
    temperature: o.Temperature = None,
    top_p: o.TopP = None,
    top_k: o.TopK = None,
    max_tokens: o.MaxTokens = None,
    engine: o.EngineKind = None,
    base_url: o.BaseUrl = None,
    engine_arg: o.EngineArg = None,
    template_arg: o.TemplateArg = None,
    concurrency: o.Concurrency = None,
    question_field: o.QuestionField = None,
    context_field: o.ContextField = None,
) -> None:
    """Write notes about contexts into the store: once a context, skipping those that it has.

    `-s sleep-time -o store=FILE` answers from them if model, sampling, seed, notes and rethinks are the same.
    """
    given = {
        k: v for k, v in locals().items() if k not in ("files", "context", "notes", "rethinks", "examples", "store")
    }
    from tts.notes import NotesStore, default_store
    from tts.settings import resolve
    from tts.strategies.sleep_time import TakeNotes

    settings = resolve({**given, "strategy": "single"}, None)
    shown = _lines(examples) if examples else ()
    found = _contexts(files or [], context, settings)
    path = store or default_store()
    if store is not None and not store.parent.is_dir():
        raise InputError(f"--store {store}: no such folder: {store.parent}", "make it first, or name another")
    with NotesStore(path) as kept:
        before = len(kept.entries())
        taker = TakeNotes(notes, rethinks, shown, str(path))
        code = drive(_write(found, taker, settings, path))
        made = len(kept.entries()) - before
    console.note(f"{len(found)} contexts, {made} notes new: {path}")
    raise typer.Exit(code)


def _lines(file: Path) -> tuple[str, ...]:
    try:
        return tuple(line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"cannot read --examples {file}: {error}", "a text file in UTF-8, a question a line"
        ) from error


def _contexts(files: list[str], text: str | None, settings: Settings) -> list[str]:
    """Every context that was named, each once."""
    from tts import benchmarks

    if not files and text is None:
        raise InputError("no context given", "files or benchmarks, or --context TEXT")
    found = [text] if text is not None else []
    for file in files:
        if Path(file).suffix in TEXT_SUFFIXES:
            try:
                found.append(Path(file).expanduser().read_text(encoding="utf-8-sig"))
            except (OSError, UnicodeDecodeError) as error:
                raise InputError(f"cannot read {file}: {error}", "a text file in UTF-8 that you may read") from error
            continue
        contexts = [e.problem.context for e in benchmarks.load(file, settings.columns, settings.id_field).examples]
        if not any(contexts):
            raise InputError(f"{file} has no contexts", "--context-field names their column; or `tts data stateful`")
        found += [c for c in contexts if c]
    distinct = list(dict.fromkeys(c.strip() for c in found if c.strip()))
    if not distinct:
        raise InputError("every context is empty", "a file with text in it, or --context TEXT")
    return distinct


async def _write(contexts: list[str], taker: Any, settings: Settings, path: Path) -> int:
    from tts.notes import context_hash
    from tts.types import Example, Problem

    spent = {"calls": 0, "generated_tokens": 0, "prompt_tokens": 0, "truncated": 0}

    def count(record: dict[str, Any]) -> None:
        if "phases" in record:  # not from the store
            for name in spent:
                spent[name] += record["solution"]["sleep"][name]

    code = await work_through(
        settings,
        taker,
        [Example(Problem(context_hash(c), "", c), None) for c in contexts],
        count,
        name="sleep",
        folder=path.parent / f"{path.stem}.work",
        failed=lambda name, error: console.warn(f"context {name}: {error}"),
    )
    cut = f", {spent['truncated']} passes cut at their token limit" if spent["truncated"] else ""
    tokens = f"{spent['prompt_tokens']:,} prompt tokens, {spent['generated_tokens']:,} generated"
    console.note(f"{spent['calls']:,} calls, {tokens}{cut}")
    return code


@app.command("list")
def list_(store: Store = None, json: o.Json = False) -> None:
    """List what the store holds."""
    entries = _entries(store, "")
    if json:
        return console.say_json([_plain(e) for e in entries])
    return console.table(
        None,
        ("key", "model", "notes", "rethinks", "seed", "tokens", "made", "context"),
        (
            (
                *(e.key[:10], Path(e.recipe.model).name, e.recipe.notes, e.recipe.rethinks, e.recipe.seed),
                *(e.notes.generated_tokens, e.made[:16], console.clipped(e.context, 50)),
            )
            for e in entries
        ),
    )


@app.command()
def show(key: Key, store: Store = None, json: o.Json = False) -> None:
    """Show a context and the notes about it."""
    entries = _found(store, key)
    if json:
        return console.say_json([_plain(e) for e in entries])
    for entry in entries:
        console.say(f"{entry.key}  {entry.recipe.model}, {entry.made}\n\n{entry.context.strip()}\n\nNotes:")
        console.say(entry.notes.text + "\n")
    return None


@app.command()
def rm(key: Key, store: Store = None) -> None:
    """Forget notes."""
    from tts.notes import NotesStore, default_store

    entries = _found(store, key)
    with NotesStore(store or default_store()) as kept:
        for entry in entries:
            kept.remove(entry.key)
    console.note(f"{len(entries)} removed")


def _entries(store: Path | None, begin: str) -> list[Entry]:
    from tts.notes import NotesStore, default_store

    path = store or default_store()
    if not path.is_file():
        raise InputError(f"no notes store at {path}", "`tts sleep write` makes one")
    with NotesStore(path) as kept:
        return kept.entries(begin)


def _found(store: Path | None, key: str) -> list[Entry]:
    if not key:
        raise InputError("the key is empty: it would name all notes", "`tts sleep list` shows the keys")
    entries = _entries(store, key)
    if not entries:
        raise InputError(f"no notes whose key or context begins with {key!r}", "`tts sleep list` shows them")
    return entries


def _plain(entry: Entry) -> dict[str, Any]:
    from dataclasses import asdict

    return {**asdict(entry), "notes": asdict(entry.notes)}


@app.command()
def predict(
    file: Annotated[str, typer.Argument(help="Data with contexts and questions: a file, or a benchmark's name.")],
    model: o.Model = None,
    slept: Annotated[Path | None, typer.Option("--with", help="A run that answered from notes.", metavar="RUN")] = None,
    plain: Annotated[Path | None, typer.Option("--without", help="The same without notes.", metavar="RUN")] = None,
    number: Annotated[int, typer.Option("--bins", help="Quantile bins.", min=1)] = 5,
    per_token: Annotated[bool, typer.Option("--per-token", help="Bin by the mean over the question's tokens.")] = False,
    limit: Annotated[str | None, typer.Option("--limit", help="The first K, or A-B.", metavar="K|A-B")] = None,
    engine: o.EngineKind = None,
    base_url: o.BaseUrl = None,
    engine_arg: o.EngineArg = None,
    question_field: o.QuestionField = None,
    context_field: o.ContextField = None,
    id_field: o.IdField = None,
    json: o.Json = False,
) -> None:
    """How predictable each question is from its context, and what sleep gains by that.

    The log-probability of the question after the context under the model, question tokens only. `--with` and
    `--without` add the accuracy of two runs, by quantile.
    """
    given = {k: v for k, v in locals().items() if k not in ("file", "slept", "plain", "number", "per_token", "json")}
    from tts import benchmarks
    from tts.settings import resolve
    from tts.spending import by_problem

    if (slept is None) != (plain is None):
        raise InputError("--with and --without go together", "give both runs, or neither")
    settings = resolve({**given, "strategy": "single"}, None)
    examples = benchmarks.select(benchmarks.load(file, settings.columns, settings.id_field).examples, limit)
    if not any(e.problem.context for e in examples):
        raise InputError(f"{file} has no contexts", "--context-field names their column; or `tts data stateful`")
    for run in filter(None, (slept, plain)):
        _check_same(run, file, examples)
    correct = (by_problem(slept), by_problem(plain)) if slept and plain else None
    found = drive(_predict(settings, examples))
    _tell(found, correct, number, per_token, json)


def _check_same(run: Path, file: str, examples: tuple[Example, ...]) -> None:
    """Refuse a run over other questions: ids alone, 1 to 100, are the same in many sets."""
    from tts.store import read_records

    questions = {e.problem.id: e.problem.question for e in examples}
    shared = [r for r in read_records(run) if r["problem_id"] in questions]
    if not shared or any(r["question"] != questions[r["problem_id"]] for r in shared):
        raise InputError(f"{run} is a run over other questions than {file}", f"--with and --without: runs of {file}")


async def _predict(settings: Settings, examples: tuple[Example, ...]) -> list[Any]:
    import asyncio

    import platformdirs

    from tts.predictability import predict as one

    log = platformdirs.user_log_path("tts-reasoning") / "engine.log"
    async with engines_for(settings, log) as (engine, _):
        limit = asyncio.Semaphore(engine.max_sequences)
        return await asyncio.gather(*(one(engine, e.problem, limit) for e in examples if e.problem.context))


def _tell(
    found: list[Any],
    correct: tuple[dict[str, float], dict[str, float]] | None,
    number: int,
    per_token: bool,
    json: bool,
) -> None:
    from tts.predictability import bins, gains

    values = {p.problem_id: p.mean if per_token else p.logprob for p in found}
    groups = bins(values, number)
    gained = gains(groups, *correct) if correct else [None] * len(groups)
    rows = []
    for index, (group, gain) in enumerate(zip(groups, gained, strict=True), 1):
        mean = math.fsum(values[name] for name in group) / len(group) if group else math.nan
        if not group:
            continue
        row: dict[str, Any] = {"bin": index, "questions": len(group), "logprob": round(mean, 3)}
        if correct:
            scored, slept, plain = gain or (0, None, None)
            difference = None if slept is None or plain is None else slept - plain
            row |= {"scored": scored, "with": slept, "without": plain, "gain": difference}
        rows.append(row)
    if json:
        questions = [{"id": p.problem_id, "logprob": p.logprob, "tokens": p.tokens} for p in found]
        return console.say_json({"bins": rows, "questions": questions})
    percent = {"with", "without", "gain"}
    shown = [[f"{100 * v:.1f} %" if k in percent and v is not None else v for k, v in r.items()] for r in rows]
    return console.table("least predictable first", list(rows[0]), shown)


@app.command()
def cost(
    runs: Annotated[list[Path], typer.Argument(help="Runs with and without notes.", metavar="RUN")],
    factor: o.LatencyFactor = 10.0,
    prefill: o.Prefill = 0.0,
    json: o.Json = False,
) -> None:
    """What answering from notes costs a question, and how many questions a context make it pay.

    Cost is t × test tokens + sleep tokens ÷ questions on the context (arXiv:2504.13171, section 5).
    """
    from tts.report.sleep import as_json, read_sleep, section

    found = read_sleep(runs, factor, prefill)
    if json:
        return console.say_json(as_json(found)["runs"])
    return console.section(section("sleep-time, with notes and without", found))
