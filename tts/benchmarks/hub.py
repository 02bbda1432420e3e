"""Rows of a card: from the Hugging Face hub at its revision, or a local file, and which of them are meant."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tts.benchmarks.card import Card
from tts.errors import DataError, InputError
from tts.rows import FILE_SUFFIXES

Rows = Iterable[tuple[int, dict[str, Any]]]


class HubUnreachable(InputError):
    """A benchmark's data are on the hub, and it does not answer or has no such thing."""


def local_override(name: str) -> Path | None:
    """`$TTS_DATA/NAME.jsonl`, .csv or .parquet."""
    folder = os.environ.get("TTS_DATA")
    if not folder:
        return None
    candidates = (Path(folder).expanduser() / f"{name}{suffix}" for suffix in FILE_SUFFIXES)
    return next((c for c in candidates if c.is_file()), None)


def hub_rows(card: Card) -> tuple[Rows, str]:
    """The rows, numbered from 1, and the commit they are from.

    Raises:
        HubUnreachable: no network, no such dataset, or an account that may not read it.
        InputError: the card names no dataset.
    """
    import datasets

    if card.hub is None:
        raise InputError(
            f"benchmark {card.name!r} names neither a hub dataset nor a file",
            "hub = … or file = … in its card; or NAME=FILE",
        )
    more: dict[str, Any] = {"data_files": card.data_files} if card.data_files else {}
    if card.columns:
        more |= {"streaming": True, "columns": list(card.columns)}
    try:
        revision = card.revision or _head(card.hub)
        data = datasets.load_dataset(card.hub, card.config, split=card.split, revision=revision, **more)
        return [(number, dict(row)) for number, row in enumerate(data, 1)], revision or "main"
    except Exception as error:
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise HubUnreachable(f"cannot load {card.hub} from the Hugging Face hub: {said}", _hint(card)) from error


def _head(hub: str) -> str | None:
    """The commit that the main branch is at, so that the manifest says what was loaded; None where the hub does not
    say: the data may still be in its local cache.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    try:
        commit: str | None = HfApi().dataset_info(hub).sha
    except (HfHubHTTPError, OSError):
        return None
    return commit


def _hint(card: Card) -> str:
    local = f"give a local copy: tts eval {card.name}=FILE, or TTS_DATA=FOLDER with {card.name}.jsonl"
    if card.gated:
        page = f"https://huggingface.co/datasets/{card.hub}"
        return f"this dataset is gated: accept its terms at {page}, then `hf auth login`; or {local}"
    return f"with no network, {local}"


def meant(rows: Rows, card: Card, question: str | None) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows that the card asks for: those in range, and of them the hold-out.

    Raises:
        DataError: a row lacks a column that decides.
    """
    for number, row in rows:
        if missing := card.where.keys() - row.keys():
            raise DataError(
                f"row {number} has no column {min(missing)!r}; it has {', '.join(row)}",
                "mend the card, or give NAME=FILE",
            )
        if all(_between(row.get(column), *ends) for column, ends in card.where.items()) and _held_out(
            row, card, question
        ):
            yield number, row


def _between(value: object, low: float, high: float) -> bool:
    try:
        return low <= float(str(value)) <= high
    except ValueError:
        return False


def _held_out(row: Mapping[str, Any], card: Card, question: str | None) -> bool:
    if card.holdout is None:
        return True
    digest = hashlib.sha256(str(row.get(question or "question")).encode()).digest()
    return int.from_bytes(digest[:8]) % card.holdout == 0
