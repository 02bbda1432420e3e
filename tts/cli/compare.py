"""`tts compare`: is one run better than another, on the same questions?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tts import console


def compare(
    runs: Annotated[
        list[Path], typer.Argument(help="Run directories, in pairs: A B, then C D …", metavar="RUN_A RUN_B")
    ],
    metric: Annotated[
        str, typer.Option("--metric", help="accuracy, tokens, avg@K, pass@K, maj@K, best@K:SCORE or weighted@K:SCORE.")
    ] = "accuracy",
    json: Annotated[bool, typer.Option("--json", help="The comparisons as JSON.")] = False,
) -> None:
    """Compare runs in pairs over the questions they share: the difference with its interval, a test, and the smallest
    difference that so many questions can show. Several pairs are adjusted for their number (Holm)."""
    from tts.report.compare import as_json, compare_all, lines

    with console.waiting("reading the runs …"):
        found, adjusted = compare_all(runs, metric)
    if json:
        return console.say_json(as_json(found, adjusted))
    for i, c in enumerate(found):
        if i:
            console.say("")
        console.say(f"{c.benchmark}: A = {c.a}, B = {c.b}")
        console.table(None, ("", ""), lines(c, adjusted[i] if adjusted else None, len(found)))
    return None
