"""The pool: inline where cheap, killable where not; a batch goes on after a kill; nothing is left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tts.types import Grade
from tts.verify.pool import CheckerPool

LIMIT = r"\lim_{x \to 0} \frac{\sin x}{x}"
ENDLESS = r"\int_0^1 \frac{\sin(x^{x^{x}}) \log(1+x^{7})}{\cos(x^{x})+\sqrt{1+x^{11}}} dx"


def children() -> set[int]:
    """Processes below this one: workers, fork servers, Python's resource trackers."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                line = (entry / "cmdline").read_text()
            except (OSError, IndexError):
                continue
            if parent == os.getpid() and line:
                found.add(int(entry.name))
    return found


def test_a_batch_survives_a_killed_worker_and_leaves_nothing() -> None:
    before = children()

    async def batch() -> None:
        pool = CheckerPool(workers=1, timeout=1.0)
        assert (await pool.grade("1/2", "0.5")).correct is True
        assert children() == before  # nothing was started for that
        assert (await pool.grade(LIMIT, "1")).correct is True
        grades = await asyncio.gather(
            pool.grade(ENDLESS, r"\int_0^1 \sin(x^{x}) dx"), pool.grade(LIMIT, "2"), pool.grade("3", "3")
        )
        assert [g.correct for g in grades] == [False, False, True]
        assert grades[0].status == "timeout"
        assert (await pool.grade(r"\int_0^1 2x dx", "1")).correct is True
        assert len(children()) > len(before)
        pool.close()
        pool.close()

    asyncio.run(batch())
    assert children() == before


def test_a_missing_target_is_unscored_and_a_missing_answer_is_not() -> None:
    async def grades() -> None:
        async with CheckerPool() as pool:
            assert (await pool.grade("1", None)).correct is None
            assert (await pool.grade("1", None)).status == "target_unparsed"
            assert (await pool.grade(None, "1")).status == "no_answer"

    asyncio.run(grades())


def test_classes() -> None:
    answers = ["1/2", None, "0.5", "3", r"\frac{1}{2}", "x+1", "1+x", "  ", LIMIT, "1", "three"]

    async def numbers() -> list[int]:
        async with CheckerPool(workers=1) as pool:
            return await pool.classes(answers)

    assert asyncio.run(numbers()) == [0, -1, 0, 1, 0, 2, 2, -1, 3, 3, 4]


def test_a_vote_on_256_answers_needs_few_comparisons() -> None:
    """Answers meet by canonical form; only forms that need SymPy are compared, with one of each class."""
    forms = ["1/2", "0.5", r"\frac{1}{2}", r"\frac{2}{4}", "50%", "x=1/2", r"\dfrac12", ".5"]
    answers = [forms[i % 8] if i % 2 else f"{i % 16} + 3" for i in range(240)] + [LIMIT] * 8 + [LIMIT + " + 0"] * 8

    async def vote() -> tuple[list[int], int]:
        compared = 0

        class Counting(CheckerPool):
            async def grade(self, answer: str | None, target: str | None) -> Grade:
                nonlocal compared
                compared += 1
                return await super().grade(answer, target)

        async with Counting(workers=1) as pool:
            return await pool.classes(answers), compared

    numbers, compared = asyncio.run(vote())
    assert len(set(numbers[:240])) == 9  # one half, and 3, 5, …, 17
    assert len(set(numbers[240:])) == 1
    assert compared <= 2 * 10  # two open forms, each against the classes there are


def test_repeated_pairs_are_cached_and_cheap_pairs_are_cheap() -> None:
    async def timing() -> float:
        async with CheckerPool() as pool:
            pairs = [(str(i), str(i + i % 2)) for i in range(500)]
            start = time.perf_counter()
            for answer, target in pairs * 2:
                await pool.grade(answer, target)
            return (time.perf_counter() - start) / 1_000

    assert asyncio.run(timing()) < 0.002


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c_does_not_reach_workers_and_stdout_stays_clean(tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text(
        "import asyncio, os, signal\n"
        "from tts.verify.pool import CheckerPool\n"
        "async def main():\n"
        "    signal.signal(signal.SIGINT, lambda *a: None)\n"
        "    async with CheckerPool(workers=1) as pool:\n"
        f"        await pool.grade({LIMIT!r}, '1')\n"
        "        os.killpg(0, signal.SIGINT)\n"
        f"        grade = await pool.grade({LIMIT + '+1'!r}, '2')\n"
        "        raise SystemExit(0 if grade.correct else 1)\n"
        "if __name__ == '__main__':\n"
        "    asyncio.run(main())\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=30, start_new_session=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert signal.SIGINT
