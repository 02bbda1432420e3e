"""`tts report`: accuracy against compute, in the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tts import console


def report(
    runs: Annotated[list[Path], typer.Argument(help="Run directories.", metavar="RUN…")],
    json: Annotated[bool, typer.Option("--json", help="The curves as JSON.")] = False,
) -> None:
    """Show what each way of choosing among k samples gains, and the tokens it takes: a table and a plot a run."""
    from dataclasses import asdict

    from tts.curves import curves
    from tts.results import current

    found = {str(run): curves(current(run)) for run in runs}
    if json:
        content = {run: {name: [asdict(p) for p in ps] for name, ps in c.items()} for run, c in found.items()}
        return console.say_json(content)
    for run, lines in found.items():
        rows = [
            (name, p.k, f"{p.tokens:,.0f}", f"{100 * p.value:.1f} %", f"[{100 * p.low:.1f}, {100 * p.high:.1f}]")
            for name, points in lines.items()
            for p in points
        ]
        console.table(run, ("choice", "k", "tokens a problem", "accuracy", "95 % interval"), rows)
        console.plot({name: [(p.tokens, 100 * p.value) for p in points] for name, points in lines.items()})
    return None
