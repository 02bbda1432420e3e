"""Files of problems as rows, each with its line number, so that whatever is wrong can be named."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tts.errors import DataError

FILE_SUFFIXES = (".jsonl", ".ndjson", ".csv", ".parquet")


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes: the revision of a local dataset.

    Raises:
        DataError: there is no such file, or it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError as error:
        raise DataError(f"no such file: {path}", "a path from here: .jsonl, .csv or .parquet") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}", "a file that you may read") from error


def read_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number, row) of a JSONL, CSV or Parquet file.

    Raises:
        DataError: missing, empty, a folder, not text, or a malformed line, named by its number.
    """
    if not path.exists():
        raise DataError(f"no such file: {path}", "a path from here: .jsonl, .csv or .parquet")
    if path.is_dir():
        raise DataError(f"{path} is a folder, not a file of problems", "name a file in it")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty", "a row for each problem: a question and an answer")
    reader = {".csv": _csv_rows, ".parquet": _parquet_rows}.get(path.suffix, _json_rows)
    try:
        yield from reader(path)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not UTF-8 text: {error.reason} at byte {error.start}", "iconv -t utf-8 converts it"
        ) from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}", "a file that you may read") from error


def _json_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                cut = "" if line.endswith("\n") else "; the line has no end, so the file may be half-written"
                raise DataError(
                    f"{path}:{number}: not JSON: {error.msg} at column {error.colno}{cut}",
                    "a JSON object in each line; a list of objects is not JSONL",
                ) from error
            except ValueError as error:  # a number of thousands of digits
                raise DataError(f"{path}:{number}: {str(error).partition(';')[0]}", "write it as a text") from error
            if not isinstance(row, dict):
                raise DataError(
                    f"{path}:{number}: a JSON object is expected, found {type(row).__name__}",
                    'a line for each problem: {"question": …, "answer": …}',
                )
            yield number, row


def _csv_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.DictReader(lines, strict=True)
        try:
            for row in reader:
                if None in row or None in row.values():
                    raise DataError(
                        f"{path}:{reader.line_num}: the header has {len(reader.fieldnames or ())} columns, "
                        "this row has another number",
                        "quotes around a text that holds commas",
                    )
                yield reader.line_num, row
        except csv.Error as error:
            raise DataError(f"{path}:{reader.line_num}: {error}", "mend that line") from error


def _parquet_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.ParquetFile(path)
    except pyarrow.ArrowInvalid as error:
        raise DataError(
            f"{path} is not a Parquet file: {error}", "its suffix says what it is: .jsonl, .csv or .parquet"
        ) from error
    number = 0
    for batch in table.iter_batches():
        for row in batch.to_pylist():
            number += 1
            yield number, row
