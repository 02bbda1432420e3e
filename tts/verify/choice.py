"""Answers in words and option letters: text equality, synonyms, (B) against "B" or against the option's content."""

from __future__ import annotations

import re

from tts.verify.reading import plain, tidy

_LETTER = re.compile(r"\(?\[?([A-Ja-j])[\])]?[.:)]?")
_OPTION = re.compile(
    r"[(\[]?([A-J])(?:[)\]]|[.:)])\s*\S|[(\[]([A-J])[)\]]$"
    r"|(?:option|choice|answer)\s*:?\s*[(\[]?([A-J])\b[)\]]?",
    re.IGNORECASE,
)
_SPOKEN = re.compile(
    r"^[(\[]?([A-J])[)\].]*\s*(?=[^\x00-\x7f]|\n|$)"
    r"|\b(?:it's|it is|is|answer:?|option|choose|est|ist|es)\s+"
    r"(?:for sure |definitely |clearly |option |choice |letter )?[(\[]?([A-J])(?:[)\]]|\b)(?!')"
)
_SYNONYMS = [
    {"no solution", "no solutions", "no real solution", "no real solutions", "none", "does not exist", "dne",
     "not exist", "doesn't exist", "empty set", "emptyset", "varnothing", "∅", "there is no solution", "no such value",
     "undefined", "impossible", "no", "not possible"},
    {"yes", "true", "correct"},
    {"false", "incorrect"},
    {"infinity", "infty", "∞", "inf", "oo", "infinite", "infinitely many", "infinitely many solutions"},
    {"all real numbers", "all reals", "mathbb r", "r", "real numbers", "any real number", "reals"},
]  # fmt: skip


def letter(text: str) -> str | None:
    """The option letter a text consists of: B, (b), \\text{(B)}, \\textbf{B.}"""
    flat = tidy(text)
    match = _LETTER.fullmatch(flat)
    return match[1].upper() if match else None


def option_in(text: str) -> str | None:
    """The option letter that a text names: "(B) 12", "I think it's B", "B. because"; never a letter in passing."""
    head = text.strip()[:2_000]
    match = _OPTION.match(re.sub(r"\\text\w*\s*\{|[{}$*]", "", head))
    if match:
        return next(g for g in match.groups() if g).upper()
    found = None
    for match in _SPOKEN.finditer(head):
        found = next(g for g in match.groups() if g)
    return found.upper() if found else None


def text_same(answer: str, target: str) -> bool:
    """Whether two texts say the same but for markup, case, articles and closing punctuation."""
    a, t = plain(answer), plain(target)
    if a == t:
        return bool(a) or answer.strip() == target.strip()
    return any(a in group and t in group for group in _SYNONYMS)


def choice_same(answer: str, target: str) -> bool | None:
    """Verdict where the target is an option letter, alone or with its content; None where it is none."""
    wanted = letter(target)
    if wanted is not None and target.strip(" $()[].").isascii():
        given = letter(answer)
        if given is not None:
            return given == wanted if wanted == given or target.strip().strip("$") != "i" else None
        named = option_in(answer)
        return named == wanted if named is not None else None
    match = re.match(r"\s*(?:\\text\w*\{)?\s*[(\[]([A-J])[)\]]\}?\s*[:.]?\s*(.+)", target, re.DOTALL)
    if match:
        given = letter(answer) or option_in(answer)
        if given is not None:
            return given == match[1]
        return True if text_same(answer, match[2]) else None
    return None
