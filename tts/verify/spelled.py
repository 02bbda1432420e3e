"""Numbers in words: fourteen, one hundred and five, two thirds."""

from __future__ import annotations

from tts.verify.reading import tidy, words

_ONES = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
seventeen eighteen nineteen"""
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_SMALL = {word: n for n, word in enumerate(words(_ONES))}
_SMALL |= {word: 20 + 10 * n for n, word in enumerate(words(_TENS))}
_LARGE = {"thousand": 1_000, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_PARTS = {"half": 2, "halves": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7,
          "eighth": 8, "ninth": 9, "tenth": 10, "twelfth": 12, "hundredth": 100}  # fmt: skip


_ORDINALS = words("first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth")


def spelled_number(text: str) -> str:
    """Digits for a number in words that is alone in its text, n/d for a fraction; any other text as it is."""
    if len(text) > 80:
        return text
    said = tidy(text).casefold().replace("-", " ").split()
    if len(said) == 1 and said[0] in _ORDINALS:
        return str(1 + _ORDINALS.index(said[0]))
    if not said or not all(w in _SMALL or w in _LARGE or w in ("hundred", "and", "a") or _part(w) for w in said):
        return text
    below = _part(said[-1])
    above = _whole(said[:-1] if below else said)
    if below and said[:-1] in ([], ["a"], ["one"]):
        above = 1
    if above is None:
        return text
    return f"{above}/{below}" if below else str(above)


def _part(word: str) -> int | None:
    return _PARTS.get(word) or _PARTS.get(word.removesuffix("s"))


def _whole(said: list[str]) -> int | None:
    """The value of number words; None where they are none, as in "five six"."""
    if any(w not in _SMALL and w not in _LARGE and w not in ("hundred", "and", "a") for w in said):
        return None
    total = group = 0
    room, started = 0, False  # what may still be added to the group: tens, then ones
    for i, word in enumerate(said):
        if word == "and":
            if not 0 < i < len(said) - 1 or said[i - 1] not in ("hundred", *_LARGE):
                return None
        elif word == "a":
            if i or len(said) < 2 or said[1] not in ("hundred", *_LARGE):
                return None
            group, started, room = 1, True, 0
        elif word in _SMALL:
            value = _SMALL[word]
            if started and (value >= room or value == 0):
                return None
            group, started = group + value, True
            room = 10 if value >= 20 else 0
        elif word == "hundred":
            if not 0 < group < 100:
                return None
            group, room = group * 100, 100
        else:
            if not started or not group:
                return None
            total, group, room = total + group * _LARGE[word], 0, 1_000
    return total + group if started else None
