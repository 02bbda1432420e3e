"""Notes that were made of contexts before any question came, kept from run to run.

The store is one SQLite file. A note is found again by everything it depends on: context, model, prompts, sampling,
number of notes and of rethinks, seed.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from tts.errors import InputError, StorageFailed

_SCHEMA = """
CREATE TABLE IF NOT EXISTS notes (
  key TEXT PRIMARY KEY, context_hash TEXT, context TEXT, model TEXT, prompts TEXT, sampling TEXT,
  notes INTEGER, rethinks INTEGER, seed INTEGER,
  text TEXT, calls INTEGER, prompt_tokens INTEGER, generated_tokens INTEGER, truncated INTEGER, seconds REAL,
  made TEXT);
"""

_LATER = "the same command goes on, once there is space and no other process holds it"


@dataclass(frozen=True, slots=True)
class Recipe:
    """What notes depend on besides their context. `prompts` hashes the templates, `sampling` is JSON."""

    model: str
    prompts: str
    sampling: str
    notes: int
    rethinks: int
    seed: int

    def key(self, context: str) -> str:
        """The name of these notes of `context`."""
        return hashlib.sha256(json.dumps([context, *asdict(self).values()]).encode()).hexdigest()[:24]


@dataclass(frozen=True, slots=True)
class Notes:
    """What was written about a context, and what that cost. `truncated` passes ended at a token limit."""

    text: str
    calls: int = 0
    prompt_tokens: int = 0
    generated_tokens: int = 0
    truncated: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the store."""

    key: str
    context: str
    recipe: Recipe
    notes: Notes
    made: str


def context_hash(context: str) -> str:
    """The name of a context."""
    return hashlib.sha256(context.encode()).hexdigest()[:16]


def default_store() -> Path:
    """Where notes are kept if no other place is named: below `$TTS_HOME`, else the user's data folder."""
    if home := os.environ.get("TTS_HOME"):
        return Path(home).expanduser() / "notes.sqlite"
    import platformdirs

    return platformdirs.user_data_path("tts-reasoning") / "notes.sqlite"


class NotesStore:
    """The notes in one file; created with its folder where it does not exist.

    Raises:
        InputError: the file is no notes store, or cannot be opened.
        StorageFailed: from any method, when the file cannot be written or read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, isolation_level=None, timeout=30)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.executescript(_SCHEMA)
        except (sqlite3.Error, OSError) as error:
            raise InputError(f"cannot open the notes store {path}: {error}", "another --store") from error

    def get(self, key: str) -> Notes | None:
        """The notes under a key."""
        rows = self._rows("WHERE key = ?", key)
        entry = next(rows, None)
        return entry.notes if entry else None

    def put(self, recipe: Recipe, context: str, notes: Notes) -> None:
        """Keep notes, in place of any made by the same recipe."""
        made = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        row = (
            *(recipe.key(context), context_hash(context), context, *asdict(recipe).values()),
            *(*asdict(notes).values(), made),
        )
        try:
            self._db.execute(f"INSERT OR REPLACE INTO notes VALUES ({', '.join('?' * len(row))})", row)
        except sqlite3.Error as error:
            raise StorageFailed(f"cannot write the notes store {self.path}: {error}", _LATER) from error

    def entries(self, begin: str = "") -> list[Entry]:
        """All notes, oldest first, or those whose key or context's hash begins so."""
        where = "WHERE substr(key, 1, length(?1)) = ?1 OR substr(context_hash, 1, length(?1)) = ?1"
        return list(self._rows(where, begin))

    def remove(self, key: str) -> None:
        """Forget the notes under a key."""
        try:
            self._db.execute("DELETE FROM notes WHERE key = ?", (key,))
        except sqlite3.Error as error:
            raise StorageFailed(f"cannot write the notes store {self.path}: {error}", _LATER) from error

    def _rows(self, where: str, *values: str) -> Iterator[Entry]:
        query = (
            "SELECT key, context, model, prompts, sampling, notes, rethinks, seed, text, calls, prompt_tokens, "
            f"generated_tokens, truncated, seconds, made FROM notes {where} ORDER BY made, key"
        )
        try:
            rows = self._db.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise StorageFailed(f"cannot read the notes store {self.path}: {error}", _LATER) from error
        return (Entry(r[0], r[1], Recipe(*r[2:8]), Notes(*r[8:14]), r[14]) for r in rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()
