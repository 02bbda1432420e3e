"""What a report says, as tables and plots that the terminal, a picture and a page draw in their own ways."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tts.stats import Estimate

Cell = str | int | None


@dataclass(frozen=True, slots=True)
class Table:
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    title: str | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """A point of a plot: x, y and its 95 % interval; `front`: on the Pareto front."""

    x: float
    y: float
    low: float
    high: float
    label: str = ""
    front: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """`by_front`: the line goes through the points on the front alone, the others stand by themselves."""

    name: str
    marks: tuple[Mark, ...]
    dashed: bool = False
    by_front: bool = False


@dataclass(frozen=True, slots=True)
class Plot:
    """`y` against `x`; `log`: x on a logarithmic axis. `percent`: y are percentages, else numbers from 0 on without
    intervals. `diagonal`: draw y = x as well.
    """

    x: str
    lines: tuple[Line, ...]
    log: bool = True
    y: str = "accuracy"
    diagonal: bool = False
    percent: bool = True


@dataclass(frozen=True, slots=True)
class Section:
    """`by_axis`: the plots are one for each axis of cost, and the terminal draws the one that was asked for."""

    title: str
    tables: tuple[Table, ...] = ()
    plots: tuple[Plot, ...] = ()
    notes: tuple[str, ...] = ()
    by_axis: bool = False


def percent(x: float) -> str:
    return f"{100 * x:.1f} %"


def count(x: float | None) -> str | None:
    """A number of things as people write it: three digits below a hundred, no fraction above."""
    return None if x is None else f"{x:,.0f}" if x >= 100 else f"{x:.3g}"


def memory(size: float) -> str:
    """Bytes in the unit that fits."""
    return f"{size / 2**20:,.1f} MiB" if size >= 2**20 else f"{size / 2**10:,.1f} KiB"


def interval(ci: Sequence[float] | None, sign: str = "") -> str:
    return "" if ci is None else f"[{100 * ci[0]:{sign}.1f}, {100 * ci[1]:{sign}.1f}]"


def mark(x: float, e: Estimate, label: str) -> Mark:
    """A point of an estimate; where it has no interval the band is the point itself."""
    low, high = e.ci or (e.value, e.value)
    return Mark(x, 100 * e.value, 100 * low, 100 * high, label)


def bare(x: float, y: float, label: str) -> Mark:
    """A point that has no interval."""
    return Mark(x, y, y, y, label)
