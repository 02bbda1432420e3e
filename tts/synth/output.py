"""Rows on disk as they are made, so that a job can be killed and go on.

`rows.jsonl` holds the rows, `cases.jsonl` a line a finished case with where its rows end. A case whose line is not
there is made again; what a kill has left behind of its rows is cut off.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tts.errors import RunDirectoryError, StorageFailed
from tts.writing import lock, make_folder

KEPT = "kept"


class Output:
    """An open folder of rows. Memory holds the ids of finished cases, never rows.

    Raises:
        RunDirectoryError: it is there and `resume` is False, another process writes it, or it belongs to another job.
        StorageFailed: from any method, when it cannot be written.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any], *, resume: bool) -> None:
        self.folder = folder
        self.rows = folder / "rows.jsonl"
        self.fates: Counter[str] = Counter()
        self.histogram: Counter[int] = Counter()
        self.done: set[str] = set()
        if folder.exists() and not folder.is_dir():
            raise RunDirectoryError(f"{folder} is a file, not a folder", "another --output")
        if not resume and folder.exists() and any(map(_is_content, folder.iterdir())):
            raise RunDirectoryError(f"{folder} is there already", "--resume goes on with it; or give another --output")
        make_folder(folder)
        self._lock = lock(folder)
        try:
            self._claim(json.loads(json.dumps(identity)), resume=resume)
            end = self._read_cases()
            self._rows = self.rows.open("ab")
            self._rows.truncate(end)
            self._rows.seek(0, os.SEEK_END)
            self._cases = (folder / "cases.jsonl").open("ab")
        except OSError as error:
            raise _failed(folder, error) from error
        except BaseException:
            self._lock.release()
            raise

    def _claim(self, identity: dict[str, Any], *, resume: bool) -> None:
        path = self.folder / "manifest.json"
        if not path.exists() or not resume:
            path.write_text(json.dumps(identity, indent=2) + "\n")
            return
        try:
            before = json.loads(path.read_text())
        except ValueError as error:
            raise RunDirectoryError(f"{path} is damaged: {error}", "begin anew in another --output") from error
        differing = sorted(k for k in before.keys() | identity.keys() if before.get(k) != identity.get(k))
        if differing:
            said = "; ".join(f"{k}: {before.get(k)} there, {identity.get(k)} here" for k in differing)
            raise RunDirectoryError(f"{self.folder} belongs to another job: {said}", "give another --output")

    def _read_cases(self) -> int:
        """Take note of finished cases; returns where their rows end. A half-written last line is cut off."""
        path, end, good = self.folder / "cases.jsonl", 0, 0
        if not path.exists():
            return 0
        with path.open("rb") as lines:
            for line in lines:
                if not line.endswith(b"\n"):
                    break
                case = json.loads(line)
                self._note(case["case"], case["fate"], case["rows"])
                end, good = case["end"], good + len(line)
        os.truncate(path, good)
        return end

    def _note(self, case: str, fate: str, rows: int) -> None:
        self.done.add(case)
        self.fates[fate] += 1
        if fate == KEPT:
            self.histogram[rows] += 1

    def add(self, case: str, fate: str, rows: Sequence[Mapping[str, Any]] = ()) -> None:
        """A finished case: its rows, or why it has none."""
        try:
            self._rows.write(
                b"".join(json.dumps(row, ensure_ascii=False).encode(errors="replace") + b"\n" for row in rows)
            )
            self._rows.flush()
            line = {"case": case, "fate": fate, "rows": len(rows), "end": self._rows.tell()}
            self._cases.write(json.dumps(line).encode() + b"\n")
            self._cases.flush()
        except OSError as error:
            raise _failed(self.folder, error) from error
        self._note(case, fate, len(rows))

    def write_counts(self, counts: Mapping[str, Any]) -> None:
        (self.folder / "counts.json").write_text(json.dumps(counts, indent=2) + "\n")

    def write_parquet(self, chunk: int = 1000) -> Path:
        """The rows as rows.parquet, a chunk at a time."""
        import pyarrow
        import pyarrow.parquet

        text, whole = pyarrow.string(), pyarrow.int64()
        messages = pyarrow.list_(pyarrow.struct([("role", text), ("content", text)]))
        names = (("id", text), ("case", text), ("round", whole), ("rounds", whole), ("question", text))
        more = tuple((name, text) for name in ("history", "segment", "summary", "conclusion"))
        spans = pyarrow.list_(pyarrow.list_(whole))
        schema = pyarrow.schema([*names, *more, ("messages", messages), ("loss_spans", spans)])
        path = self.folder / "rows.parquet"
        with self.rows.open("rb") as lines, pyarrow.parquet.ParquetWriter(path, schema) as writer:
            while batch := [json.loads(line) for line in islice(lines, chunk)]:
                writer.write_table(pyarrow.Table.from_pylist(batch, schema=schema))
        return path

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._rows.close()
        self._cases.close()
        self._lock.release()


def _is_content(path: Path) -> bool:
    """Whether there is more than a job leaves that never began, its engine having failed to start."""
    if path.name in ("rows.jsonl", "cases.jsonl"):
        return path.stat().st_size > 0
    return path.name not in ("logs", "manifest.json", "counts.json", ".lock")


def _failed(path: Path, error: OSError) -> StorageFailed:
    return StorageFailed(f"cannot write in {path}: {error.strerror or error}", "free some space; what is there is kept")
