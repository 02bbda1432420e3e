"""Bound names: the same family of values under another parameter, n pi for k pi, or another constant, C for K."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

from tts.verify.terms import Term, substitute, sym

_IMAGINARY = Term("const", name="i")
_PARAMETERS = frozenset("knmlCcKjtpqrN")
_INTEGERS = frozenset("kmnjltsr")
_FREE = frozenset("cCkKAB")
_SINGLE = frozenset("cCkK")


def renamings(answer: Term, target: Term) -> Iterator[Term]:
    """The answer with its own names for bound things replaced by the target's, each way that makes sense."""
    extra, missing = sorted(answer.symbols() - target.symbols()), sorted(target.symbols() - answer.symbols())
    names: dict[str, Term] = {n: Term("const", name=n.lower()) for n in ("I", "E") if n in extra}
    if "j" in extra and any(t == _IMAGINARY for t in target.walk()):
        names["j"] = _IMAGINARY
    if names:  # as computer algebra prints them
        yield substitute(answer, names)
    if len(extra) != len(missing) or not 1 <= len(extra) <= 3:
        return
    if all(_is_free(n, len(extra)) for n in (*extra, *missing)):  # constants of integration
        for order in permutations(missing):
            yield substitute(answer, {old: sym(new) for old, new in zip(extra, order, strict=True)})
    elif len(extra) == 1 and {extra[0][0], missing[0][0]} <= _PARAMETERS and _has_parameter(target, missing[0]):
        yield substitute(answer, {extra[0]: sym(missing[0])})


def reindexed(answer: Term, target: Term) -> Term | None:
    """The right side of n = 4m + 1 with its integer named as in n = 4k + 1; None if that is not how they differ."""
    extra, missing = answer.symbols() - target.symbols(), target.symbols() - answer.symbols()
    if len(extra) == len(missing) == 1 and {*extra, *missing} <= _INTEGERS:
        return substitute(answer, {next(iter(extra)): sym(next(iter(missing)))})
    return None


def _is_free(name: str, together: int) -> bool:
    """A constant of integration; A and B only where there are two."""
    base, _, index = name.partition("_")
    return base in (_FREE if together > 1 else _SINGLE) and (not index or index.isdecimal())


def _has_parameter(term: Term, name: str) -> bool:
    """Whether `name` multiplies pi, i or a number of degrees somewhere in `term`, unpowered: a family of angles."""
    if any(t.op == "pow" and name in t.args[0].symbols() for t in term.walk()):
        return False  # the r of pi r^2 is no parameter
    angles = [node for node in term.walk() if node.op in ("mul", "div") and name in node.symbols()]
    return any(t.op == "degree" or (t.op == "const" and t.name == "pi") for node in angles for t in node.walk())
