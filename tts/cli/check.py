"""`tts check`: the checker put to its cases, and to the targets of the benchmarks."""

from __future__ import annotations

import os
import socket
import urllib.request
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from tts import catalog, console
from tts.cli.driving import drive
from tts.errors import InputError

if TYPE_CHECKING:
    from tts.verify.cases import Failure
    from tts.verify.pool import CheckerPool

_SHOWN = 60
"""Characters of a text in the table of failures; `--json` has them whole."""


def check(
    what: Annotated[
        list[str] | None,
        typer.Argument(
            help="Case files (.tsv) and benchmarks (NAME, NAME=FILE, a file of problems); all built-in ones if none.",
            metavar="CASES.tsv|BENCHMARK",
        ),
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Ask nothing of the hub; use what is on disk.")] = False,
    json: Annotated[bool, typer.Option("--json", help="The report as JSON.")] = False,
) -> None:
    """Run the checker's cases, and ask that it accept every benchmark's targets. Exit 1 if any fails."""
    if offline or not (what or _hub_answers()):
        os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_OFFLINE"] = "1"
    named = what or []
    files = [Path(w).expanduser() for w in named if Path(w).suffix == ".tsv"]
    benchmarks = [w for w in named if Path(w).suffix != ".tsv"]
    if not named:
        files = sorted((catalog.builtin("verifiers") / "cases").glob("*.tsv"))
        benchmarks = catalog.names("evals")
    report = drive(_report(files, benchmarks, skip_missing=not named))
    failures = [f for part in report for f in part["failures"]]
    if json:
        console.say_json({"failed": len(failures), "parts": report})
    else:
        _print(report)
    if failures:
        raise typer.Exit(1)


def _hub_answers() -> bool:
    """Whether the hub can be reached: asked once, since its client tries for half a minute per benchmark."""
    if urllib.request.getproxies():
        return True
    at = urlsplit(os.environ.get("HF_ENDPOINT", "https://huggingface.co"))
    try:
        socket.create_connection((at.hostname or "", at.port or (80 if at.scheme == "http" else 443)), 5).close()
    except OSError:
        console.note("the hub does not answer: only benchmarks on this disk are checked")
        return False
    return True


async def _report(files: list[Path], benchmarks: list[str], skip_missing: bool) -> list[dict[str, Any]]:
    from tts.verify.cases import read_cases
    from tts.verify.pool import CheckerPool

    cases = {path: list(read_cases(path)) for path in files}  # a malformed line ends it before any work
    async with CheckerPool() as pool:
        parts = [await _cases(pool, path, rows) for path, rows in cases.items()]
        return parts + [await _targets(pool, name, skip_missing) for name in benchmarks]


async def _cases(pool: CheckerPool, path: Path, rows: list[Any]) -> dict[str, Any]:
    from tts.verify.cases import run_case

    return _part("cases", path.name, [await run_case(pool, row) for row in rows])


async def _targets(pool: CheckerPool, name: str, skip_missing: bool) -> dict[str, Any]:
    """Every target of a benchmark against itself; a hub that is out of reach is no failure of the checker."""
    from tts import benchmarks
    from tts.verify.cases import accepts_itself

    try:
        with console.waiting(f"loading {name} …"):
            loaded = benchmarks.load(name)
    except benchmarks.HubUnreachable as error:
        if not skip_missing:
            raise
        return _part("targets", name, [], skipped=error.message)
    targets = [(e.problem.id, e.target, e.checker) for e in loaded.examples if e.target is not None]
    if not targets:
        raise InputError(f"{name} has no targets", "there is nothing to check in it")
    return _part("targets", name, [await accepts_itself(pool, f"{name}:{i}", t, c) for i, t, c in targets])


def _part(kind: str, name: str, verdicts: list[Failure | None], skipped: str | None = None) -> dict[str, Any]:
    failures = [asdict(f) for f in verdicts if f is not None]
    return {"kind": kind, "name": name, "checked": len(verdicts), "failures": failures, "skipped": skipped}


def _print(report: list[dict[str, Any]]) -> None:
    words = {True: "correct", False: "wrong", None: "unscored"}
    rows = [
        (f["place"].rpartition("/")[2], *(console.clipped(f[part], _SHOWN) for part in ("answer", "target")),
         words[f["expected"]], words[f["correct"]], f["status"])
        for part in report for f in part["failures"]
    ]  # fmt: skip
    if rows:
        console.table("failures", ("where", "answer", "target", "must be", "is", "status"), rows)
        console.say("")
    console.table(
        None,
        ("what", "name", "checked", "failed", "note"),
        [
            (p["kind"], p["name"], p["checked"], len(p["failures"]), f"skipped: {p['skipped']}" if p["skipped"] else "")
            for p in report
        ],
    )
    checked, failed = sum(p["checked"] for p in report), sum(len(p["failures"]) for p in report)
    console.say(f"{checked} checked, {failed} failed, {sum(bool(p['skipped']) for p in report)} skipped")
