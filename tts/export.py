"""Tables of a run as CSV, JSONL or Parquet, a row at a time."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, Any, Literal

import filelock

from tts.errors import InputError
from tts.results import COLUMNS, current, result_rows
from tts.store import read_manifest, read_records
from tts.writing import whole

Table = Literal["results", "problems", "samples"]
Format = Literal["csv", "jsonl", "parquet"]

USAGE = (
    *("prompt_tokens", "cached_tokens", "generated_tokens", "wasted_tokens", "verifier_tokens"),
    *("flops", "seconds", "calls", "queue_seconds", "unaccounted_calls"),
)
METADATA = ("level", "subject", "cluster")
PROBLEMS = ("run_id", "problem_id", "attempt", "status", "answer", "target", "correct", "candidates", *USAGE, *METADATA)
SAMPLES = (
    *("run_id", "problem_id", "attempt", "index", "answer", "correct", "score", "finish"),
    *("generated_tokens", "logprob_mean", "seed", "class", "scores", "text"),
)
TABLES: Mapping[Table, Sequence[str]] = {"results": COLUMNS, "problems": PROBLEMS, "samples": SAMPLES}
_PARQUET_ROWS = 10_000


def rows(run: Path, table: Table) -> Iterator[dict[str, Any]]:
    """The rows of a table, in the order of its columns, streamed from the records.

    Raises:
        RunDirectoryError: not a run directory, or a damaged one.
    """
    match table:
        case "results":
            yield from result_rows(read_manifest(run), current(run))
        case "problems":
            for record in read_records(run):
                yield _problem(record)
        case "samples":
            for record in read_records(run):
                yield from _samples(record)


def _problem(record: Mapping[str, Any]) -> dict[str, Any]:
    solution, grade = record["solution"], record["grade"]
    metadata = record.get("metadata") or {}
    values = {
        **record,
        **record["usage"],
        **{name: _text(metadata.get(name)) for name in METADATA},
        "answer": solution["answer"],
        "target": grade["target"],
        "correct": grade["correct"],
        "candidates": len(solution["candidates"]),
    }
    return {column: values[column] for column in PROBLEMS}


def _text(value: object) -> str | None:
    """What a benchmark says of a problem, as one text: levels are numbers in one benchmark and words in another."""
    if isinstance(value, list):
        return "; ".join(map(str, value))
    return None if value is None else str(value)


def _samples(record: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    shared = {name: record[name] for name in ("run_id", "problem_id", "attempt")}
    for index, candidate in enumerate(record["solution"]["candidates"]):
        numbers = {name: s for name, s in candidate["scores"].items() if isinstance(s, int | float)}
        scores = json.dumps(numbers, ensure_ascii=False) if numbers else None
        first = next(iter(numbers.values()), None)
        values = {**shared, **candidate, "index": index, "score": first, "scores": scores}
        yield {column: values.get(column) for column in SAMPLES}


def write_table(table: Iterable[Mapping[str, Any]], name: Table, form: Format, path: Path) -> None:
    """Write a table to a file: complete, or not there at all.

    Raises:
        InputError: it cannot be written.
    """
    if form == "parquet":
        with whole(path, "wb") as binary:
            write_parquet(table, TABLES[name], binary)
    else:
        with whole(path) as text:
            write_text(table, name, form, text)


def write_text(table: Iterable[Mapping[str, Any]], name: Table, form: Format, out: IO[str]) -> None:
    """Write a table as CSV or JSONL to an open stream."""
    if form == "csv":
        write_csv(table, TABLES[name], out)
    else:
        write_jsonl(table, out)


def merge_results(run: Path, target: Path) -> None:
    """Put a run's result rows into a CSV shared by many runs: its own old rows go, the others' stay.

    Raises:
        InputError: the file is there and is not such a table, or cannot be written.
    """
    fresh = list(rows(run, "results"))
    with filelock.FileLock(target.with_name(f".{target.name}.lock")):
        kept = [row for row in shared_rows(target) if row["run_id"] != fresh[0]["run_id"]]
        write_table([*kept, *fresh], "results", "csv", target)


def shared_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a results CSV, none when there is no such file.

    Raises:
        InputError: it has other columns, or cannot be read.
    """
    if not path.exists():
        return []
    if not path.is_file():
        raise InputError(f"{path} is no file that rows could be added to", "--csv FILE, or --csv - for stdout")
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream)
            if reader.fieldnames is not None and tuple(reader.fieldnames) != COLUMNS:
                raise InputError(
                    f"{path} is there and is not a results table", "--csv takes a new file, or one of ours"
                )
            return list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"cannot read {path}: {error}", "another file, or mend this one") from error


def write_csv(table: Iterable[Mapping[str, Any]], columns: Sequence[str], out: IO[str]) -> None:
    """Comma-separated values with a header; None is an empty field, True and False are spelled so."""
    writer = csv.DictWriter(_Lines(out), columns, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(table)


class _Lines:
    """Ends lines with "\\n" where the writer says "\\r\\n", which makes it quote a text with either of the two: a bare
    "\\r" would end the row where pandas reads it.
    """

    def __init__(self, out: IO[str]) -> None:
        self._out = out

    def write(self, row: str) -> None:
        self._out.write(row.removesuffix("\r\n") + "\n")


def write_jsonl(table: Iterable[Mapping[str, Any]], out: IO[str]) -> None:
    """One JSON object a line."""
    for row in table:
        out.write(json.dumps(row, ensure_ascii=False) + "\n")


def write_parquet(table: Iterable[Mapping[str, Any]], columns: Sequence[str], out: IO[bytes]) -> None:
    """Parquet with one row group per ten thousand rows; types are the contract's, so that all-null columns have one."""
    import pyarrow
    import pyarrow.parquet

    schema = pyarrow.schema([(column, _arrow_type(column)) for column in columns])
    stream = iter(table)
    with pyarrow.parquet.ParquetWriter(out, schema) as writer:
        while chunk := list(islice(stream, _PARQUET_ROWS)):
            writer.write_table(pyarrow.Table.from_pylist([dict(row) for row in chunk], schema))


_INTEGERS = {
    *("n", "problems", "truncated", "no_answer", "errors", "seed", "attempt", "index", "candidates", "calls", "class"),
    *("prompt_tokens", "cached_tokens", "generated_tokens", "wasted_tokens", "verifier_tokens", "unaccounted_calls"),
}
_FLOATS = {
    *("value", "stderr", "ci_low", "ci_high", "tokens_per_problem", "flops", "seconds", "queue_seconds"),
    *("score", "logprob_mean"),
}


def _arrow_type(column: str) -> Any:
    import pyarrow

    if column in _INTEGERS:
        return pyarrow.int64()
    if column in _FLOATS:
        return pyarrow.float64()
    return pyarrow.bool_() if column == "correct" else pyarrow.string()
