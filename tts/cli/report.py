"""`tts report`: what runs add up to, in the terminal, as a picture, as a page, as a table for a paper."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from tts import console
from tts.cli import options as o
from tts.errors import InputError

LARGE = 15e6


def report(
    runs: Annotated[list[Path], typer.Argument(help="Run directories.", metavar="RUN")],
    by: Annotated[
        Literal["difficulty"] | None, typer.Option("--by", help="difficulty: accuracy and gains for each bin.")
    ] = None,
    bins: Annotated[
        str | None,
        typer.Option("--bins", help="Difficulty from: levels, oracle (pass@1), votes (entropy), or a score's name."),
    ] = None,
    length: Annotated[
        bool, typer.Option("--length", help="Tokens of right and wrong samples, and the effect.")
    ] = False,
    confidence: Annotated[
        bool, typer.Option("--confidence", help="Calibration of the votes, and where pass@k stops growing.")
    ] = False,
    verified: Annotated[
        bool, typer.Option("--verified", help="Curves with a verifier and without; the first RUN is a scored pool.")
    ] = False,
    against: Annotated[
        Literal["tokens", "seconds", "flops"], typer.Option("--against", help="The cost that the terminal plots.")
    ] = "tokens",
    png: Annotated[Path | None, typer.Option("--png", help="Draw the plots into a PNG file.", metavar="FILE")] = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", help="One page with plots, problems and samples that works offline.", metavar="FILE"),
    ] = None,
    html_samples: Annotated[
        int | None, typer.Option("--html-samples", min=0, help="Samples a problem in the page; all if not given.")
    ] = None,
    factor: o.LatencyFactor = 10.0,
    prefill: o.Prefill = 0.0,
    markdown: Annotated[bool, typer.Option("--markdown", help="The table for a paper.")] = False,
    json: Annotated[bool, typer.Option("--json", help="The numbers as JSON.")] = False,
) -> None:
    """Show accuracy against tokens, seconds and FLOPs, one curve a strategy with the Pareto front marked; or, with
    --by, --length and --confidence, where more compute helps and how far the votes can be trusted.

    Runs of infty-think show their sawtooth and their costs beside one long chain, runs of sleep-time when notes pay."""
    from tts.report.build import Wanted, build
    from tts.report.curves import AXES, read_result

    if verified:
        if by or bins or length or confidence or markdown or png or html:
            raise InputError(
                "--verified stands alone, or with --json", "leave the others out, or ask for them in a second report"
            )
        return _verified(runs, json)
    wanted = Wanted(by is not None, length, confidence, bins, factor, prefill)
    if bins and not (by or length or html):
        raise InputError("--bins belongs to --by difficulty, --length or --html", "add one of them")
    if json and markdown:
        raise InputError("--json and --markdown both write to stdout", "give one of them")
    for path in (png, html):
        if path is not None and path.is_dir():
            raise InputError(f"{path} is a folder", "name a file in it")
    if markdown:
        from tts.report.summary import markdown as table

        console.say(table([read_result(run) for run in runs]))
    sections, plain = build(runs, wanted)
    if json:
        console.say_json(plain)
    elif not (markdown or png or html):
        for section in sections:
            console.section(section, list(AXES).index(against) if section.by_axis else None)
    if png:
        from tts.report.png import write_png

        write_png(sections, png)
        console.note(f"wrote {png}")
    if html:
        from tts.report.html import write_html

        with console.waiting("writing the page …"):
            size = write_html(runs, html, wanted, html_samples)
        console.note(f"wrote {html}, {size / 1e6:.1f} MB")
        if size > LARGE:
            console.note(f"{html} is large: --html-samples 8 keeps eight samples of each problem, and says so")
    return None


def _verified(runs: list[Path], as_json: bool) -> None:
    from dataclasses import asdict

    from tts.verified import section, verified

    found = verified(runs)
    if as_json:
        return console.say_json({**found, "problems": [asdict(t) for t in found["problems"]]})
    return console.section(section(found), 0)
