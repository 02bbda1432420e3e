"""Benchmarks: cards from `evals/`, or any file of problems, read as examples.

A card names the hub dataset at a pinned revision, its columns, the prompt, how an answer is extracted and
which checker compares it. `TTS_DATA/<name>.jsonl` (or .csv, .parquet) overrides the hub.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tts import catalog
from tts.errors import DataError, InputError
from tts.rows import FILE_SUFFIXES, file_hash, read_rows
from tts.types import Example, Problem
from tts.verify.extract import DEFAULT, read_target

QUESTION_FIELDS = ("question", "problem", "prompt")
TARGET_FIELDS = ("answer", "target", "final_answer")
ID_FIELDS = ("id", "unique_id")


class HubUnreachable(InputError):
    """A benchmark's data are on the hub, and it does not answer or has no such thing."""


class Card(BaseModel):
    """A benchmark card; `evals/*.toml` holds one a file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    description: str
    hub: str | None = None
    """Hub dataset id. Without one, `file` names a JSONL next to the card."""
    config: str | None = None
    revision: str | None = None
    split: str = "test"
    file: str | None = None
    question: str | None = None
    target: str | None = None
    context: str | None = None
    choices: str | None = None
    id: str | None = None
    prompt: str = "cot"
    extract: tuple[str, ...] = DEFAULT
    checker: Literal["symbolic"] = "symbolic"
    max_tokens: int | None = Field(default=None, gt=0)
    citation: str = ""
    license: str = ""
    homepage: str = ""


@dataclass(frozen=True, slots=True)
class Columns:
    """Column names given by the user; None is found by the usual names."""

    question: str | None = None
    target: str | None = None
    context: str | None = None


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Examples with what is needed to ask and grade them. `revision` is the hub's, or the file's SHA-256."""

    name: str
    source: str
    revision: str
    examples: tuple[Example, ...]
    prompt: str = "cot"
    extract: tuple[str, ...] = DEFAULT
    checker: str = "symbolic"
    max_tokens: int | None = None
    card_sha256: str | None = None


def load(name: str, columns: Columns | None = None, id_field: str | None = None) -> Benchmark:
    """A benchmark by card name, by `NAME=FILE` (the card over a local file), or a problem file's path.

    Raises:
        InputError: no such card or file, unknown columns, a malformed line, duplicate ids, no problems.
    """
    columns = columns or Columns()
    card_name, given, path = name.partition("=")
    if given:
        return _from_card(card_name, columns, id_field, Path(path).expanduser())
    if "/" not in name and catalog.exists("evals", name):
        return _from_card(name, columns, id_field, None)
    file = Path(name).expanduser()
    if file.suffix == ".toml":
        return _from_card(name, columns, id_field, None)
    if not file.exists() and file.suffix not in FILE_SUFFIXES:
        raise InputError(f"no benchmark or file called {name!r}", catalog.nearest(name, catalog.names("evals")))
    rows = list(read_rows(file))
    examples = tuple(build(rows, columns, id_field, str(file)))
    return Benchmark(file.stem, str(file), file_hash(file), examples, extract=_file_extraction(examples))


def _from_card(name: str, columns: Columns, id_field: str | None, file: Path | None) -> Benchmark:
    card, source = catalog.load("evals", name, Card)
    wanted = Columns(columns.question or card.question, columns.target or card.target, columns.context or card.context)
    if card.file and file is None:
        file = source.path.parent / card.file
    file = file or _local_override(card.name)
    if file is not None:
        rows, origin, revision = list(read_rows(file)), str(file), file_hash(file)
    else:
        rows, origin = _hub_rows(card), card.hub or card.name
        revision = card.revision or "main"
    examples = tuple(build(rows, wanted, id_field or card.id, origin, card.choices))
    return Benchmark(
        card.name,
        origin,
        revision,
        examples,
        card.prompt,
        card.extract,
        card.checker,
        card.max_tokens,
        source.sha256,
    )


def _local_override(name: str) -> Path | None:
    folder = os.environ.get("TTS_DATA")
    if not folder:
        return None
    candidates = (Path(folder).expanduser() / f"{name}{suffix}" for suffix in FILE_SUFFIXES)
    return next((c for c in candidates if c.is_file()), None)


def _hub_rows(card: Card) -> list[tuple[int, dict[str, Any]]]:
    import datasets

    if card.hub is None:
        raise InputError(f"benchmark {card.name!r} names neither a hub dataset nor a file")
    try:
        data = datasets.load_dataset(card.hub, card.config, split=card.split, revision=card.revision)
    except Exception as error:
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise HubUnreachable(
            f"cannot load {card.hub} from the Hugging Face hub: {said}",
            f"with no network, give a local copy: tts eval {card.name}=FILE, or TTS_DATA=FOLDER with {card.name}.jsonl",
        ) from error
    return [(number, dict(row)) for number, row in enumerate(data, 1)]


def build(
    rows: Iterable[tuple[int, Mapping[str, Any]]],
    columns: Columns,
    id_field: str | None,
    origin: str,
    choices_field: str | None = None,
) -> Iterator[Example]:
    """Examples from rows. `id_field` may join columns with "+"; without any id column, rows are numbered.

    Raises:
        DataError: an unknown or empty column, or a duplicate id.
    """
    seen: dict[str, int] = {}
    chosen: tuple[str, str | None, str | None, list[str]] | None = None
    for number, row in rows:
        if chosen is None:
            chosen = (
                _column(row, columns.question, QUESTION_FIELDS, origin, "--question-field"),
                _optional(row, columns.target, TARGET_FIELDS, origin, "--target-field"),
                _optional(row, columns.context, ("context",), origin, "--context-field"),
                id_field.split("+") if id_field else _usual_id(row),
            )
        question, target, context, ids = chosen
        for field in (question, *ids):
            if row.get(field) in (None, ""):
                raise DataError(f"{origin}:{number}: no value in column {field!r}")
        problem_id = "-".join(str(row[field]) for field in ids) if ids else str(number)
        if problem_id in seen:
            raise DataError(
                f"{origin}:{number}: id {problem_id!r} was used on line {seen[problem_id]}",
                "--id-field COLUMN (or A+B) names another id",
            )
        seen[problem_id] = number
        choices = row.get(choices_field or "choices")
        problem = Problem(
            problem_id,
            str(row[question]),
            str(row[context]) if context and row.get(context) else None,
            tuple(map(str, choices)) if isinstance(choices, list) and choices else None,
        )
        used = {question, target, context, *ids}
        yield Example(
            problem,
            _target(row.get(target)) if target else None,
            {k: v for k, v in row.items() if k not in used},
        )
    if chosen is None:
        raise DataError(f"{origin} holds no problems")


def _usual_id(row: Mapping[str, Any]) -> list[str]:
    """GSM-Symbolic's `id` is a template's, a problem's with `instance` (Mirzadeh et al. 2024, arXiv:2410.05229)."""
    found = [f for f in ID_FIELDS if f in row][:1]
    return [*found, "instance"] if found and "instance" in row else found


def _column(row: Mapping[str, Any], given: str | None, usual: tuple[str, ...], origin: str, option: str) -> str:
    name = given or next((f for f in usual if f in row), None)
    if name is not None and name in row:
        return name
    what = f"no column {given!r}" if given else f"none of the columns {', '.join(usual)}"
    raise DataError(f"{origin}: {what}; it has {', '.join(row)}", f"{option} names the column")


def _optional(
    row: Mapping[str, Any], given: str | None, usual: tuple[str, ...], origin: str, option: str
) -> str | None:
    if given is None and not any(f in row for f in usual):
        return None
    return _column(row, given, usual, origin, option)


def _target(value: object) -> str | None:
    """A target as text: floats that are integers lose their ".0", several answers are joined by commas."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, list):
        return ", ".join(filter(None, map(_target, value)))
    text = str(value)
    return read_target(text) or text


def _file_extraction(examples: tuple[Example, ...]) -> tuple[str, ...]:
    """A bare number in prose counts as an answer only where every target is a number."""
    targets = [e.target for e in examples if e.target is not None]
    numeric = bool(targets) and all(_is_number(t) for t in targets)
    return (*DEFAULT, "last-number") if numeric else DEFAULT


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text.replace(",", "").replace("$", "").strip("% ")))
    except ValueError:
        return False


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
        raise InputError(f"--limit {limit}: a number K or a range A-B is expected") from None
    if start < 1 or stop < start:
        raise InputError(f"--limit {limit} selects nothing", "K is at least 1; A-B counts from 1, A <= B")
    if start > len(examples):
        raise InputError(f"--limit {limit}: there are only {len(examples)} problems")
    return examples[start - 1 : stop]
