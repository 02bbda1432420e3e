"""Plots as a picture, by matplotlib (the extra `report`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tts.errors import InputError
from tts.report.sections import Plot, Section
from tts.writing import whole


def write_png(sections: Sequence[Section], path: Path) -> None:
    """A row of plots for each section that has any: lines, 95 % bands, and rings on the Pareto front.

    Raises:
        InputError: matplotlib is not installed, or the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise InputError("--png needs matplotlib", "pip install 'tts-reasoning[report]'") from error
    drawn = [(s.title, [p for p in s.plots if p.lines]) for s in sections]
    drawn = [(title, plots) for title, plots in drawn if plots]
    width = max((len(plots) for _, plots in drawn), default=1)
    figure = Figure(figsize=(6.0 * width, 4.6 * max(1, len(drawn))), layout="constrained")
    rows = figure.subfigures(max(1, len(drawn)), 1, squeeze=False)[:, 0]
    for row, (title, plots) in zip(rows, drawn, strict=False):
        row.suptitle(title)
        for axes, plot in zip(row.subplots(1, width, squeeze=False)[0], [*plots, *[None] * width], strict=False):
            _draw(axes, plot)
    with whole(path, "wb") as stream:
        figure.savefig(stream, dpi=150, format="png")


def _draw(axes: object, plot: Plot | None) -> None:
    from matplotlib.axes import Axes
    from matplotlib.ticker import FuncFormatter

    assert isinstance(axes, Axes)
    if plot is None:
        axes.set_axis_off()
        return
    for index, line in enumerate(plot.lines):
        color = f"C{index % 10}"
        joined = [m for m in line.marks if m.front or not line.by_front]
        alone = [m for m in line.marks if m not in joined] + (joined if len(joined) == 1 else [])
        xs, ys = [m.x for m in joined], [m.y for m in joined]
        style = "--" if line.dashed else "-"
        axes.plot(xs, ys, color=color, marker="o", markersize=4, linestyle=style, label=line.name)
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
    axes.set_ylabel(f"{plot.y}, % (band: 95 % interval)" if plot.percent else plot.y)
    if not plot.percent:
        axes.set_ylim(bottom=0)
    axes.grid(alpha=0.25)
    if len(plot.lines) > 4:  # more would cover the curves
        axes.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.14))
    else:
        axes.legend(fontsize=7)
