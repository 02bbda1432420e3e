"""Each analysis as a section: what it says in words, numbers and lines."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tts.metrics import ladder
from tts.report.confidence import SURE, Confidence
from tts.report.curves import AXES, Axis, Curve, Result, front, included, replayed
from tts.report.difficulty import HOW, WORTH, Bin
from tts.report.length import Length, Outcome
from tts.report.regression import Slope
from tts.report.sections import Cell, Line, Mark, Plot, Section, Table, count, interval, mark, percent
from tts.stats import METHODS, Estimate


def _estimate(e: Estimate) -> tuple[str, str]:
    return percent(e.value), interval(e.ci)


def compute(benchmark: str, runs: Sequence[Result], curves: Sequence[Curve]) -> Section:
    """Accuracy against tokens, seconds and FLOPs."""
    fronts = {axis: front(curves, axis) for axis in AXES}
    shown = {k for c in curves for k in ladder(max(p.k for p in c.points))}
    rows = [
        (
            c.name, p.k, count(p.tokens), count(p.seconds), None if p.flops is None else f"{p.flops:.3g}",
            percent(p.value), interval((p.low, p.high)), " ".join(a for a in AXES if (i, j) in fronts[a]) or None,
        )
        for i, c in enumerate(curves)
        for j, p in enumerate(c.points)
        if p.k in shown or len(c.points) < 12
    ]  # fmt: skip
    columns = ("curve", "k", "tokens", "seconds", "FLOPs", "accuracy", "95 % interval", "on the front by")
    methods = sorted(
        filter(None, {METHODS.get(m["ci_method"], m["ci_method"]) for r in runs for m in r.results["metrics"].values()})
    )
    notes = [
        "Costs are a problem's. [a, b] is a 95 % interval for the mean over questions: "
        + "; ".join(filter(None, methods)),
        "The Pareto front leaves out pass@k, which needs the target.",
    ]
    for part, whole in included(runs):
        notes.append(f"{part.path} is not drawn: its samples are among those of {whole.path}.")
    if again := [str(run.path) for run in runs if replayed(run)]:
        notes.append(f"Samples from a journal, so their seconds are not known: {', '.join(again)}.")
    for run in runs:
        c = run.results["counts"]
        if c["scored"] < c["records"]:
            left = f"{c['errors']} failed, {c['unscored']} without a usable target"
            notes.append(f"{run.path}: {c['scored']} of {c['records']} attempts scored ({left}).")
        if c["truncated"]:
            notes.append(f"{run.path}: {c['truncated']} of {c['candidates']} samples were cut at the token limit.")
    plots = [_plot(curves, axis, fronts[axis]) for axis in AXES]
    return Section(
        f"{benchmark}: accuracy against compute", (Table(columns, tuple(rows)),), tuple(plots), tuple(notes), True
    )


def _plot(curves: Sequence[Curve], axis: Axis, best: set[tuple[int, int]]) -> Plot:
    lines = []
    for i, c in enumerate(curves):
        start = [] if c.start is None else [(c.start, False)]
        marks = [
            Mark(cost, 100 * p.value, 100 * p.low, 100 * p.high, f"k = {p.k}", best_here)
            for p, best_here in [*start, *((p, (i, j) in best) for j, p in enumerate(c.points))]
            if (cost := p.cost(axis)) is not None
        ]
        if marks:
            lines.append(Line(c.name, tuple(marks), c.oracle))
    return Plot(AXES[axis], tuple(lines))


def difficulty(run: str, how: str, found: Sequence[Bin]) -> Section:
    """Per-bin accuracy, curves, and where samples are wasted."""
    tables = [
        Table(
            ("bin", "questions", "accuracy", "95 % interval", "tokens a sample"),
            tuple((b.name, b.questions, *_estimate(b.accuracy), count(b.tokens)) for b in found),
            "the answers the run gave",
        )
    ]
    plots = []
    for choice in dict.fromkeys(c for b in found for c in b.trends):
        having = [(b, b.trends[choice]) for b in found if choice in b.trends]
        ks = [step.k for step in having[0][1].steps]
        rows: list[tuple[Cell, ...]] = [
            (
                b.name, *(percent(s.accuracy.value) for s in t.steps), f"{100 * t.gain:+.1f}", interval(t.ci, "+"),
                t.enough, f"{100 * (1 - t.enough / ks[-1]):.0f} %", t.verdict,
            )
            for b, t in having
        ]  # fmt: skip
        columns = (
            "bin",
            *(f"k={k}" for k in ks),
            f"gain 1→{ks[-1]}",
            "95 % interval",
            "enough",
            "spare tokens",
            "verdict",
        )
        tables.append(Table(columns, tuple(rows), choice))
        lines = [Line(b.name, tuple(mark(x.tokens, x.accuracy, f"k = {x.k}") for x in t.steps)) for b, t in having]
        plots.append(Plot("tokens a problem", tuple(lines), y=choice))
    notes = [
        "Bins: " + HOW.get(how, HOW["score"].format(how)) + ".",
        "Gain: points from one sample to the most, paired by question. Enough: the least k within "
        f"{100 * WORTH:.0f} point of the bin's best; what is drawn beyond it is spare.",
    ]
    if how != "levels":
        notes.append("Half of a question's samples tell its bin and the other half is scored, both ways round.")
    return Section(f"{run}: accuracy by difficulty", tuple(tables), tuple(plots), tuple(notes))


def length(run: str, found: Length) -> Section:
    """Tokens against being right, and how much of it difficulty explains."""
    strata = Table(
        ("questions", "samples", "truncated", "right", "tokens when right", "median", "tokens when wrong", "median"),
        tuple(
            (s.name, s.samples, s.truncated, percent(s.accuracy), *_lengths(s.right), *_lengths(s.wrong))
            for s in found.strata
        ),
        "tokens of right and wrong samples (mean, median)",
    )
    tiles = Table(
        ("tokens", "samples", "right", "95 % interval", "wrong, this long or longer"),
        tuple((f"{t.low:,} to {t.high:,}", t.samples, *_estimate(t.accuracy), percent(t.beyond)) for t in found.tiles),
        "samples by length",
    )
    effects = Table(
        ("compared", "samples", "odds of being right", "95 % interval", "points", "95 % interval"),
        tuple((e.name, e.samples, *_odds(e.log_odds), *_points(e.probability)) for e in found.effects),
        "what 1,000 more tokens go with",
    )
    how = HOW.get(found.how or "", HOW["score"].format(found.how)) if found.how else "none: one sample and no levels"
    notes = (
        f"Difficulty: {how}.",
        "Harder questions take longer and fail more: what is left within a question is not difficulty. It is still not "
        "proof that length is the cause.",
        "All together and at equal difficulty: logistic regression, points are the average marginal effect. Within a "
        "question: conditional logit, points by a linear fit with an intercept for each question. Intervals are "
        "normal, errors clustered by question or the card's clusters. An empty cell: the data do not determine it.",
    )
    marks = tuple(
        mark((t.low + t.high) / 2, t.accuracy, f"{t.low:,} to {t.high:,} tokens, {t.samples} samples")
        for t in found.tiles
    )
    plot = Plot("tokens of a sample", (Line("samples by length", marks),), y="right")
    return Section(f"{run}: length", (effects, strata, tiles), (plot,), notes)


def _lengths(o: Outcome) -> tuple[str | None, str | None]:
    return count(o.mean), count(o.median)


def _odds(slope: Slope | None) -> tuple[Cell, Cell]:
    return (None, None) if slope is None else (f"× {_exp(slope.value)}", f"[{', '.join(map(_exp, slope.ci))}]")


def _points(slope: Slope | None) -> tuple[Cell, Cell]:
    return (None, None) if slope is None else (f"{100 * slope.value:+.1f}", interval(slope.ci, "+"))


def _exp(x: float) -> str:
    return f"{math.exp(x):.3g}" if abs(x) < 700 else "∞" if x > 0 else "0"


def confidence(run: str, found: Confidence) -> Section:
    """Calibration of the votes, and where pass@k stops."""
    c = found
    over = "over-confidence" if c.over >= 0 else "under-confidence"
    stops = f"after k = {c.stops}" if c.stops is not None else f"still growing at k = {c.n}"
    summary = Table(
        ("", "value", "95 % interval"),
        (
            ("mean share of the majority", percent(c.share), None),
            ("the majority is right", *_estimate(c.accuracy)),
            (over, f"{100 * c.over:+.1f} points", interval(c.over_ci, "+")),
            ("expected calibration error", f"{100 * c.ece:.1f} points", None),
            ("… of a calibrated model, by chance", f"{100 * c.ece_calibrated:.1f} points", None),
            ("Brier score", f"{c.brier:.3f}", None),
            (f"confident (share ≥ {percent(SURE)}) and wrong", *_estimate(c.sure_wrong)),
            (f"pass@k stops growing (< {100 * WORTH:.0f} point a doubling)", stops, None),
        ),
        f"{c.questions} questions, {c.n} samples each",
    )
    ks = list(c.tiles[0].passes)
    tiles = Table(
        ("majority's share", "questions", "mean share", "majority right", "95 % interval", *(f"pass@{k}" for k in ks)),
        tuple(
            (
                f"{100 * t.low:.0f} to {100 * t.high:.0f} %", t.questions, percent(t.share), *_estimate(t.accuracy),
                *(percent(x) for x in t.passes.values()),
            )
            for t in c.tiles
        ),
        "reliability, and pass@k by how sure the model is",
    )  # fmt: skip
    growth = Table(
        ("k", "pass@k", "95 % interval", "gain over the k before", "95 % interval"),
        tuple(
            (g.k, *_estimate(g.value), None if g.gain is None else f"{100 * g.gain:+.1f}", interval(g.ci, "+"))
            for g in c.growth
        ),
    )
    marks = tuple(mark(100 * t.share, t.accuracy, f"{t.questions} questions") for t in c.tiles)
    plots = (
        Plot("share of the majority, %", (Line("majority right", marks),), log=False, diagonal=True),
        Plot("k", (Line("pass@k", tuple(mark(g.k, g.value, f"k = {g.k}") for g in c.growth)),), y="pass@k"),
    )
    notes = (
        "Answerless samples count in the share's denominator. Gains are paired by question, Student's t.",
        "Compare the calibration error with that of a calibrated model: with few questions chance alone leaves one.",
    )
    return Section(f"{run}: confidence", (summary, tiles, growth), plots, notes)
