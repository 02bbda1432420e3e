"""Notations that stand for a simpler one, rewritten before tokens: repeating decimals, choices, maps, currency.

Each is a bounded pattern over the text; what it gives is LaTeX that the grammar already reads.
"""

from __future__ import annotations

import re

_INDEX = r"(?:\{\s*(\w{1,12})\s*\}|(\w))"
_LETTER = r"\s*(?:\\(?:mathrm|text|mathbf|rm)\s*\{\s*([CP])\s*\}|([CP]))\s*"
_CHOICES = [
    re.compile(r"(?:\{\s*\}\s*|(?<![\w})\]])\s*)_\s*" + _INDEX + _LETTER + r"_\s*" + _INDEX),  # _5C_2
    re.compile(r"(?:\{\s*\}\s*|(?<![\w})\]])\s*)\^\s*" + _INDEX + _LETTER + r"_\s*" + _INDEX),  # ^5C_2
]
_PLAIN_CHOICE = re.compile(r"(?<![\w.^_\\])(\d{1,4})\s?" + _LETTER + r"\s?(\d{1,4})(?![\w.^_])")  # 5C2
_STACKED = re.compile(
    r"(?<![\w\\}])(?:\\mathrm\s*\{\s*)?([CAP])\s*\}?_\s*(?:\{(\d{1,4})\}|(\d))\s*\^\s*(?:\{(\d{1,4})\}|(\d))"
)  # C_5^2
_DOTTED = re.compile(r"(?<![\d.])(\d*\.\d*)\s*\\dot\s*\{?(\d)\}?(?:(\d*)\s*\\dot\s*\{?(\d)\}?)?")
_BRACKETED = re.compile(r"\s*(-?\s*(?:0?\.\d{0,40}|\d{1,40}\.))\((\d{1,40})\)\s*")  # 0.1(6), 2.(3)
_ELLIPSIS = re.compile(
    r"(?<![\d.])(\d{0,40}\.\d{0,40}?)((\d{1,8}?)\3+)\s*(?:\.\.\.|\\ldots|\\dots|\\cdots)(?!\s*[,\d])"
)
_MAP = re.compile(r"^\s*(?:([A-Za-z])\s*(?::|\\colon)\s*)?([A-Za-z])\s*(?:\\mapsto|\|->)\s*")
_RATE = re.compile(r"(?<![\w\\])d\s?([A-Za-z])\s*/\s*d\s?([A-Za-z])(?![\w(])")
_TIMES_TEN = re.compile(r"(?<=\d)\s*[xX]\s*(?=10\s*(?:\^|\*\*))")
_MONEY = re.compile(r"\s*(-?)\s*\\?\$\s*(\d[\d,]*(?:\.\d+)?|\.\d+)\s*\.?\s*")
_JOINED = re.compile(r"[(\[{]|\\\{")
_OVER_INTEGERS = re.compile(
    r"[\s,;]*\(\s*[A-Za-z](?:\s*,\s*[A-Za-z])*\s*\\in\s*(?:\\mathbb\s*\{?\s*)?[ZNQR]\}?[^()]{0,10}\)\s*\.?\s*$"
)
_BRACED_SIGN = re.compile(r"\{\s*([:=])\s*\}")
_ROWS = re.compile(
    r"\\\{\s*\\begin\s*\{(array|aligned|matrix|gathered)\}(?:\s*\{[lcr|\s]*\})?(.*?)\\end\s*\{\1\}\s*(?:\\\})?\s*\.?\s*$",
    re.DOTALL,
)
_CURRENCY = re.compile(r"^\s*(?:US\s*\\?\$|Rs\.?|INR|USD|EUR|RMB|HK\\?\$)\s*(?=\d)")
_LOGARITHM = re.compile(r"\blog(2|10)\s*\(")


def _choice(letter: str, top: str, bottom: str) -> str:
    if letter == "C":
        return rf" \binom{{{top}}}{{{bottom}}} "
    return f" nPr({top},{bottom}) "


def _scripted(match: re.Match[str]) -> str:
    top, letter, bottom = (match[i] or match[i + 1] for i in (1, 3, 5))
    return _choice(letter, top, bottom)


def _repeat(match: re.Match[str]) -> str:
    head, first, middle, last = match.groups()
    return rf"{head}\overline{{{first + middle + last if last else first}}}"


def _cycle(match: re.Match[str]) -> str:
    """0.1666... is one sixth; a tail of digits that does not repeat stays as it is."""
    head, run, cycle = match.groups()
    if len(run) < 2:
        return match[0]
    return rf"{head}\overline{{{cycle}}}"


def renotate(text: str) -> str:
    """The text with these notations rewritten; linear in its length."""
    money = _MONEY.fullmatch(text) if "$" in text else None
    if money:
        return rf"{money[1]}{money[2]} \text{{ dollars}}"
    if "mapsto" in text or "|->" in text:
        text = _MAP.sub(lambda m: f"{m[1] or 'f'}({m[2]})=", text)
    if "C" in text or "P" in text or "A" in text:
        for pattern in _CHOICES:
            text = pattern.sub(_scripted, text)
        text = _PLAIN_CHOICE.sub(lambda m: _choice(m[2] or m[3], m[1], m[4]), text)
        text = _STACKED.sub(lambda m: _choice("C" if m[1] == "C" else "P", m[2] or m[3], m[4] or m[5]), text)
    if "." in text:
        if "\\dot" in text:
            text = _DOTTED.sub(_repeat, text)
        bracketed = _BRACKETED.fullmatch(text)
        if bracketed:
            text = rf"{bracketed[1]}\overline{{{bracketed[2]}}}"
        if "..." in text or "dots" in text:
            text = _ELLIPSIS.sub(_cycle, text)
    if "/" in text and "d" in text:
        text = _RATE.sub(r"\\frac{d\1}{d\2}", text)
    if "10" in text:
        text = _TIMES_TEN.sub(" * ", text)
    if "log" in text:
        text = _LOGARITHM.sub(r"log_{\1}(", text)
    if text[:1] in "UREIH" or text[:1].isspace():
        text = _CURRENCY.sub("", text)
    if "\\begin" in text:
        text = _ROWS.sub(r"\\begin{cases}\2\\end{cases}", text)
    if "\\in" in text:
        text = _OVER_INTEGERS.sub("", text)
    if "{" in text:
        text = _BRACED_SIGN.sub(r"\1", text)
    if "angle" in text:
        text = re.sub(r"(?<![\w\\])m\s*\\angle", r"\\angle", text)
    if ("\\cup" in text or "\\cap" in text) and ("<" in text or ">" in text) and not _JOINED.search(text):
        text = text.replace("\\cup", " or ").replace("\\cap", " and ")  # x < 2 \cup x > 5
    return text


_FRENCH = re.compile(r"(^\s*|\\cup\s*|\\in\s*|=\s*)([\[\]])([^][(){};,]{1,80})[;,]([^][();,]{1,80})([\[\]])")


def _english_bracket(match: re.Match[str]) -> str:
    before, left, low, high, right = match.groups()
    if left == "[" and right == "]":
        return match[0]
    return f"{before}{'(' if left == ']' else '['}{low},{high}{')' if right == '[' else ']'}"


def english_brackets(text: str) -> str:
    """]0, 1[ as (0, 1)."""
    return _FRENCH.sub(_english_bracket, text)
