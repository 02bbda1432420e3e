"""Statements joined by and/or inside each other, compared by truth table: A and (B or C)."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

from tts.verify.terms import Term

_MAX_ATOMS = 6


def _atoms(term: Term) -> frozenset[Term]:
    if term.op == "list" and term.name in ("and", "or"):
        return frozenset().union(*map(_atoms, term.args))
    return frozenset([term])


def is_nested(term: Term) -> bool:
    """Whether a list joined by and/or holds another such list."""
    joined = term.op == "list" and term.name in ("and", "or")
    return joined and any(a.op == "list" and a.name in ("and", "or") for a in term.args)


def _holds(term: Term, world: Mapping[Term, bool]) -> bool:
    if term in world:
        return world[term]
    parts = [_holds(a, world) for a in term.args]
    return all(parts) if term.name == "and" else any(parts)


def logic_same(answer: Term, target: Term) -> bool | None:
    """Verdict for statements about plain names; None for anything else."""
    atoms = sorted(_atoms(answer) | _atoms(target), key=lambda t: t.name)
    if len(atoms) > _MAX_ATOMS or any(t.op != "sym" for t in atoms):
        return None
    worlds = (dict(zip(atoms, values, strict=True)) for values in product((False, True), repeat=len(atoms)))
    return all(_holds(answer, world) == _holds(target, world) for world in worlds)
