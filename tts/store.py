"""A run directory: created, locked, resumed, and written so that whatever is finished stays."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from tts.errors import RunDirectoryError, StorageFailed
from tts.writing import lock, make_folder

GROWING = ("n", "limit", "repeats")
"""Parts of a configuration that a resumed run may raise."""


class RunDirectory:
    """An open run: the manifest, the records so far, and the right to write them.

    Raises:
        RunDirectoryError: it exists and `resume` is False; another process holds it; it belongs to another
            configuration, whose differing fields are named.
        StorageFailed: it cannot be written.
    """

    def __init__(self, path: Path, identity: Mapping[str, Any], growing: Mapping[str, Any], *, resume: bool) -> None:
        self.path = path
        if is_run(path) and not resume:
            raise RunDirectoryError(f"{path} is there already", "--resume goes on with it; or give another --output")
        if path.exists() and not path.is_dir():
            raise RunDirectoryError(f"{path} is a file, not a run directory", "another --output")
        if path.is_dir() and not (path / "manifest.json").exists() and (others := _strangers(path)):
            raise RunDirectoryError(f"{path} is no run directory, and not empty: {min(others)}", "another --output")
        make_folder(path / "logs")
        self._lock = lock(path)
        self._records: IO[bytes] | None = None
        self.manifest: dict[str, Any] = {}
        try:
            self._open(identity, growing)
        except BaseException:
            self.close()
            raise

    def _open(self, identity: Mapping[str, Any], growing: Mapping[str, Any]) -> None:
        self.manifest = read_json(self.path / "manifest.json") if (self.path / "manifest.json").exists() else {}
        self.resumed = bool(self.manifest)
        stale = False
        if self.resumed:
            _refuse_other(self.path, self.manifest.get("identity", {}), identity)
            before = self.manifest.get("growing", {})
            _refuse_shrinking(self.path, before, growing)
            stale = before.get("n") != growing.get("n")
        self.done: set[tuple[str, int]] = set()
        records = self.path / "records.jsonl"
        self.last_written = records.stat().st_mtime if records.exists() else None
        self._kept, self._dropped = self._finished(discard=stale)

    def begin(self) -> None:
        """Start writing: drop the records that will be made again. Only once the engine is up, lest they be lost."""
        if self._dropped:
            self._replace("records.jsonl", b"".join(self._kept))
        self._kept = []
        self._records = self._append_to("records.jsonl")

    def _finished(self, *, discard: bool) -> tuple[list[bytes], int]:
        """The lines that stay, and how many must be made again: a half-written one, errors, those of another n."""
        path = self.path / "records.jsonl"
        kept: list[bytes] = []
        dropped = 0
        if not path.exists():
            return kept, dropped
        with path.open("rb") as lines:
            for line in lines:
                try:
                    record = json.loads(line)
                    stays = line.endswith(b"\n") and record["status"] != "error" and not discard
                    stays = stays and record.get("begun", True)
                    key = (record["problem_id"], record["attempt"])
                except (ValueError, KeyError, TypeError):
                    stays, key = False, ("", 0)
                if stays and key not in self.done:
                    self.done.add(key)
                    kept.append(line)
                else:
                    dropped += 1
        return kept, dropped

    def record(self, record: Mapping[str, Any]) -> None:
        """Append one finished problem."""
        assert self._records is not None
        line = _line(record)
        start = self._records.tell()
        try:
            self._records.write(line)
            self._records.flush()
        except OSError as error:
            with contextlib.suppress(OSError):
                self._records.truncate(start)
            raise _failed(self.path / "records.jsonl", error) from error
        self.done.add((record["problem_id"], record["attempt"]))

    def write_manifest(self, **changes: Any) -> None:
        """Merge `changes` into the manifest, atomically."""
        self.manifest |= changes
        self._replace("manifest.json", pretty(self.manifest))

    def write_results(self, results: Mapping[str, Any]) -> None:
        """results.json, atomically."""
        self._replace("results.json", pretty(results))

    def _replace(self, name: str, data: bytes) -> None:
        replace_file(self.path / name, data)

    def _append_to(self, name: str) -> IO[bytes]:
        try:
            return (self.path / name).open("ab")
        except OSError as error:
            raise _failed(self.path / name, error) from error

    def forget(self) -> None:
        """Unmake a run that never began (its engine did not start), all but its logs; nothing where it has begun."""
        if not self.resumed and not (self.path / "journal.sqlite").exists():
            self.close()
            for name in ("manifest.json", "records.jsonl", ".lock"):
                (self.path / name).unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the directory. Safe to call twice."""
        if self._records is not None:
            with contextlib.suppress(OSError):
                self._records.close()
        self._lock.release()


def replace_file(target: Path, data: bytes) -> None:
    """Write a file: complete, or as it was.

    Raises:
        StorageFailed: it cannot be written.
    """
    temporary = target.with_name(f".{target.name}.tmp")
    try:
        with temporary.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise _failed(target, error) from error


@contextlib.contextmanager
def rewriting(path: Path) -> Iterator[Callable[[list[dict[str, Any]]], None]]:
    """Hold a finished run's directory while its records are amended; yields what replaces them, atomically.

    Raises:
        RunDirectoryError: no such run, or another process holds it.
        StorageFailed: it cannot be written.
    """
    read_manifest(path)
    holding = lock(path)
    try:
        yield lambda records: replace_file(path / "records.jsonl", b"".join(map(_line, records)))
    finally:
        holding.release()


def _strangers(path: Path) -> list[str]:
    """What is in a folder and not what a run that was killed at once leaves there."""
    ours = ("logs", "records.jsonl", "journal.sqlite")
    return [p.name for p in path.iterdir() if not p.name.startswith((".", *ours))]


def is_run(path: Path) -> bool:
    """Whether something is there that a new run must not write over: anything but an empty folder, or its logs."""
    return path.exists() and (not path.is_dir() or any(entry.name != "logs" for entry in path.iterdir()))


def read_manifest(run: Path) -> dict[str, Any]:
    """A run's manifest.

    Raises:
        RunDirectoryError: missing, or damaged.
    """
    manifest = read_json(run / "manifest.json")
    if not isinstance(manifest.get("identity"), dict) or "run_id" not in manifest:
        raise RunDirectoryError(
            f"{run / 'manifest.json'} is damaged: it does not name the run",
            "`tts eval` again; its journal.sqlite serves --reuse",
        )
    return manifest


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a run directory.

    Raises:
        RunDirectoryError: missing, or not JSON.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise RunDirectoryError(
            f"{path.parent} is not a run directory: no {path.name}", "`tts eval --output DIR` makes one"
        ) from error
    except ValueError as error:
        raise RunDirectoryError(
            f"{path} is damaged: {error}", "make the run again; its journal.sqlite serves --reuse"
        ) from error
    if not isinstance(data, dict):
        raise RunDirectoryError(f"{path} is damaged: an object is expected", "make the run again")
    return data


_MENDS = "the command that made the run mends it, with --resume"


def read_records(run: Path) -> Iterator[dict[str, Any]]:
    """The records of a run, one at a time; a last line that is still being written is left out.

    Raises:
        RunDirectoryError: no such run, or a damaged line in the middle.
    """
    path = run / "records.jsonl"
    if not path.is_file():
        hint = "`tts eval --output DIR` makes one"
        raise RunDirectoryError(f"{run} is not a run directory: no records.jsonl", hint)
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                record = json.loads(line)
            except ValueError as error:
                if not line.endswith(b"\n"):
                    return
                raise RunDirectoryError(f"{path}:{number} is damaged: {error}", _MENDS) from error
            if not isinstance(record, dict) or "solution" not in record:
                raise RunDirectoryError(f"{path}:{number} is no record of a problem", _MENDS)
            yield record


def _refuse_other(path: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    now = json.loads(json.dumps(now))
    if differing := list(_differing(before, now)):
        said = "; ".join(f"{k}: {_short(there)} there, {_short(here)} here" for k, there, here in differing)
        raise RunDirectoryError(f"{path} belongs to another configuration: {said}", "give another --output")


def _differing(there: Mapping[str, Any], here: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, Any, Any]]:
    """(name, value, value) of what is not the same; of parts that have parts, of those alone that differ."""
    for name in sorted(there.keys() | here.keys()):
        a, b = there.get(name), here.get(name)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            yield from _differing(a, b, f"{within}{name}.")
        elif a != b:
            yield f"{within}{name}", a, b


def _refuse_shrinking(path: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    for name in ("n", "repeats"):
        if name in before and now.get(name, 0) < before[name]:
            raise RunDirectoryError(
                f"{path} has {name}={before[name]}: it may grow, not shrink to {now.get(name)}",
                "give another --output",
            )


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 200 else text[:199] + "…"


def _line(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode(errors="replace") + b"\n"


def pretty(data: Mapping[str, Any]) -> bytes:
    return json.dumps(data, indent=2, ensure_ascii=False).encode() + b"\n"


def _failed(path: Path, error: OSError) -> StorageFailed:
    return StorageFailed(f"cannot write {path}: {error.strerror or error}", "free some space; what is finished is kept")
