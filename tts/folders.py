"""Folders that jobs write in: made, and held by one process at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import filelock

from tts.errors import RunDirectoryError


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
