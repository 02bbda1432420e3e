"""The only file that draws: progress and errors on stderr, answers and tables on stdout."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import math
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from tts.errors import TTSError
from tts.stats import wilson

HEARTBEAT = 30.0
"""Seconds between progress lines where there is no terminal."""


def _stderr() -> Console:
    """A console on a copy of stderr, which stays ours while an engine's start is sent to its log."""
    return Console(file=os.fdopen(os.dup(2), "w", buffering=1), highlight=False, soft_wrap=True)


err = _stderr()


def out() -> Console:
    """Stdout as it is now; as wide as needed when it is not a terminal."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 200
    return console


def report(error: TTSError) -> None:
    """An error in one line, and its hint in another."""
    err.print(f"[bold red]error:[/] {escape(error.message)}")
    if error.hint:
        err.print(f"[cyan]hint:[/] {escape(error.hint)}")


def note(text: str) -> None:
    """Something the user should know, in one line."""
    err.print(f"[dim]{escape(text)}[/]")


def warn(text: str) -> None:
    """Something that did not go as asked."""
    err.print(f"[yellow]{escape(text)}[/]")


def say(text: str) -> None:
    """A line of output proper."""
    sys.stdout.write(text + "\n")


def say_json(value: Any) -> None:
    """One JSON document on stdout."""
    say(json.dumps(value, ensure_ascii=False, indent=2))


def table(title: str | None, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A table on stdout."""
    drawn = Table(title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)
    for name in columns:
        drawn.add_column(name, overflow="fold")
    for row in rows:
        drawn.add_row(*("" if value is None else escape(str(value)) for value in row))
    out().print(drawn)


def tree(title: str, nodes: Sequence[Mapping[str, Any]]) -> None:
    """A search on stdout: a line a step with its score, tokens and end, what was given up in dim with the depth at
    which that happened.
    """
    drawn = Tree(Text(title, style="bold"))
    branches: dict[int | None, Tree] = {None: drawn}
    for node in nodes:
        branches[node["id"]] = branches[node["parent"]].add(_step(node))
    out().print(drawn)


_ENDS = {"stop": "", "end": " end", "length": " cut", "abort": " aborted"}


def _step(node: Mapping[str, Any]) -> Text:
    score = "–" if node["score"] is None else f"{node['score']:.3f}"
    kind = "" if node["kind"] == "step" else f" {node['kind']}"
    gone = "" if node["pruned"] is None else f" pruned at {node['pruned']}"
    error = f" ({node['error']})" if node.get("error") else ""
    line = Text(no_wrap=True, overflow="ellipsis", style="" if node["pruned"] is None else "dim")
    line.append(score, style="bold green" if node["finish"] == "end" else "cyan")
    line.append(f"{kind} {node['tokens']} tok{_ENDS[node['finish']]}{gone}{error}  ")
    return line.append(" ".join(node["text"].split()) or "(nothing)")


@contextlib.contextmanager
def waiting(text: str) -> Iterator[None]:
    """A spinner on a terminal, a line elsewhere, while something blocking goes on."""
    if err.is_terminal:
        # Not `err.status`: it would take over sys.stderr, and bring back what an engine's start sends to its log.
        spinner = Spinner("dots", escape(text))
        with Live(spinner, console=err, transient=True, redirect_stdout=False, redirect_stderr=False):
            yield
    else:
        note(text)
        yield


class Board:
    """Progress of one benchmark: problems done, accuracy so far with its interval, tokens per second, time left."""

    def __init__(self, name: str, total: int, done: int, generated: Callable[[], int], *, graded: bool = True) -> None:
        self._name, self._total, self._done = name, total, done
        self._graded = graded
        self._resumed = done
        self._generated = generated
        self._scored = self._correct = self._errors = self._running = self._spent = 0
        self._began = time.monotonic()
        self._first_tokens = generated()
        self._window: list[tuple[float, int]] = [(self._began, self._first_tokens)]

    def began(self, problem_id: str) -> None:
        self._running += 1

    def ended(self, record: Mapping[str, Any]) -> None:
        self._running -= 1
        self._done += 1
        self._errors += record["status"] == "error"
        self._spent += record["usage"]["generated_tokens"]
        if (correct := record["grade"]["correct"]) is not None:
            self._scored += 1
            self._correct += correct

    def accuracy(self) -> str:
        """Of the problems ended in this life, with Wilson's 95 % interval."""
        if not self._scored:
            return "accuracy –" if self._graded else ""
        low, high = wilson(self._correct, self._scored)
        return f"accuracy {100 * self._correct / self._scored:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"

    def rate(self) -> str:
        """Tokens per second over about the last ten seconds."""
        now, tokens = time.monotonic(), self._generated()
        self._window.append((now, tokens))
        while len(self._window) > 2 and now - self._window[0][0] > 10:
            self._window.pop(0)
        then, before = self._window[0]
        return f"{(tokens - before) / max(now - then, 1e-6):,.0f} tok/s"

    def eta(self) -> str:
        """Time left: the tokens that the problems to come will take if they are like those that ended, less what
        the ones in flight have already made, at the rate of this life so far.
        """
        fresh, generated = self._done - self._resumed, self._generated() - self._first_tokens
        if not fresh or not generated:
            return "–:––"
        expected = self._spent / fresh * (self._total - self._resumed)
        left = max(0.0, expected - generated) * (time.monotonic() - self._began) / generated
        return f"{int(left) // 3600}:{int(left) // 60 % 60:02}:{int(left) % 60:02}"

    def line(self) -> str:
        """All of it in one line."""
        errors = f", {self._errors} errors" if self._errors else ""
        parts = (
            f"{self._name}: {self._done}/{self._total} ({self._running} in flight{errors})",
            *(part for part in (self.accuracy(), self.rate()) if part),
            f"left {self.eta()}",
        )
        return ", ".join(parts)

    @contextlib.asynccontextmanager
    async def shown(self) -> AsyncIterator[None]:
        """Keep it on the screen: a live bar on a terminal, a line every half minute elsewhere."""
        ticker = asyncio.ensure_future(self._live() if err.is_terminal else self._beat())
        try:
            yield
        finally:
            ticker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await ticker
            if self._graded:
                note(self.line())

    async def _live(self) -> None:
        columns = (
            TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(),
            TextColumn("{task.fields[accuracy]}"), TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(), TextColumn("left {task.fields[eta]}"),
        )  # fmt: skip
        with Progress(*columns, console=err, transient=True) as progress:
            task = progress.add_task(self._name, total=self._total, completed=self._done, **self._fields())
            while True:
                self._update(progress, task)
                await asyncio.sleep(0.5)

    def _update(self, progress: Progress, task: TaskID) -> None:
        progress.update(task, completed=self._done, **self._fields())

    def _fields(self) -> dict[str, Any]:
        return {"accuracy": self.accuracy(), "rate": self.rate(), "eta": self.eta()}

    async def _beat(self) -> None:
        await asyncio.sleep(HEARTBEAT / 3)
        while True:
            note(self.line())
            await asyncio.sleep(HEARTBEAT)


MARKS = "o+x*#@%&"


def plot(curves: Mapping[str, Sequence[tuple[float, float]]], width: int = 64, height: int = 15) -> None:
    """Curves of (generated tokens a problem, accuracy in percent) on stdout; tokens on a logarithmic axis."""
    points = [point for curve in curves.values() for point in curve if point[0] > 0]
    if not points:
        return
    left, right = (math.log2(f(x for x, _ in points)) for f in (min, max))
    low = 10 * math.floor(min(y for _, y in points) / 10)
    high = max(low + 10, 10 * math.ceil(max(y for _, y in points) / 10))
    grid = [[" "] * width for _ in range(height)]
    for mark, curve in zip(itertools.cycle(MARKS), curves.values()):
        for x, y in curve:
            column = round((math.log2(x) - left) / max(right - left, 1e-9) * (width - 1)) if x > 0 else 0
            grid[round((high - y) / (high - low) * (height - 1))][column] = mark
    say("")
    for index, row in enumerate(grid):
        level = high - index * (high - low) / (height - 1)
        label = f"{level:5.0f} % " if index % 2 == 0 else " " * 8
        say(f"{label}|{''.join(row).rstrip()}")
    ends = f"{2**left:,.0f}", f"{2**right:,.0f} tokens a problem (log)"
    say(" " * 8 + "+" + "-" * width)
    say(" " * 9 + ends[0] + ends[1].rjust(width - len(ends[0])))
    for mark, name in zip(itertools.cycle(MARKS), curves):
        say(f"    {mark}  {name}")


def results(content: Mapping[str, Any], where: str) -> None:
    """A run's metrics, what it cost, and how many problems they rest on."""
    counts, usage = content["counts"], content["usage"]
    rows = [(name, f"{100 * m['value']:.1f} %", _interval(m), _method(m)) for name, m in content["metrics"].items()]
    if rows:
        table(None, ("metric", "value", "95 % interval", "by"), rows)
    parts = [f"{counts['scored']} of {counts['records']} scored"]
    for name, words in (
        ("errors", "failed"), ("unscored", "unscored (target not understood)"), ("no_answer", "without an answer"),
        ("over_budget", "over budget"), ("checker_timeouts", "checker timeouts"),
    ):  # fmt: skip
        if counts[name]:
            parts.append(f"{counts[name]} {words}")
    if counts["truncated"]:
        parts.append(f"{counts['truncated']} of {counts['candidates']} samples truncated")
    say(", ".join(parts))
    cached = "" if usage["cached_tokens"] is None else f" ({usage['cached_tokens']:,} cached)"
    wasted = f" ({usage['wasted_tokens']:,} wasted)" if usage["wasted_tokens"] else ""
    flops = "" if usage["flops"] is None else f", {usage['flops']:.3g} FLOPs"
    say(
        f"{usage['prompt_tokens']:,} prompt tokens{cached}, {usage['generated_tokens']:,} generated{wasted}{flops}, "
        f"{usage['seconds']:,.1f} s"
    )
    note(f"run directory: {where}")


def _interval(metric: Mapping[str, Any]) -> str:
    return "" if metric["ci"] is None else f"[{100 * metric['ci'][0]:.1f}, {100 * metric['ci'][1]:.1f}]"


def _method(metric: Mapping[str, Any]) -> str:
    return {"wilson": "Wilson", "normal": "normal, s.e. over questions"}.get(metric["ci_method"], "")
