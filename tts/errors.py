"""What can go wrong, named by the boundary it crossed. `exit_code` is what the process ends with."""

from __future__ import annotations


class TTSError(Exception):
    """A failure that a person can act on: one line, and a hint when there is a way out."""

    exit_code = 1

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class InputError(TTSError):
    """The user's files, options or model name are at fault."""

    exit_code = 2


class CatalogError(InputError):
    """A card or template is missing or malformed."""


class DataError(InputError):
    """A dataset file cannot be read as problems; the message names the line."""


class RunDirectoryError(InputError):
    """A run directory is in use, already there, or belongs to another configuration."""


class EngineUnavailable(InputError):
    """The engine cannot start: not installed, no such model, not enough memory, server down."""


class RequestError(TTSError):
    """One request failed and the engine is alive; the problem that made it gets status `error`."""


class NotBegun(RequestError):
    """The run's time was up before the problem's own calls; it gets the record of one that was never begun."""


class RunStopped(TTSError):
    """The run cannot go on; everything finished is kept and `--resume` continues it."""

    exit_code = 3


class EngineDead(RunStopped):
    """The engine died in mid-run."""


class StorageFailed(RunStopped):
    """The run directory cannot be written (disk full, permissions, removed)."""
