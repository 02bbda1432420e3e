"""Solve and grade many problems, with no barrier between them."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from tts.collector import undisturbed
from tts.errors import NotBegun, RequestError, TTSError
from tts.session import Session, Setup
from tts.types import Candidate, Example, Grade, Phase, Solution, Status, Strategy, Usage
from tts.waiting import workers

Record = dict[str, Any]


class Watch(Protocol):
    """Somebody who is told what happens: a progress display, or nobody."""

    def began(self, problem_id: str) -> None: ...
    def ended(self, record: Mapping[str, Any]) -> None: ...


class Stop:
    """How runs are asked to end early. `drain` finishes what has begun; `now` aborts it; `expire` is the end of one
    run's time, at which what is there is the result: the next has its own.
    """

    def __init__(self) -> None:
        self.draining = False
        self.stopped = False
        self.expired = False
        """The time of the run under way is up."""
        self.any_expired = False
        """So it was for this run or one before it."""
        self.sessions: set[Session] = set()

    def drain(self) -> None:
        self.draining = True

    async def now(self) -> None:
        """Abort every call in flight: strategies return with what they have, and nothing is recorded for them."""
        self.draining = self.stopped = True
        await asyncio.gather(*(session.stop() for session in list(self.sessions)))

    async def expire(self, seconds: float) -> None:
        """After `seconds`, abort every call in flight: problems end with what has finished, none is begun."""
        await asyncio.sleep(seconds)
        self.expired = self.any_expired = True
        await asyncio.gather(*(session.expire() for session in list(self.sessions)))

    @asynccontextmanager
    async def after(self, seconds: float | None) -> AsyncIterator[None]:
        """A run: `expire` after so many seconds, unless it has ended by then; never for None."""
        self.expired = False
        if seconds is None:
            yield
            return
        alarm = asyncio.ensure_future(self.expire(seconds))
        try:
            yield
        finally:
            alarm.cancel()
            await asyncio.gather(alarm, return_exceptions=True)


async def evaluate(
    examples: Iterable[Example],
    strategy: Strategy,
    setup: Setup,
    *,
    concurrency: int,
    write: Callable[[Record], None],
    watch: Watch,
    stop: Stop,
    repeats: int = 1,
    vary: Callable[[Example, int], Example] | None = None,
    done: Collection[tuple[str, int]] = (),
    run_id: str = "",
    errors_log: Path | None = None,
    seconds: float | None = None,
) -> None:
    """Solve each example `repeats` times, at most `concurrency` at once; `write` gets a record as each ends.

    After `seconds` what has finished votes, the rest is aborted, and problems not begun get a record that says so.
    `vary` makes of an example what an attempt sees of it.

    Raises:
        RunStopped: the engine or the disk failed; what was written stays.
    """
    jobs = ((e, a) for e in examples for a in range(repeats) if (e.problem.id, a) not in done)

    rest: list[tuple[Example, int]] = []

    async def work() -> None:
        for example, attempt in jobs:
            if stop.draining or stop.expired:
                rest.append((example, attempt))
                return
            watch.began(example.problem.id)
            shown = vary(example, attempt) if vary else example
            record = await solve(shown, attempt, strategy, setup, stop, run_id, errors_log)
            if stop.stopped:
                return
            write(record)
            watch.ended(record)

    async with stop.after(seconds):
        with undisturbed():
            await workers(concurrency, work)
        if stop.expired and not stop.draining:
            for example, attempt in (*rest, *jobs):
                record = await unbegun(example, attempt, setup, run_id)
                write(record)
                watch.ended(record)


async def unbegun(
    example: Example, attempt: int, setup: Setup, run_id: str, phases: Mapping[Phase, Usage] | None = None
) -> Record:
    """The record of a problem that the run's time did not reach; a resumed run takes it up again. `phases` is what was
    spent all the same: on notes that were not finished.
    """
    grade = await setup.checker.grade(None, example.target)
    return {
        "run_id": run_id,
        "problem_id": example.problem.id,
        "attempt": attempt,
        "status": "over_budget",
        "begun": False,
        "question": example.problem.question,
        "solution": {"answer": None, "candidates": []},
        "grade": {"correct": grade.correct, "answer": None, "target": grade.target, "status": grade.status},
        **_spent(phases or {"test": Usage()}),
        "error": None,
    }


async def solve(
    example: Example,
    attempt: int,
    strategy: Strategy,
    setup: Setup,
    stop: Stop,
    run_id: str = "",
    errors_log: Path | None = None,
    session: Session | None = None,
) -> Record:
    """One problem, solved and graded, in the `session` that was begun for it or a new one. A failure that is the
    problem's own becomes status `error`.

    Raises:
        RunStopped: the engine or the disk failed.
    """
    session = session or Session(example.problem, setup, attempt)
    stop.sessions.add(session)
    solution, error = Solution(None), None
    try:
        solution = await strategy.solve(example.problem, session)
    except NotBegun:
        session.close()
        return await unbegun(example, attempt, setup, run_id, session.phases)
    except RequestError as failure:
        error = failure.message
    except TTSError:
        raise
    except Exception as failure:  # a defect in a strategy costs its problem, not the night's run
        error = f"{type(failure).__name__}: {failure}"
        if errors_log is not None:
            with errors_log.open("a") as log:
                log.write(f"problem {session.name}\n{traceback.format_exc()}\n")
    finally:
        stop.sessions.discard(session)
        session.close()
    status: Status = "error" if error is not None else "over_budget" if session.over_budget else "ok"
    grade, grades, details = await _grades(solution, example, setup)
    return {
        "run_id": run_id,
        "problem_id": example.problem.id,
        "attempt": attempt,
        "status": status,
        "question": example.problem.question,
        "metadata": dict(example.metadata),
        "solution": {
            **details,
            "answer": solution.answer,
            "candidates": [
                _candidate(c, g, group)
                for c, g, group in zip(
                    solution.candidates, grades, await session.classes(solution.candidates), strict=True
                )
            ],
        },
        "grade": {
            "correct": None if error is not None else grade.correct,
            "answer": grade.answer,
            "target": grade.target,
            "status": grade.status,
        },
        **_spent(session.phases),
        "error": error,
    }


async def _grades(solution: Solution, example: Example, setup: Setup) -> tuple[Grade, list[Grade], Mapping[str, Any]]:
    """The grades of the answer and of every candidate, and the details with a verdict (`correct`) on what each round
    would have answered. Each distinct answer is checked once.
    """
    rounds = solution.details.get("rounds", ())
    said = [solution.answer, *(c.answer for c in solution.candidates), *(r["answer"] for r in rounds)]
    distinct = list(dict.fromkeys(said))
    found = await asyncio.gather(*(setup.checker.grade(a, example.target, example.checker) for a in distinct))
    by_answer = dict(zip(distinct, found, strict=True))
    first, *rest = (by_answer[answer] for answer in said)
    count = len(solution.candidates)
    if not rounds:
        return first, rest, solution.details
    graded = [{**r, "correct": g.correct} for r, g in zip(rounds, rest[count:], strict=True)]
    return first, rest[:count], {**solution.details, "rounds": graded}


def _candidate(candidate: Candidate, grade: Grade, group: int) -> Record:
    c = candidate.completion
    return {
        "text": c.text,
        "answer": candidate.answer,
        "finish": c.finish,
        "generated_tokens": c.generated_tokens,
        "seed": c.seed,
        "scores": dict(candidate.scores),
        "logprob_mean": c.logprob_mean,
        "correct": grade.correct,
        "class": group,
        **({"unscored": candidate.unscored} if candidate.unscored is not None else {}),
    }


def _spent(phases: Mapping[Phase, Usage]) -> Record:
    """What a record says of the cost: the sum, and its phases where there are several."""
    parts = {"phases": {p: usage_columns(u) for p, u in phases.items()}} if len(phases) > 1 else {}
    return {"usage": usage_columns(Usage.sum(phases.values())), **parts}


def usage_columns(usage: Usage) -> Record:
    """Usage under the names of the contract, with what more there is."""
    columns = asdict(usage)
    for name in ("flops", "queue_seconds", "seconds"):
        if columns[name] is not None:
            columns[name] = round(columns[name], 6)
    return columns
