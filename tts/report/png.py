"""Plots as a picture, by matplotlib (the extra `report`)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tts.errors import InputError
from tts.report.sections import Plot, Section
from tts.writing import whole

BANDS = 6
"""Lines in one plot whose intervals are bands."""


def write_png(sections: Sequence[Section], path: Path) -> None:
    """A row of plots for each section that has any: lines, 95 % intervals, rings on the Pareto front, and one
    legend for the row.

    Raises:
        InputError: matplotlib is not installed, or the file cannot be written.
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise InputError("--png needs matplotlib", "pip install 'tts-reasoning[report]'") from error
    drawn = [(s.title, [p for p in s.plots if p.lines]) for s in sections]
    drawn = [(title, plots) for title, plots in drawn if plots]
    width = max((len(plots) for _, plots in drawn), default=1)
    names = [list(dict.fromkeys(line.name for plot in plots for line in plot.lines)) for _, plots in drawn]
    heights = [4.4 + 0.18 * math.ceil(len(n) / _columns(width)) for n in names] or [4.4]
    figure = Figure(figsize=(6.0 * width, sum(heights)), layout="constrained")
    rows = figure.subfigures(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    for row, (title, plots), found in zip(rows, drawn, names, strict=False):
        row.suptitle(title)
        palette = "tab10" if len(found) <= 10 else "tab20"
        colors = {name: matplotlib.color_sequences[palette][i % int(palette[3:])] for i, name in enumerate(found)}
        for axes, plot in zip(row.subplots(1, width, squeeze=False)[0], [*plots, *[None] * width], strict=False):
            _draw(axes, plot, colors)
        shown = {label: h for axes in row.axes for h, label in zip(*axes.get_legend_handles_labels(), strict=True)}
        row.legend(
            shown.values(), shown.keys(), loc="outside lower center", ncols=_columns(width), fontsize=7, frameon=False
        )
    with whole(path, "wb") as stream:
        figure.savefig(stream, dpi=150, format="png")


def _columns(width: int) -> int:
    """Of the legend under a row of so many plots."""
    return max(1, round(4 * width / 3))


def _draw(axes: object, plot: Plot | None, colors: Mapping[str, Any]) -> None:
    """One plot; where bands would lie over each other the interval is at each line's last point alone."""
    from matplotlib.axes import Axes
    from matplotlib.ticker import FuncFormatter

    assert isinstance(axes, Axes)
    if plot is None:
        axes.set_axis_off()
        return
    banded = len(plot.lines) <= BANDS
    for line in plot.lines:
        color = colors[line.name]
        joined = [m for m in line.marks if m.front or not line.by_front]
        alone = [m for m in line.marks if m not in joined] + (joined[-1:] if len(joined) == 1 or not banded else [])
        xs, ys = [m.x for m in joined], [m.y for m in joined]
        style = "--" if line.dashed else "-"
        axes.plot(xs, ys, color=color, marker="o", markersize=4, linestyle=style, label=line.name)
        if banded:
            axes.fill_between(xs, [m.low for m in joined], [m.high for m in joined], color=color, alpha=0.12, lw=0)
        for m in alone:
            off, faint = [[max(0.0, m.y - m.low)], [max(0.0, m.high - m.y)]], 1.0 if m in joined else 0.45
            axes.errorbar([m.x], [m.y], off, color=color, alpha=faint, capsize=3, marker="o", markersize=4)
        best = [m for m in line.marks if m.front]
        axes.plot([m.x for m in best], [m.y for m in best], "o", markersize=9, mfc="none", mec="black", mew=1.2)
    if plot.diagonal:
        axes.plot([0, 100], [0, 100], color="grey", linestyle=":", lw=1)
    if plot.log:
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}" if 10 <= x < 1e6 else f"{x:.2g}"))
    if any(m.front for line in plot.lines for m in line.marks):
        axes.plot([], [], "o", markersize=9, mfc="none", mec="black", mew=1.2, label="Pareto front")
    axes.set_xlabel(plot.x)
    axes.set_ylabel(f"{plot.y}, % (with its 95 % interval)" if plot.percent else plot.y)
    if not plot.percent:
        axes.set_ylim(bottom=0)
    axes.grid(alpha=0.25)
