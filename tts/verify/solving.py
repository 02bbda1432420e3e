"""Do two equations have the same solutions? Tried on solutions of one, put into the other.

A solution is found by the secant method in one name with the others at random values. One that does not solve the
other equation proves that they differ; that all tried do is evidence, and counts only where nothing can be factored.
"""

from __future__ import annotations

from typing import Any

from tts.verify.evaluate import evaluate
from tts.verify.numeric import Point, Undefined, mp
from tts.verify.terms import Term, TooLarge

_FAILURES = (Undefined, TooLarge, ArithmeticError, ValueError)
_STEPS = 40
_SOLVED = mp.mpf(10) ** -40
_POINTS = (0, 1, 4, 7)


def _root(term: Term, point: Point, name: str, start: Any) -> Any | None:
    """A zero of `term` in `name`, by the secant method from `start`."""

    def value(x: Any) -> Any:
        point.values[name] = x
        return evaluate(term, point)

    try:
        x0, x1 = start, start * mp.mpf("1.01") + mp.mpf("0.01")
        y0, y1 = value(x0), value(x1)
        for _ in range(_STEPS):
            if not y1:
                return x1
            if y1 == y0:
                return None
            x0, x1, y0 = x1, x1 - y1 * (x1 - x0) / (y1 - y0), y1
            if abs(x1) > 1e12:
                return None
            if abs(x1 - x0) <= abs(x1) * _SOLVED:
                return x1
            y1 = value(x1)
    except _FAILURES:
        return None
    return None


def _solves(term: Term, point: Point, name: str, root: Any) -> bool | None:
    """Whether `term` vanishes at the root, judged against its size a little beside it; None where it has no value."""
    try:
        point.values[name] = root
        at = evaluate(term, point)
        point.values[name] = root + abs(root) / 1000 + mp.mpf("0.001")
        beside = evaluate(term, point)
    except _FAILURES:
        return None
    return bool(abs(at) <= abs(beside) * mp.mpf(10) ** -15) if beside else not at


def solutions_agree(answer: Term, target: Term) -> bool | None:
    """False: a solution of one is none of the other. True: at least six tried each way agree. None: too few found.

    Raises:
        NeedsSymbolic: one of them cannot be evaluated.
    """
    agreed = [0, 0]
    for way, (first, second) in enumerate(((target, answer), (answer, target))):
        for name in sorted(first.symbols())[:3]:
            for n in _POINTS:
                point = Point(n)
                for other in first.symbols() | second.symbols():
                    point.value(other)
                start = point.values[name]
                for begin in (start, mp.mpc(start, 1)):
                    root = _root(first, point, name, begin)
                    if root is None:
                        continue
                    verdict = _solves(second, point, name, root)
                    if verdict is False:
                        return False
                    agreed[way] += bool(verdict)
                    break
    return True if min(agreed) >= 6 else None
