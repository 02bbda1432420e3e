"""Text before tokens: one spelling for the many ways to write the same sign.

Unicode signs become their LaTeX or ASCII spelling, layout commands disappear, escapes that a JSON round trip
broke (a tab where `\\t` of `\\text` was) are repaired. Linear in the text.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from tts.verify.notation import renotate

_SIGNS = {
    "−": "-", "–": "-", "—": "-", "‐": "-", "‑": "-", "﹣": "-", "×": "*", "·": "*", "⋅": "*", "∙": "*", "•": "*",
    "÷": "/", "∕": "/", "⁄": "/", "∶": ":", "≤": "<=", "≥": ">=", "⩽": "<=", "⩾": ">=", "≠": "!=", "≈": "\\approx ",
    "≃": "\\approx ", "∞": "\\infty ", "∪": "\\cup ", "∩": "\\cap ", "∈": "\\in ", "∉": "\\notin ", "∅": "\\emptyset ",
    "√": "\\sqrt ", "∛": "\\cbrt ", "±": "\\pm ", "∓": "\\mp ", "∠": "\\angle ", "°": "\\degree ", "º": "\\degree ",
    "′": "'", "’": "'", "‘": "'", "″": "''", "“": '"', "”": '"', "…": "\\ldots ", "⋯": "\\cdots ", "∖": "\\setminus ",
    "ℝ": "\\mathbb{R}", "ℤ": "\\mathbb{Z}", "ℚ": "\\mathbb{Q}", "ℕ": "\\mathbb{N}", "ℂ": "\\mathbb{C}", "∧": " and ",
    "∨": " or ", "→": "\\to ", "∑": "\\sum ", "∏": "\\prod ", "∫": "\\int ", "ℏ": "\\hbar ", "，": ",", "。": ". ",
    "；": ";", "：": ":", "（": "(", "）": ")", "、": ",", "⟨": "\\langle ", "⟩": "\\rangle ", "⌊": "\\lfloor ",
    "⌋": "\\rfloor ", "⌈": "\\lceil ", "⌉": "\\rceil ", "½": "\\frac12 ", "¼": "\\frac14 ", "¾": "\\frac34 ",
    "⅓": "\\frac13 ", "⅔": "\\frac23 ", "⅛": "\\frac18 ", "€": "\\$", "£": "\\$", "¥": "\\$", "₹": "\\$",
    "¢": "\\text{ cents}",
    "\u00a0": " ", "\u2009": " ", "\u202f": " ", "\u200b": "", "\ufeff": "", "\u2061": "", "\u2062": "*",
}  # fmt: skip
_GREEK_NAMES = """alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi
chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega phi epsilon"""
_GREEK = dict(zip("αβγδεζηθικλμνξπρστυφχψωΓΔΘΛΞΠΣΦΨΩϕϵ", _GREEK_NAMES.split(), strict=True))
_TABLE = str.maketrans({**_SIGNS, **{letter: f"\\{name} " for letter, name in _GREEK.items()}})
_SUPER = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n")
_SUB = str.maketrans("₀₁₂₃₄₅₆₇₈₉₊₋", "0123456789+-")
_BROKEN = re.compile(r"([\t\x0c\x08\x0b\x07])(?=[a-z]{2,})")
_ESCAPES = {"\t": "\\t", "\x0c": "\\f", "\x08": "\\b", "\x0b": "\\v", "\x07": "\\a"}
_LAYOUT = re.compile(
    r"\\(?:left|right|big|Big|bigg|Bigg|bigl|bigr|Bigl|Bigr|biggl|biggr|Biggl|Biggr|displaystyle|textstyle"
    r"|scriptstyle|limits|nolimits|hfill|hline|newline|middle|mathopen|mathclose|rm|bf|it)(?![A-Za-z])\s*\.?(?<!\.)"
)
_NULL_DELIMITER = re.compile(r"\\(?:left|right)\s*\.")
_SPACES = re.compile(
    r"\\(?:[,;:! >]|qquad|quad|(?:thick|med|negthin)space|enspace\b|thinspace\b|hspace\{[^{}]*\}|phantom\{[^{}]*\})"
)
_MATH = re.compile(r"\\[()\[\]]|\$")
_DOUBLED = re.compile(r"\\\\(?=[A-Za-z]{2,}|[{}%$])")
_DROPPED = re.compile(r"\\(?:blacksquare|checkmark|therefore|qed|tag\s*\{[^{}]*\}|label\s*\{[^{}]*\})(?![A-Za-z])")
_MODULUS = re.compile(r"\(\s*\\?(?:mod|bmod|operatorname\{mod\})\s*(\w+)\s*\)")
_SHORT = 300
"""Texts up to this length are remembered: each is read several times on the way to a verdict."""
_RUN = re.compile(r"\s{3,}")
_CIRCLED = re.compile(r"[①-⑳]+")


def respell(text: str) -> str:
    """The text with one spelling for each sign; still LaTeX or ASCII, still unparsed."""
    return _known(text) if len(text) <= _SHORT else _respelled(text)


@lru_cache(maxsize=4096)
def _known(text: str) -> str:
    return _respelled(text)


def _respelled(text: str) -> str:
    text = _RUN.sub(" ", text.replace("\0", " ").replace("~", " "))
    if not text.isascii():
        text = _CIRCLED.sub(lambda m: ",".join(str(ord(c) - 0x245F) for c in m[0]), text)
        text = re.sub(r"[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ]+", lambda m: "^{" + m[0].translate(_SUPER) + "}", text)
        text = re.sub(r"[₀₁₂₃₄₅₆₇₈₉₊₋]+", lambda m: "_{" + m[0].translate(_SUB) + "}", text)
        text = unicodedata.normalize("NFKC", text.translate(_TABLE))
        text = re.sub(r"[^\W\D]", lambda m: str(unicodedata.decimal(m[0])), text)  # digits of any script
    text = _BROKEN.sub(lambda m: _ESCAPES[m[0]], text)
    if "\\\\" in text and "\\begin" not in text:
        text = _DOUBLED.sub(r"\\", text)
    if "{" in text:
        text = re.sub(r"(?<=\d)\s*\{\s*,\s*\}\s*(?=\d)", "{,}", text)
    if "\\" in text:
        text = re.sub(r",\\!\s*", "{,}", text).replace("\\{,}", "{,}")
        text = _NULL_DELIMITER.sub(" ", text)
        text = _LAYOUT.sub(" ", text)
        text = text.replace("\\\\", "\0")  # a row separator, not an escaped space
        text = _RUN.sub(" ", _SPACES.sub(" ", text)).replace("\0", "\\\\")
        text = _DROPPED.sub(" ", text)
    text = renotate(text)
    if "mod" in text:
        text = _MODULUS.sub(r"\\pmod{\1}", text)
    return _MATH.sub(" ", text.replace("\\$", " "))


_WRAPPED = re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mbox|textnormal|operatorname|emph)\s*\{([^{}]*)\}")


def words(text: str) -> list[str]:
    """The words of a table."""
    return text.split()


def tidy(text: str) -> str:
    """A text with one spelling for signs and spaces and without a closing stop; what it says is untouched."""
    return _tidied(text) if len(text) <= _SHORT else _tidied.__wrapped__(text)


@lru_cache(maxsize=4096)
def _tidied(text: str) -> str:
    text = _WRAPPED.sub(r" \1 ", respell(text))
    return _SHOUTED.sub("", re.sub(r"\s+", " ", text).strip().rstrip(".,;:? ")).rstrip(".,;:? ")


_SHOUTED = re.compile(r"(?<=[A-Za-z]{2})!+$")  # 5! is no 5
_WORDY = re.compile(r"[^\W\d_]{2,}")
_MATHEMATICAL = re.compile(r"[=+<>^|/\\_(]|\d")


def plain(text: str) -> str:
    """A form in which two wordings of one text are equal; for mathematics only spaces and signs are unified."""
    text = tidy(text)
    if _MATHEMATICAL.search(text) or not _WORDY.search(text):
        return text
    if text.startswith("-"):
        return text
    text = re.sub(r"[\s_*`\"'{}-]+", " ", text).strip().casefold()
    return re.sub(r"^(?:the|an|all|a)\s+(?=\w)", "", text)
