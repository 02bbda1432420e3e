"""Typed comparison of two terms without SymPy: lists, tuples, sets, matrices, relations, values.

`same(answer, target)` is True, False, or None where only SymPy can tell. It is not symmetric: the target's form
decides what is accepted (`numbers`, for values).
"""

from __future__ import annotations

from collections.abc import Sequence

from tts.verify.choice import text_same
from tts.verify.numbers import bare, value_same
from tts.verify.numeric import mp
from tts.verify.relations import (
    difference,
    equations_same,
    is_equation,
    is_label,
    is_order,
    orders_same,
    proportional,
    unlabelled,
)
from tts.verify.sets import pieces, sets_same
from tts.verify.terms import NeedsSymbolic, Term

_DOMAINS = frozenset(["reals", "integers", "naturals", "rationals", "complexes", "R", "Z", "N", "Q", "C"])
_SET_OPS = frozenset(["interval", "union", "inter", "minus", "builder", "set", "empty"])
_PAIRS = frozenset(["tuple", "bracket", "interval"])


def every(verdicts: Sequence[bool | None]) -> bool | None:
    """False if any is False, else None if any is None, else True."""
    if False in verdicts:
        return False
    return None if None in verdicts else True


def items(term: Term) -> list[Term]:
    """The members of a list or set, with plus-minus expanded and domains (n \\in Z) left out."""
    parts = term.args if term.op in ("list", "set") else (term,)
    flat: list[Term] = []
    for part in parts:
        if part.op == "rel" and part.name == "in" and len(parts) > 1 and _is_domain(part.args[1]):
            continue
        if part.op == "label" and part.args[0].op == "list":
            part = part.args[0]
        if part.op == "list" and part.name in ("{}", "and", "or", ",") and not any(is_equation(p) for p in part.args):
            flat.extend(items(part))
        else:
            flat.extend(spread(part))
    return flat


def _is_domain(term: Term) -> bool:
    return term.op == "sym" and term.name.partition("^")[0] in _DOMAINS


def spread(term: Term) -> list[Term]:
    """a \\pm b as two values; the signs of one expression go together, \\mp against \\pm."""
    if not any(t.op == "pm" for t in term.walk()):
        return [term]
    return [_signed(term, True), _signed(term, False)]


def _signed(term: Term, upper: bool) -> Term:
    if not term.args:
        return term
    args = tuple(_signed(a, upper) for a in term.args)
    if term.op != "pm":
        return Term(term.op, args, term.name, term.number, term.places)
    plus = upper == (term.name == "pm")
    right = args[1] if plus else Term("neg", (args[1],))
    return right if args[0].number == 0 and args[0].op == "num" else Term("add", (args[0], right))


def match_unordered(answers: Sequence[Term], targets: Sequence[Term]) -> bool | None:
    """Whether the answers are the targets in some order, each used once."""
    if len(answers) != len(targets):
        return False
    left, unsure = list(answers), False
    for t in targets:
        verdicts = [same(a, t) for a in left]
        if True in verdicts:
            del left[verdicts.index(True)]
        elif None in verdicts:
            del left[verdicts.index(None)]
            unsure = True
        else:
            return False
    return None if unsure else True


def same(answer: Term, target: Term) -> bool | None:
    """Whether the answer is what the target says."""
    if answer == target:
        return True
    if target.op == "list" or answer.op == "list":
        return _lists_same(answer, target)
    if answer.op == "text" or target.op == "text":
        return text_same(_words(answer), _words(target)) if answer.op == target.op else False
    if any(t.op == "pm" for term in (answer, target) for t in term.walk()):
        return match_unordered(items(answer), items(target))
    if answer.op == "rel" or target.op == "rel" or answer.op == "label" or target.op == "label":
        return _statements_same(answer, target)
    if (answer.op == "set" and target.op == "set") or (
        "set" in (answer.op, target.op) and (answer.op not in _SET_OPS or target.op not in _SET_OPS)
    ):
        return match_unordered(items(answer), items(target))
    if answer.op in _SET_OPS or target.op in _SET_OPS:
        return _spans_same(answer, target)
    vector = _vector(target)
    if vector is not None or answer.op == "tuple":
        return _vectors_same(answer, target)
    if answer.op == "matrix" or target.op == "matrix":
        return _matrices_same(answer, target)
    return value_same(answer, target)


def _words(term: Term) -> str:
    return term.name


def _lists_same(answer: Term, target: Term) -> bool | None:
    conditions = [
        t for t in (answer, target) if t.op == "list" and t.name in ("and", "or") and any(map(is_order, t.args))
    ]
    if conditions:
        return _spans_same(answer, target)
    if (target.op == "list" and target.name == "or" and all(is_equation(t) for t in target.args)) or (
        answer.op == "list" and answer.name == "or" and is_equation(target)
    ):
        verdict = _alternatives_same(answer, target)
        if verdict is not None:
            return verdict
    if target.op in ("tuple", "bracket") or answer.op in ("tuple", "bracket"):
        mine = [unlabelled(t) for t in (items(answer) if answer.op == "list" else answer.args)]
        theirs = [unlabelled(t) for t in (items(target) if target.op == "list" else target.args)]
        if len(mine) == len(theirs) and len(mine) > 1 and not any(t.op in _PAIRS for t in (*mine, *theirs)):
            return every([same(a, t) for a, t in zip(mine, theirs, strict=True)])
    mine, theirs = items(answer), items(target)
    named = [_names(mine), _names(theirs)]
    if all(named) and sorted(named[0]) == sorted(named[1]):
        return match_unordered(mine, theirs)
    if len(mine) != len(theirs):
        mine, theirs = _gathered(answer, mine), _gathered(target, theirs)
    if all(named) and len(set(named[0])) > 1 and len(set(named[1])) > 1 and not _alike(named[0], named[1]):
        return False
    return match_unordered([unlabelled(t) for t in mine], [unlabelled(t) for t in theirs])


def _alike(first: list[str], second: list[str]) -> bool:
    """Names that only differ in their index."""
    return {n.partition("_")[0] for n in first} == {n.partition("_")[0] for n in second} or len(first) != len(second)


def _names(terms: list[Term]) -> list[str]:
    """The labels of labelled values; empty unless every value has one."""
    names = [
        repr(t.args[0]) if is_equation(t) and is_label(t.args[0]) else t.name if t.op == "label" else "" for t in terms
    ]
    return names if all(names) else []


def _gathered(term: Term, parts: list[Term]) -> list[Term]:
    """p = 5, q = 2; p = 7, q = 2 as two tuples; x = (1, 2) or (3, 4) as its tuples."""
    if term.op == "list" and term.name in (";", "or") and all(t.op == "list" for t in term.args):
        return [Term("tuple", tuple(unlabelled(a) for a in t.args)) for t in term.args]
    out = []
    for part in parts:
        value = unlabelled(part)
        out.extend(items(value) if value.op in ("list", "set") else [value])
    return out


def _alternatives_same(answer: Term, target: Term) -> bool | None:
    """Alternatives of equations as one product equation."""
    if not all(is_equation(t) for term in (answer, target) for t in (term.args if term.op == "list" else (term,))):
        return None
    try:
        return proportional(difference(answer), difference(target), positive=False) or None
    except NeedsSymbolic:
        return None


def _statements_same(answer: Term, target: Term) -> bool | None:
    if is_equation(answer) and is_equation(target):
        a, t = unlabelled(answer), unlabelled(target)
        if a is not answer and t is not target and answer.args and target.args:
            mine, theirs = answer.args[0], target.args[0]
            if (
                mine == theirs
                or len(answer.args) > 2
                or len(target.args) > 2
                or a.op in _PAIRS
                or "text" in (mine.op, theirs.op)
            ):
                return same(a, t)
        if len(answer.args) == len(target.args) == 2:
            return equations_same(answer, target)
    if is_order(target) or is_order(answer) or "!=" in answer.name.split(" ") or "!=" in target.name.split(" "):
        return _spans_same(answer, target)
    if "~" in target.name.split(" ") and target.op == "rel" and target.args and not is_label(target.args[0]):
        return any(same(answer, part) for part in target.args)
    a, t = unlabelled(answer), unlabelled(target)
    if a is answer and t is target:
        return False
    return same(a, t)


def _spans_same(answer: Term, target: Term) -> bool | None:
    """Sets of reals; or intervals and inequalities whose ends have names in them."""
    answer, target = (unlabelled(x) if not is_equation(x) else x for x in (answer, target))
    if is_order(answer) and is_order(target):
        names = [n for t in (answer, target) for n in t.symbols()]
        if len(set(names)) > 1 or len(answer.args) != len(target.args):
            verdict = orders_same(answer, target)
            if verdict is not None:
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


def _vector(term: Term) -> tuple[Term, ...] | None:
    """The components of a tuple, a bracket, or a matrix of one row or column."""
    if term.op in ("tuple", "bracket") and len(term.args) > 1:
        return term.args
    if term.op == "matrix":
        if all(len(row.args) == 1 for row in term.args):
            return tuple(row.args[0] for row in term.args)
        if len(term.args) == 1:
            return term.args[0].args
    return None


def _vectors_same(answer: Term, target: Term) -> bool | None:
    mine, theirs = _vector(answer), _vector(target)
    if mine is None or theirs is None:
        return None if mine is not theirs and (answer.op in ("mul", "add", "div")) else False
    if len(mine) != len(theirs) or (len(mine) == 2 and {answer.op, target.op} == {"tuple", "bracket"}):
        return False
    if answer.op == target.op == "matrix" and len(answer.args) != len(target.args):
        return False
    return every([same(unlabelled(a), unlabelled(t)) for a, t in zip(mine, theirs, strict=True)])


def _matrices_same(answer: Term, target: Term) -> bool | None:
    answer, target = bare(answer), bare(target)
    if answer.op != "matrix" or target.op != "matrix":
        return None if answer.op in ("mul", "add", "neg", "div", "pow", "call") else False
    shapes = [[len(row.args) for row in m.args] for m in (answer, target)]
    if shapes[0] != shapes[1]:
        return False
    cells = [[c for row in m.args for c in row.args] for m in (answer, target)]
    return every([same(a, t) for a, t in zip(cells[0], cells[1], strict=True)])


__all__ = ["every", "items", "match_unordered", "mp", "same", "spread"]
