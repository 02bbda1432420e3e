"""`tts bench`: what the engine can do on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tts import console
from tts.cli import options as o
from tts.cli.driving import drive, engines_for
from tts.errors import InputError

if TYPE_CHECKING:
    from tts.settings import Settings

bench = typer.Typer(help="Measure the engine on this machine.", no_args_is_help=True)


@bench.callback()
def _group() -> None:
    """Measure the engine on this machine."""


@bench.command("throughput")
def throughput(
    model: o.Model = None,
    batch: Annotated[
        str, typer.Option("--batch", help="Batches, raised until tokens a second fall.", metavar="B,B…")
    ] = "8,16,32,64,128,256,512",
    length: Annotated[str, typer.Option("--length", help="Tokens to decode a request.", metavar="L,L…")] = "512",
    prompt_tokens: Annotated[int, typer.Option("--prompt-tokens", help="Tokens of each prompt.", min=1)] = 256,
    output: Annotated[Path | None, typer.Option("--output", "-o", help=".json or .csv.", metavar="FILE")] = None,
    engine: o.EngineKind = None,
    base_url: o.BaseUrl = None,
    engine_arg: o.EngineArg = None,
    json: o.Json = False,
) -> None:
    """Find the peak throughput: batch × length, end of text ignored, two warm-ups, the mean of three repeats."""
    from tts.settings import resolve

    given = {"model": model, "engine": engine, "base_url": base_url, "engine_arg": engine_arg}
    batches, lengths = _numbers("--batch", batch), _numbers("--length", length)
    settings = resolve(given, None)
    if settings.engine == "vllm" and "max_num_seqs" not in settings.engine_arg:
        arguments = {**settings.engine_arg, "max_num_seqs": max(batches)}
        settings = settings.model_copy(update={"engine_arg": arguments})
    if output is not None and (output.suffix not in (".json", ".csv") or not output.parent.is_dir()):
        raise InputError(
            f"--output {output}: a .json or .csv file in a folder that exists is expected", "--output throughput.csv"
        )
    drive(_measure(settings, batches, lengths, prompt_tokens, output, as_json=json))


def _numbers(option: str, text: str) -> list[int]:
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < 1:
        raise InputError(
            f"{option} {text}: whole numbers above 0 with commas between them are expected", f"{option} 8,16,32"
        )
    return numbers


async def _measure(
    settings: Settings,
    batches: list[int],
    lengths: list[int],
    prompt_tokens: int,
    output: Path | None,
    *,
    as_json: bool,
) -> None:
    import json

    import platformdirs

    from tts.throughput import as_csv, document, peak, sweep
    from tts.writing import write_whole

    async with engines_for(settings, platformdirs.user_log_path("tts-reasoning") / "engine.log") as (engine, _):
        found = await sweep(
            engine, batches, lengths, prompt_tokens,
            lambda m: console.note(f"batch {m.batch}, length {m.length}: {m.tokens_per_second:,.0f} tokens a second"),
        )  # fmt: skip
        told = document(found, dict(engine.describe()))
    if output is not None:
        text = as_csv(found) if output.suffix == ".csv" else json.dumps(told, indent=2) + "\n"
        write_whole(output, text)
    if as_json:
        return console.say_json(told)
    best = peak(found)
    rows = []
    for m in found:
        seconds = " ".join(f"{s:.3f}" for s in m.seconds)
        rows.append((m.length, m.batch, f"{m.tokens_per_second:,.0f}", seconds, "peak" if m is best else ""))
    console.table(best.model, ("length", "batch", "tokens a second", "seconds of each repeat", ""), rows)
    return None
