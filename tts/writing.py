"""Files that are written whole or not at all, and folders that one process at a time writes in."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Literal

import filelock

from tts.errors import InputError, RunDirectoryError


@contextlib.contextmanager
def whole(path: Path, mode: Literal["w", "wb"] = "w") -> Iterator[IO[Any]]:
    """A stream into a file that the user named: complete in the end, or as it was. A link stays a link; what is no file
    (a device, a pipe) is written to as it stands, for a renamed file would take its place.

    Raises:
        InputError: it cannot be written.
    """
    plain = path.is_file() or not path.exists()
    target = path.resolve() if plain else path
    written = target.with_name(f".{target.name}.{os.getpid()}.tmp") if plain else target
    text: dict[str, Any] = {} if mode == "wb" else {"encoding": "utf-8", "newline": ""}
    try:
        with written.open(mode, **text) as stream:
            yield stream
        if plain:
            written.replace(target)
    except OSError as error:
        raise InputError(
            f"cannot write {path}: {error.strerror or error}", "another file, in a folder that you may write"
        ) from error
    finally:
        if plain:
            with contextlib.suppress(OSError):
                written.unlink()


def write_whole(path: Path, text: str) -> None:
    """Write a text into a file that the user named.

    Raises:
        InputError: it cannot be written.
    """
    with whole(path) as stream:
        stream.write(text)


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Make a folder for a job's work, and hold it.

    Raises:
        RunDirectoryError: it cannot be made or written, or another process holds it.
    """
    make_folder(folder)
    holding = lock(folder)
    try:
        yield
    finally:
        holding.release()


def make_folder(path: Path) -> None:
    """A folder, with those above it.

    Raises:
        RunDirectoryError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunDirectoryError(
            f"cannot create {path}: {error.strerror}", "another --output, in a folder that you may write"
        ) from error


def lock(folder: Path) -> filelock.BaseFileLock:
    """The operating system's lock on a folder, taken: it goes with its process, however that ends.

    Raises:
        RunDirectoryError: another process has it, or the folder cannot be written.
    """
    taken = filelock.FileLock(folder / ".lock")
    try:
        taken.acquire(timeout=0)
    except filelock.Timeout as error:
        raise RunDirectoryError(f"another process is writing {folder}", "wait for it, or stop it") from error
    except OSError as error:
        raise RunDirectoryError(
            f"cannot write in {folder}: {error.strerror}", "a copy of it can be written, or ask its owner"
        ) from error
    return taken
