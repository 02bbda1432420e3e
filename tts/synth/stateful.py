"""Word problems taken apart into a context and a question (Lin et al. 2025, arXiv:2504.13171, section 4.1)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

TITLES = frozenset({"mr", "mrs", "ms", "dr", "prof", "st", "jr", "sr", "vs", "approx", "e.g", "i.e"})
BEFORE_NUMBERS = frozenset({"no", "p", "pp", "fig", "eq", "vol"})
_END = re.compile(r"[.!?]+[\"')\]]*(?=\s|$)")
_LAST_WORD = re.compile(r"([A-Za-z][A-Za-z.]*)\.$")


def sentences(text: str) -> list[str]:
    """The sentences of a text. A point inside a number, after an initial or a known abbreviation ends none, nor does
    one before a lower-case letter.
    """
    found, begin = [], 0
    for end in _END.finditer(text):
        piece, rest = text[begin : end.end()], text[end.end() :].lstrip()
        word = _LAST_WORD.search(piece) if end[0] == "." else None
        if rest and (rest[0].islower() or (word and _goes_on(word[1], rest))):
            continue
        found.append(piece.strip())
        begin = end.end()
    if tail := text[begin:].strip():
        found.append(tail)
    return found


def _goes_on(word: str, rest: str) -> bool:
    """Whether the point after `word` belongs to it."""
    name = word.lower()
    return name in TITLES or bool(re.fullmatch(r"[A-Z]", word)) or (name in BEFORE_NUMBERS and rest[0].isdigit())


def as_the_paper_does(text: str) -> list[str]:
    """Split at every full stop, decimals and abbreviations too, as create_stateful_gsm_symbolic.py of
    letta-ai/sleep-time-compute does.
    """
    return [f"{piece.strip()}." for piece in text.strip().rstrip(".").split(".") if piece.strip()]


def split(text: str, *, paper_compat: bool = False) -> tuple[str, str] | None:
    """Everything but the last sentence, and the last sentence; None where there is nothing before the question."""
    parts = (as_the_paper_does if paper_compat else sentences)(text)
    if len(parts) < 2:
        return None
    question = parts[-1]
    return " ".join(parts[:-1]), question.removesuffix(".") if paper_compat and "?" in question else question


def stateful_row(row: Mapping[str, Any], column: str, *, paper_compat: bool = False) -> dict[str, Any] | None:
    """A row with `context` and `question` in place of its question's column, all other columns kept."""
    parts = split(str(row[column]), paper_compat=paper_compat)
    if parts is None:
        return None
    return {**{k: v for k, v in row.items() if k != column}, "context": parts[0], "question": parts[1]}
