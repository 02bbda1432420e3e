"""`tts data`: sets for sleep-time compute, made from other sets when they are needed and never shipped."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tts import console
from tts.cli import options as o
from tts.cli.driving import drive, work_through
from tts.errors import InputError

if TYPE_CHECKING:
    from tts.settings import Settings
    from tts.types import Example

app = typer.Typer(help="Make sets for sleep-time compute.", no_args_is_help=True, rich_markup_mode=None)

Output = Annotated[Path | None, typer.Option("--output", "-o", help="A .jsonl file to write (stdout).", metavar="FILE")]


@app.command()
def stateful(
    file: Annotated[Path, typer.Argument(help="A .jsonl, .csv or .parquet file of word problems.")],
    output: Output = None,
    paper_compat: Annotated[
        bool,
        typer.Option("--paper-compat", help="Split at every full stop, in decimals too, as the paper's script does."),
    ] = False,
    question_field: o.QuestionField = None,
) -> None:
    """Take each problem apart: its last sentence becomes the question, all before it the context."""
    from tts.benchmarks import QUESTION_FIELDS
    from tts.rows import read_rows
    from tts.synth.stateful import stateful_row

    _check_output(output)

    column, dropped, made = question_field, 0, []
    for number, row in read_rows(file):
        column = column or next((f for f in QUESTION_FIELDS if f in row), None)
        if column is None or not isinstance(row.get(column), str):
            what = f"no text in column {column!r}" if column else f"none of the columns {', '.join(QUESTION_FIELDS)}"
            raise InputError(f"{file}:{number}: {what}; it has {', '.join(row)}", "--question-field names the column")
        taken = stateful_row(row, column, paper_compat=paper_compat)
        if taken is None:
            dropped += 1
        else:
            made.append(taken)
    _put(made, output)
    console.note(f"{len(made)} problems taken apart; {dropped} of one sentence left out")


@app.command("multi-query")
def multi_query(
    file: Annotated[str, typer.Argument(help="Data with contexts and questions: a file, or a benchmark's name.")],
    model: o.Model = None,
    output: Output = None,
    per_context: Annotated[int, typer.Option("--per-context", help="Further questions a context.", min=1)] = 10,
    n: Annotated[int, typer.Option("-n", help="Answers to each question that must agree.", min=2)] = 8,
    threshold: Annotated[float, typer.Option("--threshold", help="Least share of them.", min=0.0, max=1.0)] = 0.75,
    limit: Annotated[str | None, typer.Option("--limit", help="The first K contexts, or A-B.", metavar="K|A-B")] = None,
    seed: o.Seed = None,
    temperature: o.Temperature = None,
    top_p: o.TopP = None,
    max_tokens: o.MaxTokens = None,
    engine: o.EngineKind = None,
    base_url: o.BaseUrl = None,
    engine_arg: o.EngineArg = None,
    template_arg: o.TemplateArg = None,
    concurrency: o.Concurrency = None,
    question_field: o.QuestionField = None,
    context_field: o.ContextField = None,
    id_field: o.IdField = None,
) -> None:
    """Write further questions about each context, and keep those whose answers agree.

    Begun again after a stop it goes on from its journal, in FILE.work beside the output.
    """
    own = ("file", "output", "per_context", "n", "threshold", "limit")
    given = {k: v for k, v in locals().items() if k not in (*own, "own")}
    from tts import benchmarks
    from tts.settings import resolve
    from tts.synth.queries import WriteQueries

    settings = resolve({**given, "strategy": "single"}, None)
    if settings.temperature == 0:
        raise InputError("at temperature 0 all answers would agree", "a temperature above 0, or none")
    _check_output(output)
    loaded = benchmarks.load(file, settings.columns, settings.id_field).examples
    first = {e.problem.context: e for e in reversed(loaded) if e.problem.context}
    if not first:
        raise InputError(f"{file} has no contexts", "--context-field names their column; or `tts data stateful`")
    examples = benchmarks.select(tuple(reversed(first.values())), limit)
    writer = WriteQueries(per_context, n, threshold)
    raise typer.Exit(drive(_queries(settings, writer, examples, output)))


async def _queries(settings: Settings, writer: Any, examples: tuple[Example, ...], output: Path | None) -> int:
    found: dict[str, list[dict[str, Any]]] = {}
    code = await work_through(
        settings,
        writer,
        examples,
        lambda record: found.__setitem__(record["problem_id"], record["solution"]["queries"]),
        name="multi-query",
        folder=Path(f"{output or 'queries.jsonl'}.work"),
        failed=lambda name, error: console.warn(f"{name}: {error}"),
    )
    counts: Counter[bool] = Counter()
    rows = []
    for example in examples:
        for number, query in enumerate(found.get(example.problem.id, []), 1):
            counts[query["kept"]] += 1
            if query["kept"]:
                rows.append(
                    {
                        "id": f"{example.problem.id}-{number}",
                        "context": example.problem.context,
                        "question": query["question"],
                        "answer": query["answer"],
                        "agreement": query["agreement"],
                    }
                )
    _put(rows, output)
    console.note(f"{len(found)} contexts, {counts[True]} questions kept, {counts[False]} dropped for disagreement")
    return code


def _check_output(output: Path | None) -> None:
    """Whether the rows will have a place, before anything is made of them."""
    if output is not None and (output.is_dir() or not output.parent.is_dir()):
        what = "is a folder" if output.is_dir() else "is in no folder that exists"
        raise InputError(f"--output {output} {what}", "a file to write, in a folder that exists")


def _put(rows: Iterable[dict[str, Any]], output: Path | None) -> None:
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    if output is None:
        sys.stdout.write(text)
        return
    from tts.writing import write_whole

    write_whole(output, text)
