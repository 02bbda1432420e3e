"""Options that `run` and `eval` share. Each is None unless given, so that a configuration file can fill it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_MODEL, _SAMPLING, _BUDGET, _ENGINE = "Model and strategy", "Sampling", "Budget, per problem", "Engine"
_TOTAL = "Budget, of the whole run"
_SLEEP = "Sleep-time"


def _option(*names: str, help: str, panel: str, metavar: str | None = None) -> typer.models.OptionInfo:
    info: typer.models.OptionInfo = typer.Option(*names, help=help, rich_help_panel=panel, metavar=metavar)
    return info


Model = Annotated[
    str | None,
    _option("--model", "-m", help="Hugging Face id or local folder (nano).", panel=_MODEL, metavar="MODEL"),
]
Strategy = Annotated[
    str | None,
    _option("--strategy", "-s", help="See `tts list strategies`; self-consistency if not given.", panel=_MODEL),
]
N = Annotated[int | None, _option("-n", help="The strategy's n: samples a problem.", panel=_MODEL)]
Option = Annotated[
    list[str] | None,
    _option(
        "--option",
        "-o",
        help="An option of the strategy's own (tts list strategies NAME); repeatable.",
        panel=_MODEL,
        metavar="KEY=VALUE",
    ),
]
VerifierName = Annotated[
    str | None, _option("--verifier", help="One of `tts list verifiers`, or a card's path.", panel=_MODEL)
]
VerifierModel = Annotated[
    str | None,
    _option("--verifier-model", help="Its weights, in place of its card's.", panel=_MODEL, metavar="MODEL"),
]
VerifierUrl = Annotated[
    str | None,
    _option("--verifier-url", help="A server that runs the verifier's model (…/v1).", panel=_MODEL, metavar="URL"),
]
PromptName = Annotated[
    str | None, _option("--prompt", help="A template of `tts list prompts`, or a path.", panel=_MODEL)
]
Seed = Annotated[int | None, _option("--seed", help="Seed of the run (0).", panel=_SAMPLING)]
Temperature = Annotated[
    float | None, _option("--temperature", help="The model's own default if not given.", panel=_SAMPLING)
]
TopP = Annotated[float | None, _option("--top-p", help="Nucleus sampling.", panel=_SAMPLING)]
TopK = Annotated[int | None, _option("--top-k", help="Sample among the k likeliest tokens.", panel=_SAMPLING)]
MinP = Annotated[float | None, _option("--min-p", help="Least share of the likeliest token.", panel=_SAMPLING)]
MaxTokens = Annotated[
    int | None, _option("--max-tokens", help="Tokens a sample (the benchmark's, or 2048).", panel=_SAMPLING)
]
Logprobs = Annotated[
    bool | None,
    _option(
        "--logprobs/--no-logprobs", help="Ask for each token's log-probability (yes); without, steps are shorter.",
        panel=_SAMPLING,
    ),
]  # fmt: skip
BudgetTokens = Annotated[
    int | None, _option("--budget-tokens", help="Generated tokens a problem, aborted ones included.", panel=_BUDGET)
]
BudgetSeconds = Annotated[float | None, _option("--budget-seconds", help="Wall seconds a problem.", panel=_BUDGET)]
BudgetCalls = Annotated[int | None, _option("--budget-calls", help="Engine calls a problem.", panel=_BUDGET)]
BudgetFlops = Annotated[float | None, _option("--budget-flops", help="Forward-pass FLOPs a problem.", panel=_BUDGET)]
TotalSeconds = Annotated[
    float | None,
    _option("--total-seconds", help="Wall seconds of the run; whatever has finished by then votes.", panel=_TOTAL),
]
TotalTokens = Annotated[
    int | None,
    _option(
        "--total-tokens", help="Generated tokens of the run, given to the problems where another sample is most likely "
        "to change the answer.", panel=_TOTAL,
    ),
]  # fmt: skip
AgainstUniform = Annotated[
    bool,
    _option("--against-uniform", help="Spend --total-tokens evenly too, over the same samples; compare.", panel=_TOTAL),
]
Concurrency = Annotated[
    int | None, _option("--concurrency", help="Problems in flight (as many as fill the engine).", panel=_ENGINE)
]
EngineKind = Annotated[
    str | None, _option("--engine", help="vllm, server or scripted (vllm).", panel=_ENGINE, metavar="KIND")
]
BaseUrl = Annotated[
    list[str] | None,
    _option("--base-url", help="An OpenAI-compatible server; repeatable, balanced.", panel=_ENGINE, metavar="URL"),
]
EngineArg = Annotated[
    list[str] | None,
    _option("--engine-arg", "-M", help="Any engine argument; JSON values.", panel=_ENGINE, metavar="KEY=VALUE"),
]
TemplateArg = Annotated[
    list[str] | None,
    _option(
        "--template-arg", "-T", help="A chat-template argument, e.g. enable_thinking=false.", panel=_ENGINE,
        metavar="KEY=VALUE",
    ),
]  # fmt: skip
Config = Annotated[
    Path | None,
    typer.Option("--config", help="TOML of long option names, or a run's manifest.json.", metavar="FILE"),
]
QuestionField = Annotated[str | None, typer.Option("--question-field", help="Column of the question.")]
TargetField = Annotated[str | None, typer.Option("--target-field", help="Column of the target.")]
ContextField = Annotated[str | None, typer.Option("--context-field", help="Column of the context.")]
IdField = Annotated[str | None, typer.Option("--id-field", help="Column of the id; A+B joins two.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the resolved configuration and stop.")]
LatencyFactor = Annotated[
    float,
    typer.Option(
        "-t", help="What a token costs while somebody waits, in tokens at sleep.", rich_help_panel=_SLEEP, min=0.0
    ),
]
Prefill = Annotated[
    float,
    typer.Option(
        "--prefill",
        help="What a computed prompt token counts as, in generated ones.",
        rich_help_panel=_SLEEP,
        min=0.0,
    ),
]
