"""Tuples, vectors, matrices and sets of reals: which terms are which, and whether two of a kind are the same.

Components are compared by `same`, which the caller supplies (`compare.same`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tts.verify.numbers import bare, value_same
from tts.verify.relations import is_equation, is_order, orders_same, unlabelled
from tts.verify.sets import pieces, sets_same
from tts.verify.terms import NeedsSymbolic, Term, num, substitute, sym

Same = Callable[[Term, Term], bool | None]
SET_OPS = frozenset(["interval", "union", "inter", "minus", "builder", "set", "empty"])
PAIRS = frozenset(["tuple", "bracket", "interval"])


def every(verdicts: Sequence[bool | None]) -> bool | None:
    """False if any is False, else None if any is None, else True."""
    if False in verdicts:
        return False
    return None if None in verdicts else True


_VALUES = frozenset(
    ["num", "sym", "const", "add", "mul", "div", "neg", "pow", "call", "percent", "degree", "unit", "base", "ratio"]
)
_SHAPES = frozenset(["tuple", "matrix", "interval", "union", "inter", "minus", "builder", "empty"])


def is_value(term: Term) -> bool:
    """Whether a term is one number or expression, as opposed to a tuple, a matrix or a set."""
    term = bare(term)
    return term.op in _VALUES and term != sym("reals") and not any(t.op in ("matrix", "tuple") for t in term.walk())


def is_formula(term: Term) -> bool:
    """Arithmetic on vectors or matrices, or on sets: only SymPy can say what it comes to."""
    return term.op in ("add", "mul", "neg", "div", "pow", "call") and any(t.op in _SHAPES for t in term.walk())


def spans_same(answer: Term, target: Term, same: Same) -> bool | None:
    """Sets of reals; or intervals and inequalities whose ends have names in them."""
    answer, target = (unlabelled(x) if not is_equation(x) else x for x in (answer, target))
    if is_order(answer) and is_order(target):
        verdict = orders_same(answer, target)
        if verdict or (verdict is False and len(answer.args) == len(target.args) == 2):
            return verdict
    if answer.op == target.op and answer.name == target.name and answer.op in ("interval", "union"):
        verdict = every([same(a, t) for a, t in zip(answer.args, target.args, strict=True)])
        if verdict:
            return True
    if answer.op == "list" and is_order(target) and len(target.args) == len(answer.args) > 2:
        return every([same(a, t) for a, t in zip(answer.args, target.args, strict=True)])
    try:
        mine, theirs = pieces(answer), pieces(target)
    except NeedsSymbolic:
        if is_order(answer) != is_order(target) or answer.op in ("num", "sym", "div"):
            return False if answer.op in ("num", "sym", "div", "call") else None
        if is_order(answer) and is_order(target):
            return None
        return every([value_same(a, t) for a, t in zip(answer.args, target.args, strict=False)]) and (
            answer.op == target.op and answer.name == target.name
        )
    return sets_same(mine, theirs, same)


def vector(term: Term) -> tuple[Term, ...] | None:
    """The components of a tuple, a bracket, or a matrix of one row or column."""
    if term.op in ("tuple", "bracket") and len(term.args) > 1:
        return term.args
    if term.op == "matrix":
        if all(len(row.args) == 1 for row in term.args):
            return tuple(row.args[0] for row in term.args)
        if len(term.args) == 1:
            return term.args[0].args
    return None


def components(term: Term, width: int) -> Term | None:
    """2i + 3j - k as the tuple (2, 3, -1): the coefficients of a linear form in the unit vectors."""
    names = [sym(n) for n in "ijk"]
    if not 2 <= width <= 3 or not {"j", "k"} & term.symbols() or not term.symbols() <= {"i", "j", "k"}:
        return None
    term = _named_units(term)

    def at(point: tuple[int, ...]) -> Term:
        return substitute(term, {n.name: num(v) for n, v in zip(names, point, strict=True)})

    units = [at(tuple(int(i == j) for j in range(3))) for i in range(width)]
    mixed = Term("add", tuple(Term("mul", (num(v), u)) for v, u in zip((2, 3, 5), units, strict=False)))
    linear = value_same(at((0, 0, 0)), num(0)) and value_same(at((2, 3, 5 if width == 3 else 0)), mixed)
    return Term("tuple", tuple(units)) if linear else None


def _named_units(term: Term) -> Term:
    """`term` with the unit vector i a name, where the grammar read the imaginary unit."""
    if term.op == "const" and term.name == "i":
        return sym("i")
    return Term(term.op, tuple(map(_named_units, term.args)), term.name, term.number, term.places)


def vectors_same(answer: Term, target: Term, same: Same) -> bool | None:
    mine, theirs = vector(answer), vector(target)
    if mine is None or theirs is None:
        sums = ("mul", "add", "div", "neg")
        return None if mine is not theirs and (answer.op in sums or target.op in sums) else False
    if len(mine) != len(theirs) or (len(mine) == 2 and {answer.op, target.op} == {"tuple", "bracket"}):
        return False
    if answer.op == target.op == "matrix" and len(answer.args) != len(target.args):
        return False
    return every([same(unlabelled(a), unlabelled(t)) for a, t in zip(mine, theirs, strict=True)])


def rows(term: Term) -> Term:
    """[[1, 2], [3, 4]] as a matrix."""
    if term.op in ("bracket", "tuple") and all(a.op in ("bracket", "tuple") for a in term.args):
        return Term("matrix", tuple(Term("row", a.args) for a in term.args))
    return term


def matrices_same(answer: Term, target: Term, same: Same) -> bool | None:
    answer, target = (rows(bare(x)) for x in (answer, target))
    if answer.op != "matrix" or target.op != "matrix":
        scaled = ("mul", "add", "neg", "div", "pow", "call")
        return None if answer.op in scaled or target.op in scaled else False
    shapes = [[len(row.args) for row in m.args] for m in (answer, target)]
    if shapes[0] != shapes[1]:
        return False
    cells = [[c for row in m.args for c in row.args] for m in (answer, target)]
    return every([same(a, t) for a, t in zip(cells[0], cells[1], strict=True)])
