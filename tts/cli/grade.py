"""`tts grade`: one pair on the command line, or a stream of them."""

from __future__ import annotations

import asyncio
import json as json_module
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tts import console
from tts.cli.driving import drive
from tts.errors import DataError, InputError

if TYPE_CHECKING:
    from tts.types import Grade
    from tts.verify.pool import CheckerPool

WINDOW = 256
"""Pairs in the checker at once; verdicts come out in the order of the lines."""


def grade(
    pairs: Annotated[
        str | None, typer.Argument(help='JSONL of {"answer": …, "target": …}; - is stdin.', metavar="PAIRS")
    ] = None,
    answer: Annotated[str | None, typer.Option("--answer", help="An answer, bare or within a whole response.")] = None,
    target: Annotated[str | None, typer.Option("--target", help="What it should be.")] = None,
    json: Annotated[bool, typer.Option("--json", help="The verdict as JSON.")] = False,
) -> None:
    """Compare answers with targets. Exit 0 when every pair got a verdict, whatever it is."""
    if pairs is not None and (answer is not None or target is not None):
        raise InputError(
            "give a file of pairs, or --answer and --target, not both",
            "tts grade --answer A --target T, or tts grade PAIRS.jsonl",
        )
    if pairs is not None:
        drive(_stream(pairs))
        return
    if answer is None or target is None:
        raise InputError(
            "both --answer and --target are needed, or a file of pairs",
            "tts grade --answer A --target T, or tts grade PAIRS.jsonl",
        )
    verdict = drive(_single(answer, target))
    if json:
        console.say_json(_row(verdict))
    else:
        words = {True: "correct", False: "wrong", None: "unscored"}
        console.say(words[verdict.correct] + ("" if verdict.status == "ok" else f" ({verdict.status})"))


async def _single(answer: str, target: str) -> Grade:
    from tts.verify.pool import CheckerPool

    async with CheckerPool(workers=1) as pool:
        return await _check(pool, answer, target)


async def _check(pool: CheckerPool, answer: str, target: str) -> Grade:
    from tts.verify import read_pair

    return await pool.grade(*read_pair(answer, target))


async def _stream(where: str) -> None:
    from tts.verify.pool import CheckerPool

    with ExitStack() as stack:
        if where == "-":
            lines: Any = sys.stdin
        else:
            try:
                lines = stack.enter_context(open(where, encoding="utf-8-sig"))  # noqa: PTH123 - a path as typed
            except OSError as error:
                raise InputError(f"cannot read {where}: {error.strerror}", "a JSONL file, or - for stdin") from error
        async with CheckerPool() as pool:
            waiting: deque[asyncio.Task[Grade]] = deque()
            try:
                for answer, target in _pairs(lines, where):
                    waiting.append(asyncio.ensure_future(_check(pool, answer, target)))
                    if len(waiting) >= WINDOW:
                        _print(await waiting.popleft())
            finally:
                while waiting:
                    _print(await waiting.popleft())
                sys.stdout.flush()


def _pairs(lines: Iterator[str], where: str) -> Iterator[tuple[str, str]]:
    number = 0
    try:
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield _pair(line, f"{where}:{number}")
    except UnicodeDecodeError as error:
        raise DataError(f"{where}:{number + 1}: not UTF-8 text", "iconv -t utf-8 converts it") from error
    if not number:
        raise DataError(f"{where} is empty", 'a line for each pair: {"answer": …, "target": …}')


def _pair(line: str, place: str) -> tuple[str, str]:
    try:
        row = json_module.loads(line.removeprefix("\ufeff"))
    except ValueError as error:
        raise DataError(f"{place}: not JSON: {error}", 'a line for each pair: {"answer": …, "target": …}') from error
    if not isinstance(row, dict) or "answer" not in row or "target" not in row:
        raise DataError(
            f"{place}: an object with answer and target is expected", 'a line for each pair: {"answer": …, "target": …}'
        )
    return tuple("" if row[k] is None else str(row[k]) for k in ("answer", "target"))  # type: ignore[return-value]


def _print(verdict: Grade) -> None:
    sys.stdout.write(json_module.dumps(_row(verdict), ensure_ascii=False) + "\n")


def _row(verdict: Grade) -> dict[str, Any]:
    return {
        "correct": verdict.correct,
        "status": verdict.status,
        "answer": verdict.answer,
        "target": verdict.target,
        "method": verdict.method,
    }
