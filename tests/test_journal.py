from __future__ import annotations

import asyncio
import json
import sqlite3
import zlib
from pathlib import Path

import pytest

from tts.errors import StorageFailed
from tts.journal import Journal, call_key, prompt_digest
from tts.types import Completion, Prompt, Sampling

DONE = Completion("7", "stop", (1, 2, 3), 10, None, 3, -0.5, None, 42, 0.1, 0.2)


def test_a_finished_call_comes_back_as_it_was(tmp_path: Path) -> None:
    async def write() -> None:
        with Journal(tmp_path / "j") as journal:
            journal.begin(b"k", "p")
            await journal.finish(b"k", DONE, 1.5)

    asyncio.run(write())
    with Journal(tmp_path / "j") as journal:
        entry = journal.lookup(b"k")
        assert entry is not None
        assert entry.completion == DONE
        assert entry.elapsed == 1.5
        assert journal.lookup(b"other") is None
        assert journal.lost("p").unaccounted_calls == 0


def test_calls_packed_with_zlibs_own_settings_are_still_read(tmp_path: Path) -> None:
    fields = {name: getattr(DONE, name) for name in Completion.__slots__}
    with Journal(tmp_path / "j"):
        pass
    with sqlite3.connect(tmp_path / "j") as db:
        db.execute(
            "INSERT INTO calls VALUES (?, ?, ?)", (b"k", 1.5, zlib.compress(json.dumps(fields).encode(), level=1))
        )
    db.close()
    with Journal(tmp_path / "j") as journal:
        entry = journal.lookup(b"k")
        assert entry is not None
        assert entry.completion == DONE


def test_calls_in_flight_at_a_kill_are_counted_once(tmp_path: Path) -> None:
    async def write() -> None:
        journal = Journal(tmp_path / "j")
        journal.begin(b"1", "p")
        journal.begin(b"2", "p")
        await journal.finish(b"2", DONE, 0.0)
        # No close: as a killed process leaves it.

    asyncio.run(write())
    for _ in range(2):
        with Journal(tmp_path / "j") as journal:
            assert journal.lost("p").unaccounted_calls == 1
            assert journal.lost("q").unaccounted_calls == 0


def test_another_run_is_read_and_never_written(tmp_path: Path) -> None:
    async def write() -> None:
        with Journal(tmp_path / "a") as first:
            await first.finish(b"k", DONE, 0.0)

    asyncio.run(write())
    before = (tmp_path / "a").read_bytes()
    with Journal(tmp_path / "b", reuse=[tmp_path / "a"]) as second:
        assert second.lookup(b"k") is not None
    assert (tmp_path / "a").read_bytes() == before
    with pytest.raises(StorageFailed):
        Journal(tmp_path / "b", reuse=[tmp_path / "missing"])


def test_a_file_that_is_no_journal_is_refused(tmp_path: Path) -> None:
    (tmp_path / "j").write_bytes(b"something else entirely" * 100)
    with pytest.raises(StorageFailed):
        Journal(tmp_path / "j")


def test_a_failing_disk_is_heard_by_whoever_waits(tmp_path: Path) -> None:
    async def write() -> None:
        journal = Journal(tmp_path / "j")
        journal._db.execute("PRAGMA max_page_count = 8")
        for index in range(200):
            await journal.finish(bytes([index]), Completion("x" * 5000 + str(index), "stop"), 0.0)

    with pytest.raises(StorageFailed, match="full"):
        asyncio.run(write())
    assert sqlite3.connect(tmp_path / "j").execute("SELECT count(*) FROM calls").fetchone()[0] > 0


def test_a_key_is_made_of_everything_that_was_asked() -> None:
    prompt = prompt_digest(Prompt("a", (1, 2)))
    base = call_key("vllm", "m", prompt, Sampling(temperature=0.5), 1)
    others = {
        call_key("server", "m", prompt, Sampling(temperature=0.5), 1),
        call_key("vllm", "n", prompt, Sampling(temperature=0.5), 1),
        call_key("vllm", "m", prompt_digest(Prompt("a", (1, 3))), Sampling(temperature=0.5), 1),
        call_key("vllm", "m", prompt, Sampling(temperature=0.6), 1),
        call_key("vllm", "m", prompt, Sampling(temperature=0.5), 2),
    }
    assert len(others) == 5
    assert base not in others
    assert base == call_key("vllm", "m", prompt_digest(Prompt("b", (1, 2))), Sampling(temperature=0.5), 1)
