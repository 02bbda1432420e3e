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
    """A point of a plot: x, y and its 95 % interval in percent; `front`: on the Pareto front."""

    x: float
    y: float
    low: float
    high: float
    label: str = ""
    front: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    name: str
    marks: tuple[Mark, ...]
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Plot:
    """Percentages against `x`; `log`: x on a logarithmic axis. `diagonal`: draw y = x as well."""

    x: str
    lines: tuple[Line, ...]
    log: bool = True
    y: str = "accuracy"
    diagonal: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    tables: tuple[Table, ...] = ()
    plots: tuple[Plot, ...] = ()
    notes: tuple[str, ...] = ()


def percent(x: float) -> str:
    return f"{100 * x:.1f} %"


def interval(ci: Sequence[float] | None, sign: str = "") -> str:
    return "" if ci is None else f"[{100 * ci[0]:{sign}.1f}, {100 * ci[1]:{sign}.1f}]"


def mark(x: float, e: Estimate, label: str) -> Mark:
    """A point of an estimate; where it has no interval the band is the point itself."""
    low, high = e.ci or (e.value, e.value)
    return Mark(x, 100 * e.value, 100 * low, 100 * high, label)
