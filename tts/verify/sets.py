"""Sets of reals in whatever notation: intervals, inequalities, unions, set builders, finite sets, complements.

A set becomes disjoint pieces in ascending order, each end a term with its value. Two sets are equal if their
pieces are: ends by `value_same` (so that a target's decimals round), openness exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tts.verify.evaluate import evaluate
from tts.verify.numbers import bare, value_same
from tts.verify.numeric import Point, Undefined, is_real, mp
from tts.verify.terms import NeedsSymbolic, Term, TooLarge, num

INFINITY = Term("const", name="inf")
_MINUS_INFINITY = Term("neg", (INFINITY,))


@dataclass(frozen=True, slots=True)
class End:
    """One end of a piece: the term, its value, and whether it belongs to the set."""

    term: Term
    at: Any
    closed: bool


Piece = tuple[End, End]


def _end(term: Term, closed: bool) -> End:
    term = bare(term)
    if term in (INFINITY, _MINUS_INFINITY):
        return End(term, mp.inf if term == INFINITY else -mp.inf, False)
    if term.symbols():
        raise NeedsSymbolic("an end with names in it")
    try:
        value = evaluate(term, Point(0))
    except Undefined as error:
        raise NeedsSymbolic("an end without a value") from error
    if not is_real(value):
        raise NeedsSymbolic("an end that is not real")
    return End(term, value.real, closed)


def _span(low: Term, low_closed: bool, high: Term, high_closed: bool) -> list[Piece]:
    left, right = _end(low, low_closed), _end(high, high_closed)
    if left.at > right.at or (left.at == right.at and not (left.closed and right.closed)):
        return []
    return [(left, right)]


REALS: list[Piece] = [(End(_MINUS_INFINITY, -mp.inf, False), End(INFINITY, mp.inf, False))]


def pieces(term: Term) -> list[Piece]:
    """The set as disjoint ascending pieces.

    Raises:
        NeedsSymbolic: not a set of reals that can be read without solving anything.
    """
    op, args = term.op, term.args
    if op == "interval" or (op in ("tuple", "bracket") and len(args) == 2):
        brackets = {"tuple": "()", "bracket": "[]"}.get(op, term.name)
        span = _span(args[0], brackets[0] == "[", args[1], brackets[1] == "]")
        if not span:
            raise NeedsSymbolic("a pair that is no interval")
        return span
    if op == "empty" or (op == "list" and not args):
        return []
    if op == "set":
        return _merged([piece for a in args for piece in _span(a, True, a, True)])
    if op == "union":
        return _merged([*pieces(args[0]), *pieces(args[1])])
    if op == "inter":
        return _both(pieces(args[0]), pieces(args[1]))
    if op == "minus":
        return _both(pieces(args[0]), _complement(pieces(args[1])))
    if op == "sym" and term.name in ("reals", "R"):
        return REALS
    if op == "rel":
        return _relation(term)
    if op == "builder":
        return _both(pieces(args[0]), pieces(args[1])) if args[0].op == "rel" else pieces(args[1])
    if op == "list":
        parts = [pieces(a) for a in args]
        result = parts[0]
        for part in parts[1:]:
            result = _merged([*result, *part]) if term.name in ("or", ";") else _both(result, part)
        return result
    if op in ("label", "unit"):
        return pieces(args[0])
    raise NeedsSymbolic(op)


def _relation(term: Term) -> list[Piece]:
    """x \\in S, a < x <= b, x != c, 2x + 1 < 5."""
    signs = term.name.split(" ")
    if signs == ["in"]:
        return pieces(term.args[1])
    if any(s not in ("<", "<=", ">", ">=", "!=", "=") for s in signs):
        raise NeedsSymbolic(term.name)
    result = REALS
    for left, sign, right in zip(term.args, signs, term.args[1:], strict=False):
        result = _both(result, _comparison(left, sign, right))
    return result


_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "!=": "!=", "=": "="}


def _comparison(left: Term, sign: str, right: Term) -> list[Piece]:
    left, right = bare(left), bare(right)
    if not _fixed(left) and _fixed(right):
        variable, bound = left, right
    elif _fixed(left) and not _fixed(right):
        variable, bound, sign = right, left, _FLIPPED[sign]
    else:
        variable, bound = Term("add", (left, Term("neg", (right,)))), num(0)
    if variable.op == "call" and variable.name == "abs" and sign in _FLIPPED:
        return _magnitude(variable.args[0], sign, bound)
    if not _is_name(variable):
        slope, root = _linear(variable, bound)
        bound, sign = root, sign if slope > 0 else _FLIPPED[sign]
    if sign == "=":
        return _span(bound, True, bound, True)
    if sign == "!=":
        return _complement(_span(bound, True, bound, True))
    if sign in ("<", "<="):
        return _span(_MINUS_INFINITY, False, bound, sign == "<=")
    return _span(bound, sign == ">=", INFINITY, False)


def _magnitude(inner: Term, sign: str, bound: Term) -> list[Piece]:
    """|inner| compared with a bound."""
    opposite = Term("neg", (bound,))
    if sign in ("<", "<="):
        return _both(_comparison(inner, sign, bound), _comparison(inner, _FLIPPED[sign], opposite))
    if sign in (">", ">=", "="):
        return _merged([*_comparison(inner, sign, bound), *_comparison(inner, _FLIPPED[sign], opposite)])
    return _complement(_magnitude(inner, "=", bound))


def _fixed(term: Term) -> bool:
    return not any(t.op == "sym" or (t.op == "call" and t.name.startswith("@")) for t in term.walk())


def _is_name(term: Term) -> bool:
    """x, f(x), P(A): something that an inequality is about."""
    return (
        term.op == "sym"
        or (term.op == "call" and term.name.startswith("@"))
        or (term.op == "mul" and term.name == "()")
    )  # fmt: skip


def _linear(expression: Term, bound: Term) -> tuple[Any, Term]:
    """(slope, root term) of a linear expression in one name, compared with `bound`."""
    names = expression.symbols()
    if len(names) != 1:
        raise NeedsSymbolic("several names")
    name = next(iter(names))
    try:
        values = [evaluate(expression, Point(0, {name: mp.mpf(k)})) for k in (0, 1, 2, 5, -3)]
    except (Undefined, TooLarge) as error:
        raise NeedsSymbolic("not linear") from error
    slope = values[1] - values[0]
    if not is_real(slope) or not slope:
        raise NeedsSymbolic("not linear")
    for k, value in zip((2, 5, -3), values[2:], strict=True):
        if abs(value - (values[0] + k * slope)) > abs(slope) * mp.mpf(10) ** -40:
            raise NeedsSymbolic("not linear")
    from tts.verify.terms import substitute

    zero = substitute(expression, {name: num(0)})
    one = substitute(expression, {name: num(1)})
    minus_zero = Term("neg", (zero,))
    root = Term("div", (Term("add", (bound, minus_zero)), Term("add", (one, minus_zero))))
    return slope.real, root


def _merged(parts: list[Piece]) -> list[Piece]:
    """The union, disjoint and ascending; touching pieces join where an end belongs to the set."""
    out: list[Piece] = []
    for low, high in sorted(parts, key=lambda p: (p[0].at, not p[0].closed)):
        if out:
            last_low, last_high = out[-1]
            near = _near(low.at, last_high.at)
            if (low.at < last_high.at and not near) or (near and (low.closed or last_high.closed)):
                if high.at > last_high.at or (_near(high.at, last_high.at) and high.closed):
                    out[-1] = (last_low, high)
                continue
        out.append((low, high))
    return out


def _near(a: Any, b: Any) -> bool:
    return bool(a == b) or (not mp.isinf(a) and not mp.isinf(b) and bool(abs(a - b) <= abs(a) * mp.mpf(10) ** -40))


def _complement(parts: list[Piece]) -> list[Piece]:
    out: list[Piece] = []
    low = REALS[0][0]
    for left, right in _merged(parts):
        gap = End(left.term, left.at, not left.closed and not mp.isinf(left.at))
        if low.at < gap.at or (_near(low.at, gap.at) and low.closed and gap.closed):
            out.append((low, gap))
        low = End(right.term, right.at, not right.closed and not mp.isinf(right.at))
    if low.at < mp.inf:
        out.append((low, REALS[0][1]))
    return out


def _both(first: list[Piece], second: list[Piece]) -> list[Piece]:
    """The intersection."""
    out: list[Piece] = []
    for a_low, a_high in first:
        for b_low, b_high in second:
            low = max((a_low, b_low), key=lambda e: (e.at, not e.closed))
            high = min((a_high, b_high), key=lambda e: (e.at, e.closed))
            if low.at < high.at or (_near(low.at, high.at) and low.closed and high.closed):
                out.append((low, high))
    return out


def sets_same(
    answer: list[Piece], target: list[Piece], same: Callable[[Term, Term], bool | None] = value_same
) -> bool | None:
    """Piece by piece, end by end."""
    if len(answer) != len(target):
        return False
    unsure = False
    for a, t in zip(answer, target, strict=True):
        for mine, theirs in zip(a, t, strict=True):
            if mine.closed != theirs.closed or mp.isinf(mine.at) != mp.isinf(theirs.at):
                return False
            if mp.isinf(mine.at):
                if mine.at != theirs.at:
                    return False
                continue
            verdict = same(mine.term, theirs.term)
            if verdict is False:
                return False
            unsure |= verdict is None
    return None if unsure else True
