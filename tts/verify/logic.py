"""Statements about plain names, compared by truth table: A and (B or C), not A, A implies B."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

from tts.verify.terms import Term

_MAX_ATOMS = 6
_JOINED = frozenset(["and", "or", "not"])
_CONNECTIVES = frozenset(["=>", "<=>", "xor", "nand", "nor"])


def _is_compound(term: Term) -> bool:
    return (term.op == "list" and term.name in _JOINED) or (
        term.op == "rel" and term.name in _CONNECTIVES and len(term.args) == 2
    )


def _atom(term: Term) -> Term:
    """B = C and C = B are one statement."""
    if term.op == "rel" and term.name == "=" and all(a.op == "sym" for a in term.args):
        return Term("rel", tuple(sorted(term.args, key=lambda a: a.name)), "=")
    return term


def _atoms(term: Term) -> frozenset[Term]:
    if _is_compound(term):
        return frozenset().union(*map(_atoms, term.args))
    return frozenset([_atom(term)])


def is_logical(term: Term) -> bool:
    """Whether a term is a statement that only a truth table can compare: connectives inside each other, or a not."""
    if not _is_compound(term):
        return False
    return any(_is_compound(a) for a in term.args) or term.name not in ("and", "or") or _is_plain(term)


def _is_plain(term: Term) -> bool:
    """A and B, A or B = C: capitals, which stand for statements."""
    atoms = [_atom(a) for a in term.args]
    names = [n for a in atoms for n in (a.args if a.op == "rel" and a.name == "=" else (a,))]
    return all(n.op == "sym" and len(n.name) == 1 and n.name.isupper() for n in names)


def _holds(term: Term, world: Mapping[Term, bool]) -> bool:
    if _atom(term) in world:
        return world[_atom(term)]
    parts = [_holds(a, world) for a in term.args]
    if term.name == "and":
        return all(parts)
    if term.name == "or":
        return any(parts)
    if term.name == "not":
        return not parts[0]
    left, right = parts
    return {
        "=>": not left or right,
        "<=>": left == right,
        "xor": left != right,
        "nand": not (left and right),
        "nor": not (left or right),
    }[term.name]


def logic_same(answer: Term, target: Term) -> bool | None:
    """Verdict for statements about names and equalities of names; None for anything else."""
    atoms = sorted(_atoms(answer) | _atoms(target), key=repr)
    if len(atoms) > _MAX_ATOMS or any(t.op != "sym" and not (t.op == "rel" and t.name == "=") for t in atoms):
        return None
    if any(t.op == "rel" and any(a.op != "sym" for a in t.args) for t in atoms):
        return None
    worlds = (dict(zip(atoms, values, strict=True)) for values in product((False, True), repeat=len(atoms)))
    return all(_holds(answer, world) == _holds(target, world) for world in worlds)
