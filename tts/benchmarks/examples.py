"""Rows of a dataset as examples: which column is what, and what a target column says."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tts.benchmarks.card import Card
from tts.benchmarks.choices import arranged, lettered
from tts.errors import DataError
from tts.types import Example, Problem
from tts.verify.extract import boxed, hashed, read_target
from tts.verify.within import Within

QUESTION_FIELDS = ("question", "problem", "prompt")
TARGET_FIELDS = ("answer", "target", "final_answer")
ID_FIELDS = ("id", "unique_id")
METADATA_FIELDS = {"level": ("level", "difficulty"), "subject": ("subject", "topic"), "cluster": ("cluster",)}
_INTEGER = re.compile(r"\s*([+-]?\d+)\.0+\s*")


@dataclass(frozen=True, slots=True)
class Columns:
    """Column names given by the user; None is found by the card, then by the usual names."""

    question: str | None = None
    target: str | None = None
    context: str | None = None


@dataclass(frozen=True, slots=True)
class _Chosen:
    question: str
    target: str | None
    context: str | None
    ids: list[str]
    metadata: dict[str, str]


def build(
    rows: Iterable[tuple[int, Mapping[str, Any]]],
    columns: Columns,
    id_field: str | None,
    origin: str,
    card: Card | None = None,
) -> Iterator[Example]:
    """Examples from rows. `id_field` may join columns with "+"; without any id column, rows are numbered.

    Raises:
        DataError: an unknown or empty column, a tolerance that is no number, or a duplicate id.
    """
    card = card or Card(name=origin, description="")
    seen: dict[str, int] = {}
    chosen: _Chosen | None = None
    for number, row in rows:
        if chosen is None:
            chosen = _choose(row, columns, id_field or card.id, origin, card)
        for field in (chosen.question, *chosen.ids):
            if row.get(field) in (None, ""):
                raise DataError(f"{origin}:{number}: no value in column {field!r}", "fill it, or take the row out")
        problem_id = "-".join(str(row[field]) for field in chosen.ids) if chosen.ids else str(number)
        if problem_id in seen:
            raise DataError(
                f"{origin}:{number}: id {problem_id!r} was used on line {seen[problem_id]}",
                "--id-field COLUMN (or A+B) names another id",
            )
        seen[problem_id] = number
        yield _example(row, problem_id, chosen, card, f"{origin}:{number}")
    if chosen is None:
        raise DataError(
            f"{origin} holds no problems" + (" that the card asks for" if card.where or card.holdout else ""),
            "a row for each problem: a question and an answer",
        )


def _example(row: Mapping[str, Any], problem_id: str, chosen: _Chosen, card: Card, where: str) -> Example:
    options = _options(row, card, where)
    target = read(row.get(chosen.target), card.target_in) if chosen.target else None
    metadata = {name: _plain(row.get(column)) for name, column in chosen.metadata.items()}
    metadata = {name: value for name, value in metadata.items() if value is not None}
    context = str(row[chosen.context]) if chosen.context and row.get(chosen.context) else None
    problem = Problem(problem_id, str(row[chosen.question]), context, options)
    example = Example(problem, target, metadata, _tolerance(row, card, where))
    if options:
        metadata["choices"] = list(options)
        raw = row.get(chosen.target) if chosen.target else None
        example = replace(example, target=lettered(str(raw) if str(raw) in options else target, options))
    return arranged(example, problem_id) if card.permute else example


def _options(row: Mapping[str, Any], card: Card, where: str) -> tuple[str, ...] | None:
    if isinstance(card.choices, tuple):
        if missing := [c for c in card.choices if row.get(c) in (None, "")]:
            raise DataError(f"{where}: no value in column {missing[0]!r}", "fill it, or take the row out")
        return tuple(str(row[c]) for c in card.choices)
    choices = row.get(card.choices or "choices")
    return tuple(map(str, choices)) if isinstance(choices, list) and choices else None


def _tolerance(row: Mapping[str, Any], card: Card, where: str) -> Within | None:
    value = row.get(card.tolerance) if card.tolerance else None
    if value in (None, "") or (isinstance(value, float) and math.isnan(value)):
        return None
    try:
        return Within(tuple(float(part) if part.strip() else 0.0 for part in str(value).split(",")))
    except ValueError:
        raise DataError(
            f"{where}: {value!r} in column {card.tolerance!r} is no number", "a number, or nothing, in that column"
        ) from None


def _plain(value: Any) -> Any:
    """A value as records keep it: text, number or list of texts; None for none."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, list):
        return [str(v) for v in value]
    return value if isinstance(value, int | float | str) else str(value)


def _choose(row: Mapping[str, Any], columns: Columns, id_field: str | None, origin: str, card: Card) -> _Chosen:
    for name in (*METADATA_FIELDS, "tolerance"):
        given: str | None = getattr(card, name)
        if given is not None and given not in row:
            raise DataError(f"{origin}: no column {given!r} ({name}); it has {', '.join(row)}", "mend the card")
    found = {
        name: getattr(card, name) or next((f for f in usual if f in row), None)
        for name, usual in METADATA_FIELDS.items()
    }
    return _Chosen(
        _column(row, columns.question or card.question, QUESTION_FIELDS, origin, "--question-field"),
        _optional(row, columns.target or card.target, TARGET_FIELDS, origin, "--target-field"),
        _optional(row, columns.context or card.context, ("context",), origin, "--context-field"),
        id_field.split("+") if id_field else _usual_id(row),
        {name: column for name, column in found.items() if column},
    )


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


def read(value: object, target_in: str = "value") -> str | None:
    """A target as text; None where there is none, or where a solution has no box.

    Numbers that are integers lose their ".0", also where they come as text; several answers are joined by commas.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if target_in == "list":
        value = _listed(value)
    if isinstance(value, list | tuple):
        return ", ".join(filter(None, map(read, value))) or None
    text = str(value)
    if target_in == "solution":
        return boxed(text) or hashed(text)
    found = read_target(text) or text
    integer = _INTEGER.fullmatch(found)
    return integer[1] if integer else found


def _listed(value: object) -> object:
    """A list that came as its text, such as "['2', '3']" in a CSV."""
    if isinstance(value, str) and value.strip()[:1] == "[":
        try:
            parsed = ast.literal_eval(value.strip())
        except (ValueError, SyntaxError):
            return value
        return parsed if isinstance(parsed, list) else value
    return value
