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
ANSWER = (
    r"(?:\b(?:answer|r[ée]ponse|respuesta|antwort|risposta|resposta|antwoord|odpowied[źz]|svar(?:et)?|cevap|ответ|відповідь"
    r"|đáp án|jawaban|απάντηση)\b|答案|答え|正解|答|정답|답|الإجابة|الجواب|उत्तर|คำตอบ)"
    r"(?:\s+(?:correcte?|correcta|corretta|correta|finale?|final|صحيحة|الصحيحة))?"
)
"""The word for an answer in the languages that benchmarks are translated into."""
IS = (
    r"(?:(?:\b(?:is|are|was|est|es|ist|è|é|to|är|er|là|adalah|είναι)\b|应?为|应?该?是|為|は|는|은|هو|هي|है|คือ|选择?|選)"
    r"\s*[:：]?|[:：=])"
)
_SPOKEN = re.compile(
    r"^[(\[]?([A-J])[)\].]*\s*(?=[^\x00-\x7f]|\n|$)"
    r"|\b(?:therefore|thus|hence|so),?\s+[(\[]?([A-J])[)\]]?\W*$"
    rf"|(?:{ANSWER}\s*{IS}|\b(?:it's|it is|is|option|choose|pick|choice)\s|选择?|選)\s*"
    r"(?:for sure |definitely |clearly |option |choice |letter )?\**[(\[]?([A-J])(?![\w'’])",
    re.IGNORECASE,
)
_RIGHT = re.compile(r"[(\[]?\b([A-J])\b[)\]]?\s+is\s+(?:the\s+)?(?:correct|right|best|answer)|(?:^|\n)\W*([A-J])\W*$")
REALS = frozenset(["all real numbers", "all reals", "real numbers", "any real number", "reals"])
_SYNONYMS = [
    {"no solution", "no solutions", "no real solution", "no real solutions", "none", "does not exist", "dne",
     "not exist", "doesn't exist", "empty set", "emptyset", "varnothing", "∅", "there is no solution", "no such value",
     "undefined", "impossible", "no", "not possible"},
    {"yes", "true", "correct"},
    {"false", "incorrect"},
    {"infinity", "infty", "∞", "inf", "oo", "infinite", "infinitely many", "infinitely many solutions"},
    {*REALS, "mathbb r", "r"},
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
        said = next(g for g in match.groups() if g)
        if said.isupper():  # "is a" names no option
            found = said
    last = [g for match in _RIGHT.finditer(text[-500:].strip()) for g in match.groups() if g]
    return last[-1] if last else found


def text_same(answer: str, target: str) -> bool:
    """Whether two texts say the same but for markup, case, articles and closing punctuation."""
    a, t = plain(answer), plain(target)
    if a == t:
        return bool(a) or answer.strip() == target.strip()
    a, t = (re.sub(r"[\\{} ]+", " ", x).strip().casefold() for x in (a, t))
    return any(a in group and t in group for group in _SYNONYMS)


_SEVERAL = re.compile(r"[(\[]?[A-J](?:[)\]]?(?:\s*(?:,|;|&)\s*(?:and\s+)?|\s+and\s+|\s*)[(\[]?[A-J])+[)\]]?")


def _letters(text: str) -> str | None:
    """The letters of an answer to a question with several right options: ACD, "A, C and D"."""
    flat = tidy(text)
    found = "".join(re.findall(r"[A-J]", flat)) if len(flat) < 60 and _SEVERAL.fullmatch(flat) else ""
    return found if found and list(found) == sorted(set(found)) else None


def choice_same(answer: str, target: str) -> bool | None:
    """Verdict where the target is an option letter, alone or with its content; None where it is none."""
    wanted = letter(target)
    several = None if wanted else _letters(target)
    if several is not None and (given := _letters(answer)) is not None:
        return given == several
    if wanted is not None and target.strip(" $()[].").isascii():
        if target.strip(" $") == wanted.lower() and letter(answer) and answer.strip(" $") == wanted:
            return False  # the variable x is not X; option b may be written B
        given = letter(answer)
        if given is not None:
            return given == wanted if wanted == given or target.strip().strip("$") != "i" else None
        named = option_in(answer)
        return named == wanted if named is not None else None
    match = re.match(
        r"[\s$]*(?:\\(?:text\w*|mathrm|mathbf|mbox)\s*\{)?\s*[(\[]([A-J])[)\]]\}?\s*[:.]?\s*(.+)", target, re.DOTALL
    )
    if match:
        given = letter(answer) or option_in(answer)
        if given is not None:
            return given == match[1]
        return True if text_same(answer, match[2]) else None
    return None
