"""`tts run`: one question, or a file of them, answered on stdout."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tts import catalog, console
from tts.cli import options as o
from tts.cli.driving import drive, hinted, solve_ungraded
from tts.errors import InputError

if TYPE_CHECKING:
    from tts.benchmarks import Benchmark
    from tts.settings import Settings


def run(
    question: Annotated[str | None, typer.Argument(help="The question; - reads it from stdin.")] = None,
    model: o.Model = None,
    strategy: o.Strategy = None,
    n: o.N = None,
    option: o.Option = None,
    verifier: o.VerifierName = None,
    verifier_model: o.VerifierModel = None,
    verifier_url: o.VerifierUrl = None,
    prompt: o.PromptName = None,
    input: Annotated[
        Path | None,
        typer.Option("--input", help="A .jsonl, .csv or .parquet file of questions.", metavar="FILE"),
    ] = None,
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
    engine: o.EngineKind = None,
    base_url: o.BaseUrl = None,
    engine_arg: o.EngineArg = None,
    template_arg: o.TemplateArg = None,
    concurrency: o.Concurrency = None,
    question_field: o.QuestionField = None,
    context_field: o.ContextField = None,
    id_field: o.IdField = None,
    config: o.Config = None,
    json: o.Json = False,
    dry_run: o.DryRun = False,
) -> None:
    """Answer one question, or each of a file's, with the strategy; the answer goes to stdout."""
    given = {k: v for k, v in locals().items() if k not in ("question", "input", "config", "json", "dry_run")}
    from tts.settings import as_config, build_strategy, resolve, strategy_record
    from tts.strategies.declared import declared

    settings = resolve(given, config)
    benchmark = _questions(question, input, settings)
    catalog.find("prompts", settings.prompt or benchmark.prompt)
    if dry_run:
        chosen = build_strategy(settings)
        samples = len(benchmark.examples) * declared(chosen).n
        console.say_json(
            {
                "config": as_config(settings),
                "strategy": {"name": settings.strategy, **strategy_record(chosen)},
                "problems": len(benchmark.examples),
                "samples": samples,
            }
        )
        return
    raise typer.Exit(drive(_answer(benchmark, settings, as_json=json, many=input is not None)))


def _questions(question: str | None, file: Path | None, settings: Settings) -> Benchmark:
    from tts import benchmarks
    from tts.types import Example, Problem
    from tts.verify.extract import DEFAULT

    if (question is None) == (file is None):
        raise InputError(
            "one question or --input FILE is needed" + (", not both" if question else ""),
            'tts run "What is 2 + 3?", or tts run --input questions.jsonl',
        )
    if file is not None:
        return benchmarks.load(str(file), settings.columns, settings.id_field)
    text = sys.stdin.read() if question == "-" else str(question)
    if not text.strip():
        raise InputError("the question is empty", "- reads it from stdin")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError("the question is not UTF-8 text", "iconv -t utf-8 converts it") from error
    extract = (*DEFAULT, "last-number")
    return benchmarks.Benchmark("question", "", "", (Example(Problem("1", text.strip()), None),), extract=extract)


async def _answer(benchmark: Benchmark, settings: Settings, *, as_json: bool, many: bool) -> int:
    import platformdirs

    from tts.evaluate import Stop
    from tts.running import Plan
    from tts.settings import build_strategy

    strategy, stop, records = build_strategy(settings), Stop(), dict[str, dict[str, Any]]()
    planned = Plan(settings, benchmark, benchmark.examples, strategy, settings.sampling(strategy), 1, Path())
    log = platformdirs.user_log_path("tts-reasoning") / "engine.log"
    why = f"{log} has the engine's last words; " if settings.engine == "vllm" else ""
    try:
        write = records.__setitem__
        with hinted(f"{why}`tts eval --output DIR` keeps what is finished and can be resumed"):
            await solve_ungraded(planned, "run", None, log, lambda record: write(record["problem_id"], record), stop)
    finally:  # what is answered is said, also when the engine dies
        ordered = [records[e.problem.id] for e in benchmark.examples if e.problem.id in records]
        with console.regardless_of_the_reader():
            if as_json and (ordered or many):
                console.say_json([_plain(r) for r in ordered] if many else _plain(ordered[0]))
            elif not as_json:
                for record in ordered:
                    _print(record, alone=not many)
    if len(ordered) < len(benchmark.examples):
        return 130
    return 1 if any(r["status"] == "error" for r in ordered) else 0


def _plain(record: dict[str, Any]) -> dict[str, Any]:
    """A record without what only a run directory needs, the answer in front."""
    rest = {k: v for k, v in record.items() if k not in ("run_id", "attempt", "grade")}
    return {"answer": record["solution"]["answer"], **rest}


def _print(record: dict[str, Any], *, alone: bool) -> None:
    answer, candidates, usage = (
        record["solution"]["answer"],
        record["solution"]["candidates"],
        record["usage"],
    )
    if record["status"] == "error":
        console.warn(f"{record['problem_id']}: {record['error']}")
    elif answer is None:
        cut = sum(c["finish"] == "length" for c in candidates)
        console.warn(
            f"{record['problem_id']}: no answer in {len(candidates)} samples ({cut} truncated); --json has the texts"
        )
    console.say(answer or "") if alone else console.say(f"{record['problem_id']}\t{answer or ''}")
    if alone and len(candidates) > 1:
        votes = Counter(c["answer"] if c["answer"] is not None else "no answer" for c in candidates)
        console.note("votes: " + ", ".join(f"{value} ×{count}" for value, count in votes.most_common(6)))
    if alone:
        console.note(
            f"{len(candidates)} samples, {usage['generated_tokens']} tokens, {usage['seconds']:.1f} s"
            + (" (over budget)" if record["status"] == "over_budget" else "")
        )
