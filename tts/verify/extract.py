"""Finds the answer in a whole model response, and the target in a dataset's solution text.

Every method looks for a marker that says "this is the answer"; none takes some number that happens to stand in the
text, except `last-number`, which a caller asks for when the target is known to be a number. All of it is linear in
the text. An unclosed `<think>` means that the model never got to answering.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from tts.verify.choice import ANSWER, IS, option_in

DEFAULT: tuple[str, ...] = ("boxed", "hash", "phrase", "bare")
_UNCLOSED = re.compile(r"^\\{1,2}boxed\s*\{")
_TAIL = 20_000
"""Markers other than boxes and hashes are looked for in this many characters at the end."""

_BOX = re.compile(r"\\(?:boxed|fbox|framebox|beginboxed)\s*(?=[{A-Za-z0-9])")
_GLUE = re.compile(
    r"(?:[\s,;.&$]|\\[,;:! \\()\[\]]|\\q?quad|and\b|or\b|\\text\w*\s*\{[^{}]{0,40}\b(?:and|or)\b[^{}]{0,10}\}|\+{3,}"
    r"|\\text\w*\{\s*\}|[A-Za-z](?:_\{?\w{1,3}\}?)?\s*=|\*\*|\\){0,30}"
)
_HASH = re.compile(r"####[ \t]*([^\n]*)")
_PHRASE = re.compile(
    rf"(?:\b(?:final|correct)\b\W{{0,3}})?{ANSWER}\s*(?:\([^()\n]{{0,30}}\)\s*)?\*{{0,2}}\s*{IS}\s*|\bA:\s",
    re.IGNORECASE,
)
_FINAL = re.compile(r"\bfinal answer\b\W{0,3}(?:is\s|:)\s*(?!.{0,60}boxed)", re.IGNORECASE)
_NUMBER = re.compile(
    r"[-−+]?(?:\$\s*)?(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+\.\d+|\.\d+|\d+)(?:\s*/\s*\d+(?!\d|\.\d))?"
    r"(?:\s*\\?%|\s+(?:hundred|thousand|million|billion|trillion)\b)?"
)
_PROSE = re.compile(r"(?<![^\W\d_])[^\W\d_]{2,}(?:[^\S\n]+[^\W\d_]{2}|\.\s+[A-Z])")
_REASONS = re.compile(
    r",?\s+not\s+-?[\d.,]+(?=\s|$)|,?\s+(?:rather than|because|since|as|which|so that|where|when|due)\s"
)
_TAG = re.compile(r"</?think(?:ing)?>", re.IGNORECASE)


def answered_part(text: str) -> str | None:
    """What comes after the thinking; None if the thinking never ended."""
    end = 0
    is_open = False
    for match in _TAG.finditer(text):
        is_open = not match[0].startswith("</")
        if not is_open:
            end = match.end()
    if is_open:
        return None
    return text[end:]


def _balanced(text: str, start: int) -> int:
    """Index just after the brace matching the one at `start`, or -1."""
    depth = 0
    for match in re.compile(r"\\.|[{}]", re.DOTALL).finditer(text, start):
        if match[0] == "{":
            depth += 1
        elif match[0] == "}":
            depth -= 1
            if depth == 0:
                return match.end()
    return -1


def _boxes(text: str) -> list[tuple[int, int, str]]:
    """(start, end, content) of the last boxes that stand side by side, outermost only; [] if none closes."""
    found: list[tuple[int, int, str]] = []
    starts = list(_BOX.finditer(text))
    budget = 2 * len(text) + 1_000
    for match in reversed(starts):
        if budget < 0:
            break
        at = match.end()
        if text[at] != "{":
            word = re.compile(r"[A-Za-z0-9]+").match(text, at)
            end, content = (word.end(), word[0]) if word and match[0][-1].isspace() else (-1, "")
        else:
            end = _balanced(text, at)
            budget -= (end if end > 0 else len(text)) - at
            content = text[at + 1 : end - 1]
        if end < 0:
            continue
        if found and end > found[-1][0]:  # this one holds the last one
            if end >= found[-1][1]:
                found = [f for f in found if f[0] > end]
            else:
                continue
        if found and not _GLUE.fullmatch(text, end, found[-1][0]):
            break
        found.append((match.start(), end, content))
        if len(found) >= 50:
            break
    return found[::-1]


def boxed(text: str) -> str | None:
    """The last \\boxed or \\fbox; several side by side ("\\boxed{2} and \\boxed{3}") are one list."""
    contents = [c.strip() for _, _, c in _boxes(text)]
    contents = [c for c in contents if c]
    if not contents:
        return None
    seen = list(dict.fromkeys(contents))
    return ", ".join(_unboxed(c) for c in seen)


def is_cut(text: str) -> bool:
    """Whether the last box never closes: the response was cut inside its answer."""
    starts = [m.end() for m in _BOX.finditer(text)]
    return bool(starts) and text[starts[-1]] == "{" and _balanced(text, starts[-1]) < 0


def _unboxed(text: str) -> str:
    match = _BOX.match(text.strip())
    if match and text.strip()[match.end()] == "{" and text.strip().endswith("}"):
        return text.strip()[match.end() + 1 : -1]
    return text


def superseded(text: str) -> bool:
    """Whether "Final answer: ..." comes after the last box, which then held a step."""
    last = text.rfind("boxed")
    return last >= 0 and any(_said(text[m.end() :]) for m in _FINAL.finditer(text, max(last, len(text) - _TAIL)))


def hashed(text: str) -> str | None:
    """GSM8K's `#### 42`, the last one."""
    last = None
    for match in _HASH.finditer(text):
        if match[1].strip(" #*"):
            last = match
    if last is None:
        return None
    return last[1].strip(" *#").rstrip(".") or None


def phrase(text: str) -> str | None:
    """After "the answer is", "Final answer:", "Answer:" and the like, the last one that something follows."""
    tail = text[-_TAIL:]
    for match in reversed(list(_PHRASE.finditer(tail))):
        value = _said(tail[match.end() :].lstrip("} "))
        if value:
            return value
    return None


def _said(rest: str) -> str | None:
    """The answer at the start of `rest`: a formula, or the sentence up to its end, without emphasis."""
    rest = rest.lstrip(' \t\n*_:"\\' if rest.lstrip()[:2] == '\\"' else " \t\n*_:")[:2_000]
    block = re.match(r"(\$\$|\\\[|\\\(|\$)(.+?)(\$\$|\\\]|\\\)|\$)", rest, re.DOTALL)
    if block and block.start() == 0 and not block[2][0].isdigit():
        return block[2].strip()
    line = rest.split("\n", 1)[0]
    bold = re.match(r"(.{1,200}?)\*\*", line)
    if bold:
        line = bold[1]
    sentence = re.split(r"(?<=[^A-Z\d])\.(?=\s|$)|(?<=[\d)}\]$])\.(?=\s|$)|(?<=[A-Z])\.\s", line, maxsplit=1)[0]
    sentence = re.split(
        r",?\s+not\s+-?[\d.,]+(?=\s|$)|,?\s+(?:rather than|because|since|as|which|so that|where|when|due)\s",
        sentence,
        maxsplit=1,
    )[0]
    sentence = sentence.strip().strip("*_` ").rstrip(".,;")
    wordy = re.match(r"(?:The|the|That|It|A|An)\s+[^=]{1,80}?\s(?:is|are|equals?|=)\s+(.+)", sentence)
    return (wordy[1] if wordy else sentence).strip() or None


def last_number(text: str) -> str | None:
    """The last number in the text, as printed but for commas and currency."""
    tail = text[-_TAIL:]
    last = None
    for match in _NUMBER.finditer(tail):
        last = match
    if last is None:
        return None
    value = last[0].replace("$", "").replace(",", "").strip()
    before = tail[last.start() - 1 : last.start()] if last.start() else ""
    if value[:1] in "-−+" and (before.isalnum() or before in ")]"):
        value = value[1:]
    return value.lstrip("+")


def bare(text: str) -> str | None:
    """The whole text, if it is one short line without prose."""
    line = text.strip()
    if not line or "\n" in line or len(line) > 400 or _BOX.search(line) or is_prose(line):
        return None
    return line


def is_prose(text: str) -> bool:
    """Whether a text has sentences or running words in it, outside \\text{...}."""
    flat = re.sub(r"\\(?:text|mathrm|mbox|operatorname|textbf|textrm)\w*\s*\{[^{}]*\}|\\[A-Za-z]+", " ", text[:5_000])
    return bool(_PROSE.search(flat)) or any("\u4e00" <= c <= "\u9fff" for c in flat[:500])


def tagged(text: str) -> str | None:
    """What stands between the last <answer> and its end, over several lines where it does."""
    end = text.rfind("</answer>")
    start = text.rfind("<answer>", 0, end) if end >= 0 else -1
    return text[start + len("<answer>") : end].strip("\n").rstrip() or None if start >= 0 else None


_METHODS: dict[str, Callable[[str], str | None]] = {
    "boxed": boxed,
    "tag": tagged,
    "hash": hashed,
    "phrase": phrase,
    "choice": option_in,
    "last-number": last_number,
    "bare": bare,
}


def extract(text: str, methods: Sequence[str] = DEFAULT) -> str | None:
    """The answer in a whole response, by the first method that finds one; None if none does.

    `methods`: boxed, tag, hash, phrase, choice, last-number, bare.
    """
    part = answered_part(text)
    if part is None:
        return None
    for i, method in enumerate(methods):
        found = _METHODS[method](part)
        if found is not None and not (method == "boxed" and "phrase" in methods[i:] and superseded(part)):
            return found
    return None


def read_target(text: str) -> str | None:
    """The target in a dataset's field: a GSM8K solution with `####`, a MATH solution with \\boxed, or a bare value."""
    found = hashed(text) if "####" in text else None
    if found is None:
        found = boxed(text)
    if found is None:
        found = _UNCLOSED.sub("", text.strip())
    return found or None
