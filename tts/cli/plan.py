"""`tts plan`: what a sweep will take, and what a choice of model costs, before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tts import console
from tts.cli import options as o
from tts.errors import InputError

PAPER_RATIOS = (0.16, 0.79, 22.0)


def plan(
    file: Annotated[Path | None, typer.Argument(help="A sweep file, to forecast.", metavar="FILE")] = None,
    calibrate: Annotated[
        int, typer.Option("--calibrate", help="Problems of each benchmark to solve beforehand.", min=1)
    ] = 4,
    match: Annotated[str | None, typer.Option("--match", help="The larger model.", metavar="MODEL_B")] = None,
    model: o.Model = None,
    ratio: Annotated[
        list[float] | None,
        typer.Option("--ratio", help="Inference tokens for each training token; repeatable (the paper's three)."),
    ] = None,
    prompt_tokens: Annotated[int, typer.Option("--prompt-tokens", help="Tokens of a prompt.", min=0)] = 256,
    length: Annotated[int, typer.Option("--length", help="Tokens of a response.", min=1)] = 1024,
    json: o.Json = False,
) -> None:
    """Forecast a sweep: samples, tokens, minutes and memory, from a few problems of each benchmark solved beforehand.

    With --match: how many times as much inference a smaller model (-m) may do for the cost of a larger one.
    """
    if (file is None) == (match is None):
        raise InputError("a sweep file, or --match MODEL_B", "tts plan sweep.toml; tts plan -m SMALL --match LARGE")
    if file is not None:
        from tts.cli.forecast import forecast_sweep

        raise typer.Exit(forecast_sweep(file, calibrate, json))
    assert match is not None
    return _match(model, match, ratio, prompt_tokens, length, json)


def _match(
    model: str | None, match: str, ratio: list[float] | None, prompt_tokens: int, length: int, json: bool
) -> None:
    from tts.flops import active_parameters, cost, matched_multiple, total_parameters

    if ratio and min(ratio) <= 0:
        raise InputError(f"--ratio {min(ratio):g}: a number above 0 is expected", "--ratio 1: as many as in training")
    rows, sizes, calls = [], [], []
    for name in (model or "nano", match):
        config = read_config(name)
        active, total, each = active_parameters(config), total_parameters(config), cost(config)
        if active is None or total is None or each is None:
            raise InputError(f"the architecture of {name} is not understood: its FLOPs are unknown", "another model")
        sizes.append(total)
        calls.append(each.call(prompt_tokens, 0, length))
        rows.append({"model": name, "parameters": total, "active": active, "flops_per_response": calls[-1]})
    size = sizes[1] / sizes[0]
    if size < 1:
        raise InputError(f"{match} is smaller than {model or 'nano'}", "-m is the smaller model, --match the larger")
    ratios = ratio or PAPER_RATIOS
    found: dict[str, Any] = {
        "models": rows,
        "size_ratio": size,
        "responses_for_one": calls[1] / calls[0],
        "with_training": [{"ratio": r, "multiple": matched_multiple(size, r)} for r in ratios],
    }
    if json:
        return console.say_json(found)
    table = [(r["model"], f"{r['parameters']:,}", f"{r['active']:,}", f"{r['flops_per_response']:.3g}") for r in rows]
    console.table(None, ("model", "parameters", "active, embeddings left out", "FLOPs a response"), table)
    console.say(
        f"{calls[1] / calls[0]:.1f} responses of {length} tokens by the smaller model cost as much as one by the larger"
    )
    console.table(
        "with training, of M times as many parameters on the same data: M + 3 (M - 1) / R",
        ("R, inference tokens for each training token", "times the inference"),
        ((f"{m['ratio']:g}", f"{m['multiple']:.1f}") for m in found["with_training"]),
    )
    return None


def read_config(name: str) -> dict[str, Any]:
    """A model's configuration, from its folder or the hub."""
    from transformers import AutoConfig

    from tts import nano

    if name.startswith((".", "/", "~")) and not Path(name).expanduser().exists():
        raise InputError(f"no such model folder: {name}", "a folder with config.json, a hub id, or nano")
    where = str(nano.POLICY) if name == nano.NAME else str(Path(name).expanduser())
    try:
        return dict(AutoConfig.from_pretrained(where if Path(where).exists() else name).to_dict())
    except (OSError, ValueError) as error:
        raise InputError(f"no configuration of {name}: {str(error).splitlines()[0]}", "a folder or a hub id") from error
