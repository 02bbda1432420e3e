"""`tts export`: a run's tables for other programs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from tts.errors import InputError


def export(
    runs: Annotated[list[Path], typer.Argument(help="Run directories; their rows follow one another.", metavar="RUN")],
    format: Annotated[
        Literal["csv", "jsonl", "parquet"], typer.Option("--format", help="csv, jsonl or parquet.")
    ] = "csv",
    table: Annotated[
        Literal["results", "problems", "samples"], typer.Option("--table", help="results, problems or samples.")
    ] = "results",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file; stdout if not given.", metavar="FILE")
    ] = None,
) -> None:
    """Write results (a row a metric), problems (a row a problem) or samples (a row a candidate) of runs."""
    from tts.export import rows, write_table, write_text

    for run in runs:  # one that is no run is told before the others' rows are written
        next(rows(run, table), None)
    content = (row for run in runs for row in rows(run, table))
    if output is not None and str(output) != "-":
        write_table(content, table, format, output)
    elif format == "parquet":
        raise InputError("Parquet is binary: it needs a file", "-o FILE")
    else:
        write_text(content, table, format, sys.stdout)
