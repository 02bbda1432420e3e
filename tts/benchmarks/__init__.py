"""Benchmarks: cards from `evals/`, files of problems, functions and reasoning-gym tasks, read as examples.

A card names the hub dataset at a pinned revision, its columns, the prompt, how an answer is extracted and
which checker compares it. `TTS_DATA/<name>.jsonl` (or .csv, .parquet) overrides the hub.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

from tts import catalog
from tts.benchmarks.benchmark import Benchmark
from tts.benchmarks.card import Card
from tts.benchmarks.choices import arranged
from tts.benchmarks.examples import QUESTION_FIELDS, Columns, build
from tts.benchmarks.hub import HubUnreachable, Rows, hub_rows, local_override, meant
from tts.errors import InputError
from tts.rows import FILE_SUFFIXES, file_hash, read_rows
from tts.types import Example
from tts.verify.extract import DEFAULT

__all__ = [
    "QUESTION_FIELDS",
    "Benchmark",
    "Card",
    "Columns",
    "HubUnreachable",
    "arranged",
    "build",
    "load",
    "select",
    "with_permutation",
]

_FUNCTION = re.compile(r"(?P<file>.+\.py):(?P<name>[A-Za-z_]\w*)(?:\?(?P<options>.*))?")
_GYM = re.compile(r"reasoning-gym:(?P<task>[\w-]+)(?:\?(?P<options>.*))?")


def load(name: str, columns: Columns | None = None, id_field: str | None = None) -> Benchmark:
    """A benchmark by card name or card file, by `NAME=FILE` (the card over a local file), a problem file's path,
    `FILE.py:FUNCTION?key=value&…`, or `reasoning-gym:TASK?size=100&seed=1`.

    Raises:
        InputError: no such card, file, function or task, unknown columns, a malformed line, duplicate ids, no problems.
    """
    columns = columns or Columns()
    if generated := _GYM.fullmatch(name):
        from tts.benchmarks.gym import load_task

        return load_task(generated["task"], generated["options"])
    if generated := _FUNCTION.fullmatch(name):
        from tts.benchmarks.functions import call

        source, rows = call(Path(generated["file"]).expanduser(), generated["name"], generated["options"])
        examples = tuple(build(rows, columns, id_field, name))
        return Benchmark(generated["name"], name, source, examples, extract=_file_extraction(examples))
    card_name, given, path = name.partition("=")
    if given:
        return _from_card(card_name, columns, id_field, Path(path).expanduser())
    if ("/" not in name and catalog.exists("evals", name)) or Path(name).suffix == ".toml":
        return _from_card(name, columns, id_field, None)
    file = Path(name).expanduser()
    if not file.exists() and file.suffix not in FILE_SUFFIXES:
        raise InputError(f"no benchmark or file called {name!r}", catalog.nearest(name, catalog.names("evals")))
    examples = tuple(build(read_rows(file), columns, id_field, str(file)))
    return Benchmark(file.stem, str(file), file_hash(file), examples, extract=_file_extraction(examples))


def _from_card(name: str, columns: Columns, id_field: str | None, file: Path | None) -> Benchmark:
    card, source = catalog.load("evals", name, Card)
    if card.file and file is None:
        file = source.path.parent / card.file
    file = file or local_override(card.name)
    if file is not None:
        origin, revision = str(file), file_hash(file)
        rows: Rows = read_rows(file)
    else:
        origin = card.hub or card.name
        rows, revision = hub_rows(card)
    return Benchmark(
        card.name,
        origin,
        revision,
        tuple(build(meant(rows, card, columns.question or card.question), columns, id_field, origin, card)),
        card.prompt,
        card.extract,
        card.checker,
        card.max_tokens,
        source.sha256,
    )


def _file_extraction(examples: tuple[Example, ...]) -> tuple[str, ...]:
    """A bare number in prose counts as an answer only where every target is a number."""
    targets = [e.target for e in examples if e.target is not None]
    numeric = bool(targets) and all(map(is_number, targets))
    return (*DEFAULT, "last-number") if numeric else DEFAULT


def is_number(text: str) -> bool:
    """Whether a text is one number as people write it: 1,200 or $3 or 15 %."""
    try:
        return math.isfinite(float(text.replace(",", "").replace("$", "").strip("% ")))
    except ValueError:
        return False


def with_permutation(benchmark: Benchmark) -> Benchmark:
    """The benchmark with each problem's options in the order that a hash of its id gives.

    Raises:
        InputError: no problem has options and a letter for a target.
    """
    examples = tuple(arranged(e, e.problem.id) for e in benchmark.examples)
    if not any("permutation" in e.metadata for e in examples):
        raise InputError(f"--permute: {benchmark.name} has no multiple-choice questions", "leave --permute out")
    return replace(benchmark, examples=examples)


def select(examples: tuple[Example, ...], limit: str | None) -> tuple[Example, ...]:
    """The first K examples for "K"; the A-th to the B-th, counted from 1 and inclusive, for "A-B".

    Raises:
        InputError: neither form, an empty range, or a start beyond the end.
    """
    if limit is None:
        return examples
    first, dash, last = limit.partition("-")
    try:
        start, stop = (int(first), int(last)) if dash else (1, int(first))
    except ValueError:
        raise InputError(
            f"--limit {limit}: a number K or a range A-B is expected", "--limit 50, or --limit 51-100"
        ) from None
    if start < 1 or stop < start:
        raise InputError(f"--limit {limit} selects nothing", "K is at least 1; A-B counts from 1, A <= B")
    if start > len(examples):
        raise InputError(
            f"--limit {limit}: there are only {len(examples)} problems", f"--limit {len(examples)} takes all of them"
        )
    return examples[start - 1 : stop]
