"""Equations and inequalities: which name a value ("x =", "f(x) =", "S_n ="), and which say the same.

Two equations say the same if one left-minus-right is a constant multiple of the other, at random points and to 36
digits; what needs factoring or solving is left to SymPy.
"""

from __future__ import annotations

from typing import Any

from tts.verify.evaluate import evaluate
from tts.verify.numbers import value_same
from tts.verify.numeric import Point, Undefined, close, is_real
from tts.verify.solving import solutions_agree
from tts.verify.terms import NeedsSymbolic, Term, TooLarge, num, substitute, sym

_FAILURES = (Undefined, TooLarge, ArithmeticError, ValueError)
_ORDER = frozenset(["<", "<=", ">", ">="])


def is_label(term: Term) -> bool:
    """Whether a left side only names what is right of it: x, S_n, f(x), P(A), (x, y, z), AB, A:B, dy/dx."""
    if term.op in ("sym", "text", "label"):
        return True
    if term.op == "call":
        return term.name.startswith("@") or (term.name == "abs" and term.args[0].op == "mul" and is_label(term.args[0]))
    if term.op in ("tuple", "ratio", "set", "list", "bracket"):
        return all(is_label(a) for a in term.args)
    if term.op == "mul":
        if term.name == "()" or (term.args[0].op == "sym" and " o " in term.args[0].name):
            return all(
                a.op in ("sym", "num", "tuple", "bracket", "const", "neg", "add", "rel", "inter", "union")
                for a in term.args
            )
        syms = all(a.op == "sym" for a in term.args)
        return syms and (all(a.name[0].isupper() for a in term.args) or term.args[0].name == "d")
    if term.op == "div":
        return all(is_label(a) and "d" in a.symbols() for a in term.args)
    if term.op == "pow":  # f^{-1}(x)
        return term.args[0].op == "call" and term.args[0].name.startswith("@") and term.args[1] == num(-1)
    return False


def _is_quantity(term: Term) -> bool:
    """A left side that names a value where the other side of the pair is one: tan A, det A, A^{-1}, max f."""
    if term.op == "call" and term.name not in ("abs", "sqrt", "exp"):
        plain = ("sym", "num", "const", "mul", "div", "add", "neg")
        return all(is_label(a) or all(t.op in plain for t in a.walk()) for a in term.args)
    return term.op == "pow" and term.args[0].op == "sym" and term.args[1] in (num(-1), Term("neg", (num(1),)), sym("T"))


def arguments(term: Term) -> list[str]:
    """The bound names of a label: x of f(x), n of S_n."""
    if term.op == "call" or (term.op == "mul" and term.name == "()"):
        inner = term.args if term.op == "call" else term.args[1:]
        flat = [b for a in inner for b in (a.args if a.op == "tuple" else (a,))]
        return [a.name for a in flat if a.op == "sym"] if all(a.op == "sym" for a in flat) else []
    if term.op == "sym" and "_" in term.name:
        index = term.name.partition("_")[2]
        return [index] if len(index) == 1 and index.isalpha() else []
    return []


def is_equation(term: Term) -> bool:
    return term.op == "rel" and set(term.name.split(" ")) <= {"=", "~"}


def is_order(term: Term) -> bool:
    return term.op == "rel" and set(term.name.split(" ")) <= _ORDER


def unlabelled(term: Term) -> Term:
    """The value that a statement gives: 2 of x = 2, of 2 = x, of x = y = 2, of 1 + 1 = 2; the set of x \\in S."""
    while term.op == "label" and term.args:
        term = term.args[0]
    if term.op != "rel":
        return term
    if term.name == "in" and is_label(term.args[0]):
        return term.args[1]
    if is_equation(term):
        *names, last = term.args
        if (
            is_label(names[0])
            or (_is_quantity(names[0]) and not last.symbols())
            or not any(n.symbols() for n in term.args)
        ):
            return unlabelled(last)
        if len(names) == 1 and is_label(last) and not names[0].symbols():
            return names[0]
    return term


def difference(term: Term) -> Term:
    """Left minus right of an equation; for alternatives, the product."""
    if term.op == "list" and term.name == "or":
        return Term("mul", tuple(difference(a) for a in term.args))
    if term.op != "rel" or len(term.args) != 2:
        raise NeedsSymbolic("a chain of relations")
    left, right = term.args
    return left if right == num(0) else Term("add", (left, Term("neg", (right,))))


def equations_same(answer: Term, target: Term) -> bool | None:
    """Whether two equations have the same solutions; None where only SymPy can tell."""
    if len(answer.args) == len(target.args) == 2 and answer.op == target.op == "rel":
        (a_left, a_right), (t_left, t_right) = answer.args, target.args
        if value_same(a_left, t_left) and value_same(a_right, t_right):
            return True
        if is_label(a_left) and is_label(t_left):
            verdict = _definitions_same(a_left, a_right, t_left, t_right)
            if verdict is not None:
                return verdict
    mine, theirs = difference(answer), difference(target)
    verdict = proportional(mine, theirs, positive=False)
    if verdict is not None or not (mine.symbols() or theirs.symbols()):
        return verdict
    return False if solutions_agree(mine, theirs) is False else None


def _definitions_same(a_left: Term, a_right: Term, t_left: Term, t_right: Term) -> bool | None:
    if a_left == t_left:
        return value_same(a_right, t_right)
    mine, theirs = arguments(a_left), arguments(t_left)
    if len(mine) == len(theirs) and mine:
        renamed = substitute(a_right, {m: Term("sym", name=t) for m, t in zip(mine, theirs, strict=True)})
        return value_same(renamed, t_right)
    if bool(mine) != bool(theirs) and a_right.symbols() | t_right.symbols() <= {*mine, *theirs}:
        return value_same(a_right, t_right)
    return None


def proportional(answer: Term, target: Term, positive: bool) -> bool | None:
    """Whether one is a constant, nonzero multiple of the other at every point tried."""
    ratio: Any = None
    seen = zeros = 0
    for n in range(8):
        point = Point(n)
        try:
            a, t = evaluate(answer, point), evaluate(target, point)
        except NeedsSymbolic:
            return None
        except _FAILURES:
            continue
        if not a and not t:
            zeros += 1
            continue
        if not a or not t:
            return False if answer.symbols() != target.symbols() else None
        if positive and not (is_real(a) and is_real(t)):
            continue
        if ratio is None:
            ratio = a / t
            if positive and ratio.real < 0:
                return False
        elif not close(a, ratio * t):
            return None
        seen += 1
        if seen >= 4:
            break
    closed = not answer.symbols() and not target.symbols()
    if closed and ratio is not None and any(t.name.startswith("@") for t in answer.walk()):
        return True if close(abs(ratio), 1) else None  # f(2) = 7 is no multiple of f(3) = 7
    return True if seen >= 3 or zeros >= 3 or (closed and seen + zeros) else None


def orders_same(answer: Term, target: Term) -> bool | None:
    """Whether two inequalities with names on both sides are the same up to a positive factor."""
    if len(answer.args) != 2 or len(target.args) != 2:
        if len(answer.args) != len(target.args):
            return False
        if answer.name.split(" ") == target.name.split(" "):
            return all(value_same(a, t) for a, t in zip(answer.args, target.args, strict=True))
        return all(value_same(a, t) for a, t in zip(answer.args[::-1], target.args, strict=True))
    a, a_strict = _positive(answer)
    t, t_strict = _positive(target)
    if a_strict != t_strict:
        return False
    verdict = proportional(a, t, positive=True)
    return False if verdict is None and _signs_differ(a, t) else verdict


def _signs_differ(answer: Term, target: Term) -> bool:
    """Whether one holds at a point where the other does not."""
    for n in range(8):
        try:
            a, t = evaluate(answer, Point(n)), evaluate(target, Point(n))
        except (*_FAILURES, NeedsSymbolic):
            continue
        if is_real(a) and is_real(t) and (a.real > 0) != (t.real > 0):
            return True
    return False


def _positive(term: Term) -> tuple[Term, bool]:
    """The expression that an inequality says is positive, and whether strictly."""
    left, right = term.args
    if term.name in ("<", "<="):
        left, right = right, left
    return Term("add", (left, Term("neg", (right,)))), term.name in ("<", ">")
