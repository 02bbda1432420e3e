"""The answer checker: `quick` decides without SymPy, `check` with it, `canonical` names a bucket for voting.

Layers, cheapest first: text, option letters, exact numbers, structured forms, 52-digit evaluation at random points
(all in `quick`); then SymPy for limits, integrals, matrices, factoring and solving (`cas`, imported by `check` alone).
Model text is only ever read by our own grammar. A target that cannot be read is unscored, never wrong.
"""

from __future__ import annotations

import re
from typing import Any

from tts.types import Grade
from tts.verify.choice import REALS, choice_same, text_same
from tts.verify.compare import same
from tts.verify.dates import calendar_same
from tts.verify.evaluate import evaluate
from tts.verify.forms import items
from tts.verify.grammar import parse
from tts.verify.numbers import is_infinite
from tts.verify.numeric import Point, Undefined, counted, exact, is_real, mp
from tts.verify.reading import plain
from tts.verify.relations import is_order, unlabelled
from tts.verify.sets import Piece, pieces
from tts.verify.spelled import spelled_number
from tts.verify.terms import MAX_CHARS, NeedsSymbolic, Term, TooLarge, Unparsed

_FAILURES = (Undefined, TooLarge, ArithmeticError, ValueError, RecursionError)
_THOUSANDS = re.compile(r"\d,\d")
_DECIMAL_COMMA = re.compile(r"-?\d+,\d+")


def read(text: str, thousands: bool = True) -> Term | None:
    """The term that a text says, or None if it is outside the grammar.

    Raises:
        TooLarge: over a limit.
    """
    try:
        return parse(text, thousands)
    except Unparsed:
        return None


def quick(answer: str | None, target: str) -> Grade | None:
    """A verdict from the cheap layers, in bounded time; None where SymPy is needed."""
    if answer is None or not answer.strip():
        return Grade(False, "no_answer", answer, target)
    if not target.strip():
        return Grade(None, "target_unparsed", answer, target)
    if len(target) > MAX_CHARS:
        return Grade(None, "target_unparsed", answer, target)
    if len(answer) > MAX_CHARS:
        return Grade(False, "too_large", answer[:200], target)
    if text_same(answer, target):
        return Grade(True, "ok", answer, target, "text")
    chosen = choice_same(answer, target)
    if chosen is not None:
        return Grade(chosen, "ok", answer, target, "choice")
    when = calendar_same(answer, target)
    if when is not None:
        return Grade(when, "ok", answer, target, "date")
    return _structured(_worded(answer), _worded(target))


def _worded(text: str) -> str:
    """A text that only words a number or the reals, in signs."""
    return r"\mathbb{R}" if plain(text) in REALS else spelled_number(text)


def _structured(answer: str, target: str) -> Grade | None:
    try:
        wanted = read(target)
    except TooLarge:
        return Grade(None, "target_unparsed", answer, target)
    if wanted is None:
        if not any(c.isalnum() for c in target) or target.count("{") != target.count("}"):
            return Grade(None, "target_unparsed", answer, target)  # nothing in it, or mathematics cut in the middle
        return Grade(False, "ok", answer, target, "text")  # a text target, and the texts differ
    try:
        given = read(answer)
    except TooLarge:
        return Grade(False, "too_large", answer, target)
    if given is None:
        return Grade(False, "answer_unparsed", answer, target)
    try:
        verdict = decide(given, wanted)
        if verdict is not True and _THOUSANDS.search(answer + "\0" + target):
            verdict = _regrouped(answer, target, verdict)
    except TooLarge:
        return Grade(False, "too_large", answer, target)
    except (ArithmeticError, ValueError, RecursionError):
        return None
    if verdict is None:
        return None
    return Grade(verdict, "ok", answer, target, method(given, wanted))


def decide(given: Term, wanted: Term) -> bool | None:
    """`compare.same`, with what is beyond it answered None."""
    if not any(t.op == "tuple" for t in wanted.walk()):
        given = counted(given)
    if not any(t.op == "tuple" for t in given.walk()):
        wanted = counted(wanted)
    try:
        return same(given, wanted)
    except (NeedsSymbolic, Undefined):
        return None


def _regrouped(answer: str, target: str, verdict: bool | None) -> bool | None:
    """1,234 read as two items, where one side may have meant a list; 0,5 as a decimal, where the target is one."""
    if _DECIMAL_COMMA.fullmatch(answer.strip(" $")) and "." in target:
        answer = answer.replace(",", ".")
    given, wanted = read(answer, thousands=False), read(target, thousands=False)
    if given is None or wanted is None or len(items(given)) != len(items(wanted)):
        return verdict
    return decide(given, wanted) or verdict


def method(given: Term, wanted: Term) -> str:
    """How a verdict was reached, for the grade."""
    plain_ops = {t.op for t in (*given.walk(), *wanted.walk())}
    if plain_ops <= {"num", "neg", "div", "unit", "percent", "degree", "base"}:
        return "number"
    if wanted.op in ("list", "tuple", "bracket", "interval", "set", "rel", "union", "builder", "matrix", "label"):
        return "structure"
    return "numeric"


def check(answer: str | None, target: str) -> Grade:
    """The full verdict. May be slow: run it in a worker with a clock and a memory ceiling."""
    grade = quick(answer, target)
    if grade is not None:
        return grade
    assert answer is not None
    given, wanted = read(answer), read(target)
    if given is None or wanted is None:
        return Grade(False, "answer_unparsed", answer, target)
    from tts.verify.cas import equivalent

    verdict = equivalent(given, wanted)
    return Grade(bool(verdict), "ok", answer, target, "symbolic")


def canonical(answer: str) -> str:
    """A key that equal answers share wherever that can be told without SymPy: for bucketing votes."""
    if len(answer) > MAX_CHARS:
        return "text:" + answer[:200] + str(len(answer))
    try:
        term = read(answer)
        if term is not None:
            return _key(unlabelled(term))
    except NeedsSymbolic:
        return "open:" + plain(answer)
    except _FAILURES:
        pass
    return "text:" + plain(answer)


def is_decided(key: str) -> bool:
    """Whether a canonical form is final: two different final forms are different answers."""
    return "open:" not in key


def _key(term: Term) -> str:
    term = unlabelled(term)
    if term.op in ("list", "set"):
        return "{" + ", ".join(sorted(_key(t) for t in items(term))) + "}"
    if is_order(term) or term.op in ("interval", "union", "inter", "minus", "builder"):
        try:
            return " U ".join(map(_span_key, pieces(term)))
        except NeedsSymbolic:
            if term.op in ("inter", "minus", "builder"):
                raise
    if term.op in ("tuple", "bracket", "interval", "matrix", "row", "union", "rel"):
        return f"{term.op}{term.name}(" + ", ".join(_key(t) for t in term.args) + ")"
    if term.op == "text":
        return "text:" + plain(term.name)
    if is_infinite(term) or term.op == "empty":
        return {"neg": "-inf", "const": "inf"}.get(term.op, "empty")
    while term.op in ("unit", "degree") and not term.args[0].symbols():
        term = term.args[0]
    value = exact(term)
    if value is not None:
        return str(value)
    return "value:" + "|".join(_digits(evaluate(term, Point(n))) for n in (0, 2))


def _span_key(piece: Piece) -> str:
    low, high = piece
    brackets = {(False, False): "tuple", (True, True): "bracket"}.get((low.closed, high.closed))
    name = brackets or "interval" + ("[" if low.closed else "(") + ("]" if high.closed else ")")
    return f"{name}({_key(low.term)}, {_key(high.term)})"


def _digits(value: Any) -> str:
    if is_real(value):
        return str(mp.nstr(value.real if isinstance(value, mp.mpc) else value, 25))
    return str(mp.nstr(value, 25))
