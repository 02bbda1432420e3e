"""The only file that draws: progress and errors on stderr, answers and tables on stdout."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import math
import os
import re
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any, cast

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from tts.errors import TTSError
from tts.stats import METHODS, wilson

if TYPE_CHECKING:
    from tts.report.sections import Mark, Plot, Section

HEARTBEAT = 30.0
"""Seconds between progress lines where there is no terminal."""


class ReaderGone(Exception):
    """Nobody reads our stdout any more (`| head`)."""


class _Guarded:
    """A stream that is written to under a guard, made anew each time: what it does with an OSError is done."""

    def __init__(self, stream: Any, guard: Callable[[], contextlib.AbstractContextManager[Any]]) -> None:
        self._stream, self._guard = stream, guard

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with self._guard():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._guard():
            self._stream.flush()


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """A broken pipe is no OSError: Typer would end the process with a failure."""
    try:
        yield
    except BrokenPipeError:
        silence()
        raise ReaderGone from None


def watch_stdout() -> None:
    """From now on a reader that goes away is `ReaderGone`."""
    sys.stdout = _Guarded(sys.stdout, _told)


def silence() -> None:
    """Send what is left to say to nobody."""
    if sys.__stdout__ is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno())


@contextlib.contextmanager
def regardless_of_the_reader() -> Iterator[None]:
    """Say something whose reader may have gone, and go on."""
    with contextlib.suppress(ReaderGone):
        yield
        sys.stdout.flush()


def _colours() -> Any:
    """NO_COLOR takes bold and dim away as well: Rich would keep them."""
    return None if os.environ.get("NO_COLOR") else "auto"


def _stderr() -> Console:
    """A console on a file of its own for stderr, which a library that replaces sys.stderr does not touch. Its loss is
    no reason to end a run: nobody is left who could be told.
    """
    file = _Guarded(os.fdopen(os.dup(2), "w", buffering=1), lambda: contextlib.suppress(OSError))
    return Console(file=cast("IO[str]", file), highlight=False, soft_wrap=True, color_system=_colours())


err = _stderr()


def out() -> Console:
    """Stdout as it is now; as wide as needed when it is not a terminal."""
    console = Console(highlight=False, color_system=_colours())
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


def explain(text: str) -> None:
    """Help, where a command was given nothing."""
    err.print(escape(text))


def warn(text: str) -> None:
    """Something that did not go as asked."""
    err.print(f"[yellow]{escape(text)}[/]")


def say(text: str) -> None:
    """A line of output proper."""
    sys.stdout.write(text + "\n")


def say_json(value: Any) -> None:
    """One JSON document on stdout."""
    say(json.dumps(value, ensure_ascii=False, indent=2))


def clipped(text: str, width: int) -> str:
    """A text in one line of at most `width` characters."""
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1] + "…"


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


_FINISHES = {"stop": "", "length": " cut", "abort": " aborted"}


def _step(node: Mapping[str, Any]) -> Text:
    score = "–" if node["score"] is None else f"{node['score']:.3f}"
    kind = "" if node["kind"] == "step" else f" {node['kind']}"
    gone = "" if node["pruned"] is None else f" pruned at {node['pruned']}"
    error = f" ({node['error']})" if node.get("error") else ""
    line = Text(no_wrap=True, overflow="ellipsis", style="" if node["pruned"] is None else "dim")
    line.append(score, style="bold green" if node["ended"] else "cyan")
    finish = " end" if node["ended"] else _FINISHES[node["finish"]]
    line.append(f"{kind} {node['tokens']} tok{finish}{gone}{error}  ")
    return line.append(" ".join(node["text"].split()) or "(nothing)")


@contextlib.contextmanager
def waiting(text: str) -> Iterator[None]:
    """A spinner on a terminal, a line elsewhere, while something blocking goes on."""
    if err.is_terminal:
        # Not `err.status`: it would take over sys.stderr.
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
        self._first_error = ""
        self._resumed = done
        self._generated = generated
        self._scored = self._correct = self._errors = self._running = self._spent = 0
        self._began = time.monotonic()
        self._first_tokens = generated()
        self._window: list[tuple[float, int]] = [(self._began, self._first_tokens)]

    def began(self, problem_id: str) -> None:
        self._running += 1

    def ended(self, record: Mapping[str, Any]) -> None:
        self._running = max(0, self._running - 1)  # one that never began may end too
        self._done += 1
        if record["status"] == "error":
            self._errors += 1
            self._first_error = self._first_error or f"{record['problem_id']}: {record['error']}"
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
        try:
            async with _beside(self._live() if err.is_terminal else self._beat()):
                yield
        finally:
            if self._graded:
                note(self.line())
                if self._errors:
                    more = f", and {self._errors - 1} more" if self._errors > 1 else ""
                    warn(f"failed: {self._first_error}{more}; --resume tries again")

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


@contextlib.asynccontextmanager
async def beating(line: Callable[[], str]) -> AsyncIterator[None]:
    """A line of progress every half minute."""

    async def beat() -> None:
        while True:
            await asyncio.sleep(HEARTBEAT)
            note(line())

    async with _beside(beat()):
        yield


@contextlib.asynccontextmanager
async def _beside(telling: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Something that tells of progress without end, until the block is done."""
    ticker = asyncio.ensure_future(telling)
    try:
        yield
    finally:
        ticker.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ticker


MARKS = "o+x*#@%&"


def section(content: Section, plot_index: int | None = None) -> None:
    """A section of a report on stdout: tables, plots (all, or one of them), notes."""
    say(f"\n{content.title}\n")
    for part in content.tables:
        table(part.title, part.columns, part.rows)
        say("")
    drawn = content.plots if plot_index is None else content.plots[plot_index : plot_index + 1]
    for one in drawn:
        plot(one)
        say("")
    for text in content.notes:
        say(text)


def plot(content: Plot, width: int = 64, height: int = 17) -> None:
    """Lines with their 95 % bands (:) on stdout; points of the Pareto front are in brackets. Where y are no percentages
    there are no bands, and dots lead from point to point.
    """
    marks = [mark for line in content.lines for mark in line.marks]
    if not marks:
        return say(f"{content.x}: not known for any of these runs")
    scale: Callable[[float], float] = math.log2 if content.log else float
    left, right = scale(min(m.x for m in marks)), scale(max(m.x for m in marks))
    low, high = _ends(content, [m.low for m in marks], [m.high for m in marks])
    grid = [[" "] * (width + 2) for _ in range(height)]

    def row(y: float) -> int:
        return min(height - 1, max(0, round((high - y) / (high - low) * (height - 1))))

    def column(m: Mark) -> int:
        return 1 + round((scale(m.x) - left) / max(right - left, 1e-9) * (width - 1))

    placed = [
        (sign, m, column(m)) for sign, line in zip(itertools.cycle(MARKS), content.lines) for m in line.marks
    ]  # fmt: skip
    if not content.percent:
        for line in content.lines:
            for a, b in itertools.pairwise(line.marks):
                steps = max(abs(column(b) - column(a)), abs(row(b.y) - row(a.y)), 1)
                for i in range(1, steps):
                    x, y = column(a) + (column(b) - column(a)) * i / steps, a.y + (b.y - a.y) * i / steps
                    grid[row(y)][round(x)] = "."
    for _, m, c in placed if content.percent else ():
        for y in range(row(m.high), row(m.low) + 1):
            grid[y][c] = ":"
    for sign, m, c in placed:
        grid[row(m.y)][c] = sign
    for _, m, c in placed:
        if m.front:
            grid[row(m.y)][c - 1], grid[row(m.y)][c + 1] = "(", ")"
    if not content.percent:
        say(f"{content.y}:")
    for index, cells in enumerate(grid):
        level = high - index * (high - low) / (height - 1)
        label = f"{level:5.1f} % " if content.percent else f"{_short(level):>7} "
        say(f"{label if index % 2 == 0 else ' ' * 8}|{''.join(cells).rstrip()}")
    ends = _short(min(m.x for m in marks)), f"{_short(max(m.x for m in marks))} {content.x}"
    say(" " * 8 + "+" + "-" * (width + 2))
    say(" " * 10 + ends[0] + ends[1].rjust(width - len(ends[0])) + (" (log)" if content.log else ""))
    for sign, line in zip(itertools.cycle(MARKS), content.lines):
        say(f"    {sign}  {line.name}")
    bracketed = "( )  on the Pareto front" if any(m.front for m in marks) else ""
    legend = [f"{content.y}, :  95 % interval" if content.percent else "", bracketed]
    return say("    " + "   ".join(filter(None, legend))) if any(legend) else None


def _ends(content: Plot, lows: Sequence[float], highs: Sequence[float]) -> tuple[float, float]:
    """The y axis: percentages to the next five, numbers from 0 to the largest."""
    if not content.percent:
        return 0.0, max([*highs, 1e-9])
    low = max(0, 5 * math.floor(min(lows) / 5))
    return low, min(100, max(low + 5, 5 * math.ceil(max(highs) / 5)))


def _short(x: float) -> str:
    return f"{x:.2e}" if x >= 1e7 else f"{x:,.0f}" if x >= 10 else f"{x:.3g}"


def results(content: Mapping[str, Any], where: str) -> None:
    """A run's metrics, what it cost, and how many problems they rest on."""
    counts, usage, metrics = content["counts"], content["usage"], content["metrics"]
    most = max(map(_k, metrics), default=0)
    rows = [
        (name, f"{100 * m['value']:.1f} %", _interval(m), _method(m))
        for name, m in metrics.items()
        if not name.endswith(("_rate", "_per_correct")) and (not name.startswith(_AT_MOST_ONLY) or _k(name) == most)
    ]
    if rows:
        table(None, ("metric", "value", "95 % interval", "by"), rows)
    for name, why in content.get("absent", {}).items():
        if name.startswith("@"):
            note(why)
    parts = [f"{counts['scored']} of {counts['records']} scored"]
    if counts["scored"] < counts["records"]:
        parts[0] += f" ({100 * counts['scored'] / counts['records']:.1f} %)"
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
    if "tokens_per_correct" in metrics:
        costs = {unit: metrics.get(f"{unit}_per_correct") for unit in ("tokens", "flops", "seconds")}
        tokens, flops, seconds = ("" if m is None else f"{m['value']:,.4g}" for m in costs.values())
        say(f"a right answer cost {tokens} tokens" + (f", {flops} FLOPs" if flops else "") + f", {seconds} s")
    note(f"run directory: {where}")


_AT_K = re.compile(r"[@^](\d+)")
_AT_MOST_ONLY = ("pass^", "oracle_gap@", "filtered@")
"""Metrics that the terminal shows at the largest k alone; results.json and the tables have every k."""


def _k(metric: str) -> int:
    """The k of a metric's name, 0 for one that has none."""
    match = _AT_K.search(metric)
    return int(match[1]) if match else 0


def _interval(metric: Mapping[str, Any]) -> str:
    return "" if metric["ci"] is None else f"[{100 * metric['ci'][0]:.1f}, {100 * metric['ci'][1]:.1f}]"


def _method(metric: Mapping[str, Any]) -> str:
    return METHODS.get(metric["ci_method"], "")
