from __future__ import annotations

import asyncio
import json
import sqlite3
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from tts.errors import StorageFailed
from tts.journal import Journal, call_key, prompt_digest, score_key
from tts.types import Completion, Message, Problem, Prompt, Sampling, StepScores

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


@pytest.mark.parametrize("length", [0, 1, 300, 511, 70_000])
def test_a_completion_of_any_length_comes_back(tmp_path: Path, length: int) -> None:
    long = replace(DONE, text="é" * length, token_ids=tuple(range(length)))
    with Journal(tmp_path / "j") as journal:
        asyncio.run(journal.finish(b"k", long, 1.5))
        ((data,),) = journal._db.execute("SELECT data FROM calls").fetchall()
        assert json.loads(zlib.decompress(data))["seed"] == 42
        assert journal.lookup(b"k") == (long, 1.5)


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


def test_keys_are_those_that_earlier_journals_have() -> None:
    sampling = Sampling(temperature=1, max_tokens=9, stop=("\n\n",))
    asked = Prompt("x", (1,), (Message("user", "2 × 3?"),))
    keys = [
        call_key("vllm", "nano", b"d" * 32, sampling, 7),
        call_key("vllm", "nano", b"d" * 32, replace(sampling, temperature=1.0), 7),  # spelled differently
        score_key("card", Problem("p", "2 × 3?", None, ("5", "6")), asked, 'say "6"'),
        score_key("card", Problem("p", "2 × 3?"), Prompt("x"), "6"),
    ]
    assert [key.hex()[:16] for key in keys] == [
        "62acbb950c77906f", "e981db6deedcc94c", "832a6bfdbc000983", "f8912fa7b7816568",
    ]  # fmt: skip


def test_a_journal_whose_rows_lie_in_the_order_of_their_keys_is_gone_on_with(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "j") as db:
        db.execute("CREATE TABLE calls (key BLOB PRIMARY KEY, elapsed REAL, data BLOB) WITHOUT ROWID")
        db.execute("CREATE TABLE scores (key BLOB PRIMARY KEY, elapsed REAL, data TEXT) WITHOUT ROWID")
    db.close()

    async def write() -> None:
        with Journal(tmp_path / "j") as journal:
            for _ in range(2):
                await journal.finish(b"k", DONE, 1.5)
                await journal.scored(b"s", StepScores((0.5,), 0.5, 9), 2.0)

    asyncio.run(write())
    with Journal(tmp_path / "j") as journal:
        assert journal.lookup(b"k") == (DONE, 1.5)
        assert journal.lookup_score(b"s") == (StepScores((0.5,), 0.5, 9), 2.0)
        assert list(journal.completions()) == [DONE]


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
