"""`tts calibrate`: a compute-optimal policy from stored runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from tts import console
from tts.cli import options as o
from tts.errors import InputError


def calibrate(
    runs: Annotated[
        list[Path],
        typer.Argument(help="Runs over the same problems; the first of -s best-of-n, all n drawn.", metavar="RUN"),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The policy.", metavar="FILE.json")],
    bins: Annotated[int, typer.Option("--bins", help="Bins of difficulty.", min=1)] = 5,
    probe: Annotated[int, typer.Option("--probe", help="Samples that place a question.", min=1)] = 4,
    measure: Annotated[
        Literal["score", "entropy", "oracle"] | None,
        typer.Option(
            "--measure", help="What places it: the verifier's mean score, the vote's entropy; oracle: pass@1."
        ),
    ] = None,
    budget: Annotated[
        Literal["question", "set"],
        typer.Option(
            "--budget",
            help="What a budget holds for: every question, or the set's mean.",
        ),
    ] = "question",
    json: o.Json = False,
) -> None:
    """Choose, for each difficulty and budget, the strategy that does best in stored runs; two-fold cross-validated."""
    from tts.calibration import calibrate as fit
    from tts.writing import write_whole

    if not output.parent.is_dir():
        raise InputError(f"--output {output}: no such folder: {output.parent}", "make it first, or name another")
    policy = fit(runs, bins, probe, measure, budget)
    write_whole(output, policy.model_dump_json(indent=2) + "\n")
    if json:
        return console.say_json(policy.model_dump(mode="json"))
    rows = []
    for number, entry in enumerate(policy.bins, 1):
        for before, choice in zip([None, *entry.choices], entry.choices, strict=False):
            if before and (before.strategy, before.options) == (choice.strategy, choice.options):
                continue
            options = " ".join(f"{k}={v}" for k, v in choice.options.items())
            rows.append(
                (
                    number, entry.problems, f"{100 * entry.pass_at_1:.0f} %", f"{choice.budget:,.0f}",
                    f"{choice.strategy} {options}", f"{choice.tokens:,.0f}", f"{100 * choice.accuracy:.1f} %",
                    f"{100 * choice.held_out_accuracy:.1f} %",
                )
            )  # fmt: skip
    columns = ("bin", "problems", "pass@1", "budget", "choice", "tokens", "accuracy", "held out")
    console.table(f"placed by {policy.measure} of {policy.probe} samples", columns, rows)
    curves = [
        (name, f"{p['tokens']:,.0f}", f"{100 * p['accuracy']:.1f} %")
        for name, points in policy.curves.items()
        for p in points
    ]
    console.table("curves", ("strategy", "tokens a problem", "accuracy"), curves)
    if policy.diagnostics:
        signs = [
            (name, *("" if v is None else f"{v:.3f}" for v in values.values()))
            for name, values in policy.diagnostics.items()
        ]
        console.table(
            "the verifier's favourites among k",
            ("k", "score", "accuracy", "repeats another", "under half as long"),
            signs,
        )
    console.note(f"policy: {output}; tts eval … -s compute-optimal -o policy={output}")
    return None
