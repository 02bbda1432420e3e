"""The small syntax tree that answers are read into, and the limits under which they are read.

Model text is data: it is tokenised, parsed by `grammar`, and becomes terms. Nothing here can run anything. Every
limit below is checked before work is done, so that hostile input ends in `TooLarge` instead of a hang.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

MAX_CHARS = 10_000
MAX_TOKENS = 3_000
MAX_DEPTH = 60
MAX_DIGITS = 1_200
MAX_ITEMS = 200
MAX_BITS = 120_000
"""Bits of an exact integer: 2024^4046 has 44,435 of them."""


class Unparsed(Exception):
    """The text is not in the grammar."""


class TooLarge(Exception):
    """A limit was reached before the text was understood."""


class NeedsSymbolic(Exception):
    """The cheap layers cannot evaluate this (a limit, an integral, an unbounded sum)."""


@dataclass(frozen=True, slots=True)
class Term:
    """One node. `op` says what it is, `args` its children, `name` and `number` its own content.

    op is one of: num, sym, const (pi e i inf), add, mul, div, neg, pow, call, pm, tuple, bracket, interval, set,
    list, matrix, row, rel, in, union, inter, minus, builder, unit, percent, degree, ratio, base, label, text,
    empty. `places` is the number of decimals a number was printed with (-1: it has no decimal point).
    """

    op: str
    args: tuple[Term, ...] = ()
    name: str = ""
    number: Fraction | None = None
    places: int = -1

    def walk(self) -> Iterator[Term]:
        """Every node, this one first, without recursion."""
        stack: list[Term] = [self]
        while stack:
            term = stack.pop()
            yield term
            stack.extend(term.args)

    def symbols(self) -> frozenset[str]:
        """The free names in it."""
        bound = {t.args[1].name for t in self.walk() if t.op == "call" and t.name in ("sum", "prod", "int", "lim")}
        return frozenset(t.name for t in self.walk() if t.op == "sym" and t.name not in bound)


def num(value: int | Fraction, places: int = -1) -> Term:
    """A number, with the decimals it was printed with."""
    return Term("num", number=Fraction(value), places=places)


def sym(name: str) -> Term:
    """A free name."""
    return Term("sym", name=name)


def substitute(term: Term, names: dict[str, Term]) -> Term:
    """`term` with free names replaced; depth is bounded by the grammar, so this may recurse."""
    if term.op == "sym":
        return names.get(term.name, term)
    if not term.args:
        return term
    return Term(term.op, tuple(substitute(a, names) for a in term.args), term.name, term.number, term.places)
