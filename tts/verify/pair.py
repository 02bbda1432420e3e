"""Reads the two sides of a pair to grade, where each may be a bare value or a whole text."""

from __future__ import annotations

import re

from tts.verify.choice import letter, option_in
from tts.verify.extract import answered_part, bare, extract, is_cut, is_prose, last_number, phrase, read_target
from tts.verify.spelled import spelled_number

_NUMERIC = re.compile(
    r"[-−+]?[$€£]?\s*\d(?:[\d.]|,(?=\d)|\{,\}|\s(?=\d{3}\b))*\s*(?:/\s*\d+)?\s*(?:\\?%|\\?\$)?|[-−+]?\.\d+"
)
_FORMULA = re.compile(r"\$\$(.+?)\$\$|\\\[(.+?)\\\]|\\\((.+?)\\\)|(?<![\\\w])\$([^$]+?)(?<!\\)\$", re.DOTALL)


_QUALIFIED = re.compile(
    r"(?:at (?:least|most)|(?:less|more|fewer|greater|larger|smaller|other) than|not|no (?:less|more) than|up to|over"
    r"|under)\s+\S+|\S+\s+or (?:more|less|fewer|greater)",
    re.IGNORECASE,
)
_SEVERAL = re.compile(r",|;|\band\b|\bor\b|\\pm")
_BETWEEN = re.compile(r"\s*(?:,|;|,?\s*(?:and|or))\s*")


def _stands(text: str) -> bool:
    """Texts that look like prose around a number but say another thing: "at least 5", "one half"."""
    flat = text.strip(" .*$\n")
    return len(flat) <= 80 and (bool(_QUALIFIED.fullmatch(flat)) or spelled_number(flat) != flat)


def _together(text: str, formulas: list[str]) -> list[str]:
    """The last formulas of the text that only commas, "and" or "or" part: $x=1$ and $x=2$."""
    spans = [m.span() for m in _FORMULA.finditer(text) if any(g and g.strip() for g in m.groups())]
    first = len(spans) - 1
    while first > 0 and _BETWEEN.fullmatch(text, spans[first - 1][1], spans[first][0]):
        first -= 1
    return formulas[first:]


def _is_number(target: str) -> bool:
    stripped = target.strip().strip("$").strip()
    return bool(_NUMERIC.fullmatch(stripped)) or bool(re.fullmatch(r"-?\\[dt]?frac\s*\{?\d+\}?\s*\{?\d+\}?", stripped))


def read_pair(answer: str, target: str) -> tuple[str | None, str | None]:
    """(answer, target) ready for a checker.

    A marker in either text (\\boxed, ####, "the answer is") wins; otherwise the text is taken bare. A response in
    prose without a marker gives its last formula, or its last number if the target is a number; otherwise itself.
    """
    wanted = read_target(target)
    if wanted is not None and "\\boxed" not in target and "####" not in target and is_prose(wanted):
        wanted = phrase(wanted) or wanted
    part = answered_part(answer)
    if part is None or not part.strip():
        return None, wanted
    found = extract(part, ("boxed", "hash", "phrase"))
    if found is None and is_cut(part):
        return None, wanted
    if found is None:
        found = bare(part) or _from_prose(part, wanted)
    elif wanted is not None and _is_number(wanted) and is_prose(found) and not _stands(found):
        found = _from_prose(found, wanted) or found
    elif wanted is not None and letter(wanted) and letter(found) is None:
        first = re.match(r"[(\[*\s]*([A-J])(?![\w'’])", found)
        found = first[1] if first else option_in(found) or option_in(part) or found
    return found, wanted


def _from_prose(text: str, target: str | None) -> str | None:
    """The answer in running text without a marker."""
    if _stands(text):
        return text.strip()
    if target is not None and letter(target):
        return option_in(text) or text.strip()
    formulas = [next(g for g in m.groups() if g is not None).strip() for m in _FORMULA.finditer(text[-20_000:])]
    formulas = [f for f in formulas if f]
    if target is not None and _is_number(target):
        if formulas and text.rstrip(" .\n").endswith("$"):
            return formulas[-1]
        first = re.match(
            r"\s*[-−]?\$?\d[\d,]*(?:\.\d+)?(?:\s+(?:hundred|thousand|million|billion|trillion)\b)?(?=\s|$)", text
        )
        if first and "\n" not in text.strip() and not re.search(r"[=\d]", text[first.end() :]):
            return first[0].strip()
        return last_number(text)
    if formulas:
        return ", ".join(_together(text[-20_000:], formulas)) if target and _SEVERAL.search(target) else formulas[-1]
    return text.strip() if len(text) < 2_000 else None
