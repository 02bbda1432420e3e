"""Two expressions compared by their values at random points, with 52 digits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tts.verify.evaluate import evaluate
from tts.verify.numeric import Point, Undefined, close, is_real, mp
from tts.verify.terms import NeedsSymbolic, Term, TooLarge

_POINTS = 8
_STEPS = ("floor", "ceil", "mod", "sign")
_ENOUGH = 4

Printed = Callable[[Term, Term, Any, Any], bool]
"""Whether two closed terms of unlike values are alike as printed (`numbers`)."""


def numeric_same(answer: Term, target: Term, printed_alike: Printed) -> bool | None:
    """Agreement at random points with 52 digits, in either convention for odd roots."""
    result = _agreement(answer, target, printed_alike, real_roots=False)
    if result is not True and any(t.op == "pow" and t.args[1].op in ("div", "num", "neg") for t in answer.walk()):
        return _agreement(answer, target, printed_alike, real_roots=True) or result
    return result


def _agreement(answer: Term, target: Term, printed_alike: Printed, real_roots: bool) -> bool | None:
    closed = not _open(answer) and not _open(target)
    imaginary = any(t.op == "const" and t.name == "i" for term in (answer, target) for t in term.walk())
    several = len(answer.symbols() | target.symbols()) > 1
    agreed = clashed = 0
    stepped = not closed and any(t.op == "call" and t.name in _STEPS for x in (answer, target) for t in x.walk())
    for n in range(1 if closed else _POINTS):
        point = Point(
            n, {s: mp.mpf(3 + i) for i, s in enumerate(_names(answer, target))} if stepped and not n else None
        )
        try:
            a, t = evaluate(answer, point, real_roots), evaluate(target, point, real_roots)
        except NeedsSymbolic:
            return None
        except (Undefined, TooLarge, ArithmeticError, ValueError) as error:
            if closed and isinstance(error, TooLarge):
                raise
            continue
        if close(a, t):
            agreed += 1
            if agreed >= _ENOUGH and n >= 6:
                break
        elif closed:
            return printed_alike(answer, target, a, t)
        elif point.cancelled:
            continue  # cosh^2 - sinh^2 far out: the digits that would tell are gone
        elif (is_real(a) and is_real(t) and not (several and point.left_reals)) or imaginary:
            return False
        elif is_real(a) == is_real(t):
            same_branch = _same_branch(a, t)
            agreed += same_branch
            clashed += not same_branch
    if closed:
        return True if agreed else None
    if agreed >= 3 and agreed > clashed:
        return True
    return False if clashed else None


def _names(*terms: Term) -> list[str]:
    return sorted(frozenset[str]().union(*(t.symbols() for t in terms)))


def _same_branch(a: Any, t: Any) -> bool:
    """Complex values that differ by whole turns of a logarithm, off the real domain."""
    turns = (a - t) / (2 * mp.pi * mp.j)
    return bool(abs(turns - mp.nint(turns.real)) < mp.mpf(10) ** -30)


def _open(term: Term) -> bool:
    return any(t.op == "sym" or (t.op == "call" and t.name.startswith("@")) for t in term.walk())
