"""The request journal: every finished engine call, under a hash of what was asked.

A strategy that runs again after `kill -9` meets its own calls here and goes on where it stopped. Calls are
committed together, once per turn of the event loop, before their completion is handed to the strategy; so
nothing that a strategy has seen can be lost. SQLite in write-ahead mode survives the death of the process.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
import struct
import zlib
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from tts.errors import StorageFailed
from tts.types import Completion, Message, Problem, Prompt, Sampling, StepScores, Usage

# Keys are hashes. Rows are kept as they come, and not by key, where every one would go to a page of its own.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS calls (key BLOB PRIMARY KEY, elapsed REAL, data BLOB);
CREATE TABLE IF NOT EXISTS started (key BLOB PRIMARY KEY, problem TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS aborted (
  problem TEXT, prompt_tokens INTEGER, cached_tokens INTEGER, generated_tokens INTEGER, queue_seconds REAL);
CREATE TABLE IF NOT EXISTS scores (key BLOB PRIMARY KEY, elapsed REAL, data TEXT);
CREATE TABLE IF NOT EXISTS notes (context TEXT PRIMARY KEY, problem TEXT, data TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS unaccounted (problem TEXT PRIMARY KEY, calls INTEGER);
"""

COMPRESSED = 512
"""Bytes from which a completion is compressed."""
STORED = b"\x78\x01\x01"
"""How a zlib stream (RFC 1950) begins that is one block of bytes as they are (RFC 1951, section 3.2.4)."""
_EMPTY = Completion("", "stop")


class Entry(NamedTuple):
    """A finished call, and the problem's clock (seconds since it began) when it finished."""

    completion: Completion
    elapsed: float


def prompt_digest(prompt: Prompt) -> bytes:
    """What a key needs of a prompt; its token ids where there are any."""
    data = array("I", prompt.token_ids).tobytes() if prompt.token_ids else prompt.text.encode()
    return hashlib.sha256(data).digest()


def call_key(engine_kind: str, model: str, prompt: bytes, sampling: Sampling, seed: int) -> bytes:
    """The key of a call: the sampling as it was asked for, before any budget clamped it."""
    asked = _asked(engine_kind, model, *_plain(sampling).values())
    return hashlib.sha256(f"{asked}, {seed}]".encode() + prompt).digest()


@lru_cache(maxsize=4096, typed=True)  # 1 and 1.0 are spelled differently
def _asked(engine_kind: str, model: str, *sampling: Any) -> str:
    """The part of a key before the seed, an unclosed list in JSON; `sampling` is the values of its fields."""
    plain = dict(zip(Sampling.__slots__, sampling, strict=True))
    if plain["thinking_tokens"] is None:  # journals from before there was one stay good
        del plain["thinking_tokens"]
    return json.dumps([engine_kind, model, plain], sort_keys=True)[:-1]


def score_key(verifier: str, problem: Problem, prompt: Prompt, text: str) -> bytes:
    """The key of a scoring: the verifier's own key, and what a verifier reads: the question and the prompt as messages
    (its tokenizer is not the policy's), and the response.
    """
    read = _same(verifier, problem, prompt.messages or prompt.text).copy()
    read.update(f", {json.dumps(text)}]".encode())
    digest: bytes = read.digest()
    return digest


@lru_cache(maxsize=1024)
def _same(verifier: str, problem: Problem, asked: tuple[Message, ...] | str) -> Any:
    """A hash of what is the same for all responses to a prompt, an unclosed list in JSON."""
    turns = asked if isinstance(asked, str) else [[m.role, m.content] for m in asked]
    same = json.dumps([verifier, problem.question, problem.context, problem.choices, turns])[:-1]
    return hashlib.sha256(same.encode())


class Journal:
    """One run's journal, and read-only ones of other runs whose calls may be reused.

    Raises:
        StorageFailed: from any method, when the file cannot be written or read.
    """

    def __init__(self, path: Path | None, reuse: Sequence[Path] = ()) -> None:
        """`path` None keeps the journal in memory (`tts run`)."""
        try:
            self._db = sqlite3.connect(path or ":memory:", isolation_level=None)
            if path:
                self._db.execute("PRAGMA journal_mode=WAL")
                self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(_SCHEMA)
            self._account_for_killed_calls()
            keys = self._db.execute("SELECT key FROM calls UNION ALL SELECT key FROM scores")
            self._known: set[bytes] = {key for (key,) in keys}
            """Keys that may have a row in this run's journal: most look-ups are for what has never been asked."""
            self._others = [sqlite3.connect(f"{p.resolve().as_uri()}?mode=ro", uri=True) for p in reuse]
        except sqlite3.Error as error:
            raise _storage_failed(error) from error
        self._pending: list[tuple[str, tuple[Any, ...]]] = []
        self._committed: asyncio.Future[None] | None = None

    def _account_for_killed_calls(self) -> None:
        with self._db:
            self._db.execute("BEGIN")
            self._db.execute(
                "INSERT INTO unaccounted SELECT problem, count(*) FROM started GROUP BY problem "
                "ON CONFLICT (problem) DO UPDATE SET calls = calls + excluded.calls"
            )
            self._db.execute("DELETE FROM started")

    def lookup(self, key: bytes, within: float | None = None) -> Entry | None:
        """The finished call under `key`, from this run or one that is reused. Of the latter only what had finished
        `within` so many seconds of its problem's clock: later ones this run would not have waited for.
        """
        row = self._find("SELECT data, elapsed FROM calls WHERE key = ?", key, within)
        return Entry(_unpack(row[0]), row[1]) if row else None

    def lookup_score(self, key: bytes, within: float | None = None) -> tuple[StepScores, float] | None:
        """The scores under `key`, and the problem's clock when they came; from where, as `lookup`."""
        row = self._find("SELECT data, elapsed FROM scores WHERE key = ?", key, within)
        if row is None:
            return None
        values = json.loads(row[0])
        return StepScores(**{**values, "steps": tuple(values["steps"])}), row[1]

    def completions(self) -> Iterator[Completion]:
        """Every finished call of this run."""
        try:
            for (data,) in self._db.execute("SELECT data FROM calls"):
                yield _unpack(data)
        except sqlite3.Error as error:
            raise _storage_failed(error) from error

    def _find(self, query: str, key: bytes, within: float | None) -> Any:
        for db in (self._db, *self._others):
            if db is self._db and key not in self._known:
                continue
            try:
                row = db.execute(query, (key,)).fetchone()
            except sqlite3.OperationalError as error:
                if db is not self._db and "no such table" in str(error):
                    continue  # a journal of an older version has no scores
                raise _storage_failed(error) from error
            except sqlite3.Error as error:
                raise _storage_failed(error) from error
            if row and (db is self._db or within is None or row[1] <= within):
                return row
        return None

    def begin(self, key: bytes, problem: str) -> None:
        """Note that a call is in flight, so that one lost to a kill is at least counted."""
        self._write("INSERT OR REPLACE INTO started VALUES (?, ?)", (key, problem))

    async def finish(self, key: bytes, completion: Completion, elapsed: float) -> None:
        """Commit a finished call. When this returns, the call will never be made again."""
        self._known.add(key)
        self._write("DELETE FROM started WHERE key = ?", (key,))
        await self._write("INSERT OR REPLACE INTO calls VALUES (?, ?, ?)", (key, elapsed, _pack(completion)))

    async def scored(self, key: bytes, scores: StepScores, elapsed: float) -> None:
        """Commit a verifier's scores. When this returns, they will never be computed again."""
        self._known.add(key)
        await self._write("INSERT OR REPLACE INTO scores VALUES (?, ?, ?)", (key, elapsed, json.dumps(_plain(scores))))

    def lookup_notes(self, context: str) -> tuple[str, str] | None:
        """The problem that paid for the notes about a context in this run, and the notes."""
        try:
            row = self._db.execute("SELECT problem, data FROM notes WHERE context = ?", (context,)).fetchone()
        except sqlite3.Error as error:
            raise _storage_failed(error) from error
        return (row[0], row[1]) if row else None

    async def noted(self, context: str, problem: str, data: str) -> None:
        """Commit notes about a context, and which problem paid for them."""
        await self._write("INSERT OR REPLACE INTO notes VALUES (?, ?, ?)", (context, problem, data))

    async def give_up(self, key: bytes, problem: str, spent: Completion | None) -> None:
        """Commit that a call was aborted or failed: its tokens stay in the ledger, its text does not count."""
        if spent is not None and (spent.prompt_tokens or spent.generated_tokens):
            row = (
                problem,
                spent.prompt_tokens,
                spent.cached_tokens,
                spent.generated_tokens,
                spent.queue_seconds,
            )
            self._write("INSERT INTO aborted VALUES (?, ?, ?, ?, ?)", row)
        await self._write("DELETE FROM started WHERE key = ?", (key,))

    def lost(self, problem: str) -> Usage:
        """What earlier lives of this run spent on `problem` with nothing to show: aborted and killed calls."""
        usage = Usage()
        try:
            rows = self._db.execute(
                "SELECT prompt_tokens, cached_tokens, generated_tokens, queue_seconds FROM aborted WHERE problem = ?",
                (problem,),
            ).fetchall()
            killed = self._db.execute("SELECT calls FROM unaccounted WHERE problem = ?", (problem,)).fetchone()
        except sqlite3.Error as error:
            raise _storage_failed(error) from error
        for prompt, cached, generated, queued in rows:
            usage.add(Usage(prompt, cached, generated, generated, calls=1, queue_seconds=queued or 0.0))
        usage.unaccounted_calls = killed[0] if killed else 0
        return usage

    def _write(self, statement: str, row: tuple[Any, ...]) -> asyncio.Future[None]:
        """Queue a write for the commit at the end of this turn of the event loop."""
        self._pending.append((statement, row))
        if self._committed is None:
            loop = asyncio.get_running_loop()
            self._committed = loop.create_future()
            loop.call_soon(self._commit)
        return self._committed

    def _commit(self) -> None:
        waiting, self._committed = self._committed, None
        pending, self._pending = self._pending, []
        try:
            self._db.execute("BEGIN")
            for statement, row in pending:
                self._db.execute(statement, row)
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            if waiting is not None and not waiting.done():
                waiting.set_exception(_storage_failed(error))
                waiting.exception()  # begin() has nobody waiting; the next finish() fails again and is heard
        else:
            if waiting is not None and not waiting.done():
                waiting.set_result(None)

    def close(self) -> None:
        """Commit what is queued and close. Safe to call twice."""
        if self._pending:
            self._commit()
        for db in (self._db, *self._others):
            db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _storage_failed(error: sqlite3.Error) -> StorageFailed:
    return StorageFailed(f"cannot write the journal: {error}", "free some space or mend the permissions")


def _plain(value: Completion | StepScores | Sampling) -> dict[str, Any]:
    """Fields by name; `asdict` copies every list and tuple deeply."""
    return {name: getattr(value, name) for name in value.__slots__}


def _pack(completion: Completion) -> bytes:
    """What differs from an empty completion, as JSON in zlib's format; a step of some hundred bytes as it is, because
    making room for the compressor's tables takes longer than all else.
    """
    plain = {name: value for name, value in _plain(completion).items() if value != getattr(_EMPTY, name)}
    data = json.dumps(plain).encode()
    size = len(data)
    if size >= COMPRESSED:
        return zlib.compress(data, level=1)
    return struct.pack("<3sHH", STORED, size, size ^ 0xFFFF) + data + struct.pack(">I", zlib.adler32(data))


def _unpack(data: bytes) -> Completion:
    fields = json.loads(zlib.decompress(data))
    first = tuple((text, logprob) for text, logprob in fields.get("first", ()))
    return replace(_EMPTY, **{**fields, "token_ids": tuple(fields.get("token_ids", ())), "first": first})
