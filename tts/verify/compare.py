"""Typed comparison of two terms without SymPy: lists, tuples, sets, matrices, relations, values.

`same(answer, target)` is True, False, or None where only SymPy can tell. It is not symmetric: the target's form
decides what is accepted (`numbers`, for values).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from tts.verify.choice import text_same
from tts.verify.families import reindexed
from tts.verify.forms import (
    alike,
    all_of,
    built,
    componentwise,
    excludes,
    gathered,
    items,
    label_names,
    named_point,
)
from tts.verify.logic import is_logical, logic_same
from tts.verify.numbers import value_same
from tts.verify.relations import (
    difference,
    equations_same,
    is_equation,
    is_label,
    is_order,
    proportional,
    unlabelled,
)
from tts.verify.shapes import (
    PAIRS,
    SET_OPS,
    components,
    every,
    is_formula,
    is_value,
    matrices_same,
    rows,
    spans_same,
    vector,
    vectors_same,
)
from tts.verify.terms import NeedsSymbolic, Term, num, sym


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


def _distinct(terms: list[Term]) -> list[Term]:
    """Without members that are the same as an earlier one."""
    out: list[Term] = []
    for term in terms:
        if not any(same(term, other) for other in out):
            out.append(term)
    return out


def same(answer: Term, target: Term) -> bool | None:
    """Whether the answer is what the target says."""
    answer, target = built(answer), built(target)
    if answer == target:
        return True
    if is_logical(answer) or is_logical(target):
        verdict = logic_same(answer, target)
        if verdict is not None:
            return verdict
    if target.op == "list" or answer.op == "list":
        return _lists_same(answer, target)
    if answer.op == "text" or target.op == "text":
        return text_same(_words(answer), _words(target)) if answer.op == target.op else False
    if any(t.op == "pm" for term in (answer, target) for t in term.walk()):
        return match_unordered(items(answer), items(target))
    if answer.op == "rel" or target.op == "rel" or answer.op == "label" or target.op == "label":
        return _statements_same(answer, target)
    answer, target = named_point(answer, target), named_point(target, answer)
    for one, other in ((answer, target), (target, answer)):
        form = components(one, len(vector(other) or ()))
        if form is not None:
            return vectors_same(*((form, other) if one is answer else (other, form)), same)
    if is_value(answer) != is_value(target) and "set" not in (answer.op, target.op):
        return None if is_formula(answer) or is_formula(target) else False
    if (answer.op == "set" and target.op == "set") or (
        "set" in (answer.op, target.op) and (answer.op not in SET_OPS or target.op not in SET_OPS)
    ):
        both = answer.op == target.op  # a set has each member once
        mine, theirs = items(answer), items(target)
        return match_unordered(_distinct(mine), _distinct(theirs)) if both else match_unordered(mine, theirs)
    if answer.op in SET_OPS or target.op in SET_OPS or sym("reals") in (answer, target):
        return spans_same(answer, target, same)
    if answer.op == "matrix" and target.op == "bracket":
        target = rows(target)
    if "matrix" in (answer.op, target.op) and vector(target) is None:
        return matrices_same(answer, target, same)
    if vector(target) is not None or answer.op == "tuple":
        return vectors_same(answer, target, same)
    return value_same(answer, target)


def _words(term: Term) -> str:
    return term.name


def _lists_same(answer: Term, target: Term) -> bool | None:
    if answer.op == "list" and answer.name == "or" and is_value(target) and all(same(a, target) for a in answer.args):
        return True  # 9/2 or 4.5
    if answer.op == "text" or target.op == "text":
        return _texts_same(answer, target)
    if answer.op == "rel" and answer.name == "=":
        answer = unlabelled(answer)
    if is_order(target) and len(target.args) > 2 and all(a.op == "sym" for a in target.args):  # b < a < c as b, a, c
        return _in_order(answer.args, target.args)
    answer, target = componentwise(answer, target), componentwise(target, answer)
    if any(excludes(t) for t in (answer, target)):
        return spans_same(all_of(answer), all_of(target), same)
    conditions = [t for t in (answer, target) if t.op == "list" and t.name in ("and", "or")]
    if any(is_order(inner) for t in conditions for inner in t.walk()) or any(_is_system(t) for t in (answer, target)):
        return spans_same(answer, target, same)
    if (target.op == "list" and target.name == "or" and all(is_equation(t) for t in target.args)) or (
        answer.op == "list" and answer.name == "or" and is_equation(target)
    ):
        verdict = _alternatives_same(answer, target)
        if verdict is not None:
            return verdict
    if target.op in ("tuple", "bracket") or answer.op in ("tuple", "bracket"):
        mine = [unlabelled(t) for t in (items(answer) if answer.op == "list" else answer.args)]
        theirs = [unlabelled(t) for t in (items(target) if target.op == "list" else target.args)]
        if len(mine) == len(theirs) and len(mine) > 1 and not any(t.op in PAIRS for t in (*mine, *theirs)):
            return _in_order(mine, theirs)
    mine, theirs = items(answer), items(target)
    if answer.op == target.op == "list" and answer.name == target.name == "{}":  # a set has each member once
        mine, theirs = _distinct(mine), _distinct(theirs)
    named = [label_names(mine), label_names(theirs)]
    if all(named) and sorted(named[0]) == sorted(named[1]):
        if len(set(named[0])) == len(mine):
            values = dict(zip(named[0], mine, strict=True))
            pairs = [(values[n], t) for n, t in zip(named[1], theirs, strict=True)]
            return every([same(unlabelled(a), unlabelled(t)) for a, t in pairs])
        return match_unordered(mine, theirs)
    if len(mine) != len(theirs):
        mine, theirs = gathered(answer, mine), gathered(target, theirs)
    if all(named) and len(set(named[0])) > 1 and len(set(named[1])) > 1 and not alike(named[0], named[1]):
        return False
    return match_unordered([unlabelled(t) for t in mine], [unlabelled(t) for t in theirs])


def _is_system(term: Term) -> bool:
    """Conditions on one name, listed: x > 0, x < 1."""
    return term.op == "list" and all(map(is_order, term.args)) and len(term.symbols()) == 1


def _in_order(answers: Sequence[Term], targets: Sequence[Term]) -> bool | None:
    if len(answers) != len(targets):
        return False
    return every([same(a, t) for a, t in zip(answers, targets, strict=True)])


def _texts_same(answer: Term, target: Term) -> bool | None:
    """A list of texts against "this and that" in one text."""
    lists = []
    for term in (answer, target):
        if term.op == "text":
            lists.append([Term("text", name=n) for n in re.split(r"\s*(?:,|;|\band\b|\bor\b)\s*", term.name) if n])
        else:
            lists.append(items(term))
    return match_unordered(lists[0], lists[1])


def _alternatives_same(answer: Term, target: Term) -> bool | None:
    """Alternatives of equations as one product equation."""
    if not all(is_equation(t) for term in (answer, target) for t in (term.args if term.op == "list" else (term,))):
        return None
    try:
        return proportional(difference(answer), difference(target), positive=False) or None
    except NeedsSymbolic:
        return None


def _answered(answer: Term, target: Term) -> bool | None:
    """a + b = 7 where 7 is asked for: the answer repeats what was asked, in names without powers or numbers."""
    if answer.op != "rel" or answer.name not in ("=", "~") or len(answer.args) != 2 or not is_value(target):
        return False
    left, right = answer.args
    if _has_names(right) or _has_names(target) or right == num(0):
        return False
    asked = all(t.op in ("sym", "add", "neg", "mul", "div") or (t.op, t.name) == ("call", "abs") for t in left.walk())
    return same(right, target) if asked else False


def _has_names(term: Term) -> bool:
    return any(t.op == "sym" or t.name.startswith("@") for t in term.walk())


def _statements_same(answer: Term, target: Term) -> bool | None:
    if is_equation(answer) and is_equation(target):
        if len(answer.args) == len(target.args) > 2 and match_unordered(answer.args, target.args):
            return True
        if bool(answer.symbols()) != bool(target.symbols()) and not (
            is_label(answer.args[0]) or is_label(target.args[0])
        ):
            return False
        if not (_has_names(answer) or _has_names(target)):
            numerals = answer.name == target.name == "=" and all(a.op == "num" for a in (*answer.args, *target.args))
            if numerals and False in (holds := [value_same(*t.args[:2]) for t in (answer, target)]):
                return holds[0] == holds[1]  # 1 = 2 is as false as 3 = 4
            return same(unlabelled(answer), unlabelled(target))
        a, t = unlabelled(answer), unlabelled(target)
        if a is not answer and t is not target and answer.args and target.args:
            mine, theirs = answer.args[0], target.args[0]
            if (
                mine == theirs
                or len(answer.args) > 2
                or len(target.args) > 2
                or a.op in PAIRS
                or "text" in (mine.op, theirs.op)
            ):
                other = reindexed(a, t) if mine.op == "sym" and mine.name != "y" else None
                return same(a, t) or (same(other, t) if other is not None else False)
        if len(answer.args) == len(target.args) == 2:
            return equations_same(answer, target)
    if is_order(target) or is_order(answer) or "!=" in answer.name.split(" ") or "!=" in target.name.split(" "):
        return spans_same(answer, target, same)
    for side, other in ((target, answer), (answer, target)):
        if "~" in side.name.split(" ") and side.op == "rel" and side.args and not is_label(side.args[0]):
            parts = [same(other, p) if side is target else same(p, other) for p in side.args]
            return True if True in parts else None if None in parts else False
    a, t = unlabelled(answer), unlabelled(target)
    if a is answer and t is target:
        return _answered(answer, target)
    return same(a, t)
