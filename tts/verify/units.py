"""Units written in words after a number: which mean the same, and which convert."""

from __future__ import annotations

import re
from fractions import Fraction

_TABLE: dict[str, dict[str, str]] = {
    "length": {"mm": "1/1000", "millimeter": "1/1000", "cm": "1/100", "centimeter": "1/100", "dm": "1/10", "m": "1",
               "meter": "1", "metre": "1", "km": "1000", "kilometer": "1000", "inch": "0.0254", "in": "0.0254",
               "ft": "0.3048", "foot": "0.3048", "feet": "0.3048", "yard": "0.9144", "yd": "0.9144", "mile": "1609.344",
               "mi": "1609.344"},
    "mass": {"mg": "1/1000", "milligram": "1/1000", "g": "1", "gram": "1", "kg": "1000", "kilogram": "1000",
             "ton": "1000000", "tonne": "1000000"},
    "time": {"ms": "1/1000", "s": "1", "sec": "1", "second": "1", "min": "60", "minute": "60", "h": "3600",
             "hr": "3600", "hour": "3600", "day": "86400", "week": "604800"},
    "volume": {"ml": "1/1000", "milliliter": "1/1000", "l": "1", "liter": "1", "litre": "1"},
    "money": {"cent": "1/100", "penny": "1/100", "dollar": "1", "usd": "1", "buck": "1"},
    "celsius": {"degc": "1"},
    "fahrenheit": {"degf": "1"},
    "angle": {"degree": "1", "deg": "1"},
}  # fmt: skip
_KNOWN = {name: (kind, Fraction(scale)) for kind, units in _TABLE.items() for name, scale in units.items()}
_POWERS = {"square": 2, "sq": 2, "cubic": 3}


def plain_unit(text: str) -> str:
    """One spelling: lower case, singular, powers as ^2."""
    words = re.sub(r"[.\\{}~]", " ", text.lower()).split()
    out, power = [], ""
    for word in words:
        if word in _POWERS:
            power = f"^{_POWERS[word]}"
            continue
        if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
            word = "inch" if word == "inches" else word[:-1]
        elif word in ("cms", "kms", "kgs", "hrs", "lbs"):
            word = word[:-1]
        out.append(word + (power if word in _KNOWN else ""))
        power = "" if word in _KNOWN else power
    return " ".join(out).replace(" ^", "^").replace(" / ", "/").replace(" per ", "/")


_ALIASES = {"mph": "mile/hour", "kph": "km/hour", "kmh": "km/hour", "kmph": "km/hour"}
_PIECES = re.compile(r"/|\^\s*-?\s*\d+|[^\W\d_]+|\S")

Measure = tuple[frozenset[tuple[str, int]], Fraction]


def _measure(text: str) -> Measure | None:
    """(what it measures, in powers of length, time, …; how many base units), or None for words that are no unit."""
    flat = plain_unit(text)
    kinds: dict[str, int] = {}
    scale, sign, last = Fraction(1), 1, ""
    for piece in _PIECES.findall(_ALIASES.get(flat, flat)):
        if piece == "/":
            sign, last = -1, ""
        elif piece in ("*", "⋅"):
            continue
        elif piece[0] == "^":
            power = int(re.sub(r"[\^\s]", "", piece))
            if not last or not -9 <= power <= 9:
                return None
            kind, size = _KNOWN[last]
            kinds[kind] += sign * (power - 1)
            scale *= size ** (sign * (power - 1))
            sign, last = 1, ""
        elif piece in _KNOWN:
            kind, size = _KNOWN[piece]
            sign = 1 if last else sign
            kinds[kind] = kinds.get(kind, 0) + sign
            scale *= size**sign
            last = piece
        else:
            return None
    return (frozenset(k for k in kinds.items() if k[1]), scale) if kinds else None


def convert(small: str, large: str) -> Fraction | None:
    """How many of the second unit one of the first is; None if either is unknown or they measure different things."""
    a, t = _measure(small), _measure(large)
    return a[1] / t[1] if a and t and a[0] == t[0] else None


def agree(answer: str, target: str) -> Fraction | None:
    """What to multiply the answer by to have it in the target's unit; None if they measure different things.

    Words that are no known unit (apples, square units) are no contradiction: 1.
    """
    a, t = _measure(answer), _measure(target)
    if a is None or t is None:
        return Fraction(1)
    return a[1] / t[1] if a[0] == t[0] else None
