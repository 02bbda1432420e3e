"""Clock times and dates in words: 3:30 PM is 15:30, January 5th is 5 January."""

from __future__ import annotations

import re

from tts.verify.reading import tidy, words

_MONTHS = words("january february march april may june july august september october november december")
_DAYS = words("monday tuesday wednesday thursday friday saturday sunday")
_MONTH = "(?P<month>" + "|".join(f"{m[:3]}(?:{m[3:]})?" for m in _MONTHS) + r")\.?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_YEAR = r"(?:,?\s*(?P<year>\d{4}))?"
_WEEKDAY = "(?:(?P<weekday>" + "|".join(_DAYS) + r"),?\s+)?"
_DATES = [
    re.compile(f"{_WEEKDAY}{_MONTH}\\s+(?:the\\s+)?{_DAY}{_YEAR}", re.IGNORECASE),
    re.compile(f"{_WEEKDAY}(?:the\\s+)?{_DAY}\\s+(?:of\\s+)?{_MONTH}{_YEAR}", re.IGNORECASE),
    re.compile(r"(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})(?P<weekday>\b)"),
]
_NAMED = {"noon": 12, "12 noon": 12, "12:00 noon": 12, "midnight": 0, "12 midnight": 0, "12:00 midnight": 0}
_CLOCK = re.compile(r"(\d{1,2})(?::(\d{2}))?(?::(\d{2}))?\s*(?:(a|p)\.?\s?m\.?)?", re.IGNORECASE)


def clock(text: str) -> tuple[int, int, int, bool] | None:
    """(hour, minute, second, whether am or pm was said), on 24 hours where that is known."""
    flat = tidy(text).strip(" .").casefold()
    if flat in _NAMED:
        return _NAMED[flat], 0, 0, True
    match = _CLOCK.fullmatch(re.sub(r"(?<=\d)\s*o'?clock$", ":00", flat))
    if match is None or not (match[2] or match[4]):
        return None
    hour, minute, second = int(match[1]), int(match[2] or 0), int(match[3] or 0)
    if hour > 24 or minute > 59 or second > 59 or (match[4] and not 1 <= hour <= 12):
        return None
    if match[4]:
        hour = hour % 12 + (12 if match[4].lower() == "p" else 0)
    return hour, minute, second, bool(match[4])


def date(text: str) -> tuple[str, int, str] | None:
    """(month, day, year or '') of a date in words or in ISO form."""
    flat = tidy(text)
    for pattern in _DATES:
        match = pattern.fullmatch(flat)
        if match:
            month = match["month"].lower()[:3]
            number = int(month) if month.isdecimal() else [m[:3] for m in _MONTHS].index(month) + 1
            return str(number), int(match["day"]), match["year"] or ""
    return None


def calendar_same(answer: str, target: str) -> bool | None:
    """Verdict on two times or two dates; None where either text is neither."""
    if len(target) > 40 or len(answer) > 60 or not any(c.isdecimal() for c in target):
        return None
    a, t = clock(answer), clock(target)
    if a and t and ("clock" in answer or "clock" in target):
        return a[1:3] == t[1:3] and a[0] % 12 == t[0] % 12 and (not (a[3] and t[3]) or a[0] == t[0])
    if a and t and (a[3] or t[3]):
        return a[:3] == t[:3] or (t[3] and not a[3] and a[0] == (t[0] % 12 or 12) and a[1:3] == t[1:3])
    dates = date(answer), date(target)
    if dates[0] and dates[1]:
        return dates[0][:2] == dates[1][:2] and (not dates[1][2] or dates[0][2] in ("", dates[1][2]))
    return None
