"""`tts export`: a run's tables for other programs."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tts.errors import InputError


class FormatName(StrEnum):
    csv = "csv"
    jsonl = "jsonl"
    parquet = "parquet"


class TableName(StrEnum):
    results = "results"
    problems = "problems"
    samples = "samples"


def export(
    run: Annotated[Path, typer.Argument(help="A run directory.", metavar="RUN")],
    format: Annotated[FormatName, typer.Option("--format", help="csv, jsonl or parquet.")] = FormatName.csv,  # noqa: A002
    table: Annotated[TableName, typer.Option("--table", help="results, problems or samples.")] = TableName.results,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file; stdout if not given.", metavar="FILE")
    ] = None,
) -> None:
    """Write a run's results (a row a metric), problems (a row a problem) or samples (a row a candidate)."""
    from tts.export import rows, write_table, write_text

    content = rows(run, table.value)
    if output is not None and str(output) != "-":
        write_table(content, table.value, format.value, output)
    elif format is FormatName.parquet:
        raise InputError("Parquet is binary: it needs -o FILE")
    else:
        write_text(content, table.value, format.value, sys.stdout)
