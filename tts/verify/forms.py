"""Forms of one thing brought to another before they are compared: lists to their members, builders to their values.

None of this compares anything; `compare` does.
"""

from __future__ import annotations

from tts.verify.relations import is_equation, is_label, unlabelled
from tts.verify.shapes import PAIRS
from tts.verify.terms import Term, num

_DOMAINS = frozenset(["reals", "integers", "naturals", "rationals", "complexes", "R", "Z", "N", "Q", "C"])


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
    if term.op == "interval" and num(0) in term.args and any(t.name == "inf" for t in term.walk()):
        return True  # the positive reals
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


def componentwise(term: Term, other: Term) -> Term:
    """(a, b) = (1, 2) as a = 1, b = 2, beside a list of labelled values."""
    if term.op != "rel" or term.name != "=" or len(term.args) != 2 or other.op != "list":
        return term
    names, values = term.args
    if names.op != "tuple" or values.op != "tuple" or len(names.args) != len(values.args) or not is_label(names):
        return term
    if not all(is_equation(t) for t in other.args):
        return term
    pairs = zip(names.args, values.args, strict=True)
    return Term("list", tuple(Term("rel", pair, "=") for pair in pairs), ",")


def excludes(term: Term) -> bool:
    """x != 1, x != 2: everything else."""
    return term.op == "list" and all(t.op == "rel" and t.name == "!=" for t in term.args)


def all_of(term: Term) -> Term:
    """Exclusions that hold together; any other term as it is."""
    return Term("list", term.args, "and") if excludes(term) else term


def alike(first: list[str], second: list[str]) -> bool:
    """Names that only differ in their index."""
    return {n.partition("_")[0] for n in first} == {n.partition("_")[0] for n in second} or len(first) != len(second)


def label_names(terms: list[Term]) -> list[str]:
    """The labels of labelled values, x1 as x_1; empty unless every value has one."""
    names = [repr(t.args[0]) if is_equation(t) and is_label(t.args[0]) else _label(t) for t in terms]
    return [n.replace("#", "_") for n in names] if all(names) else []


def _label(term: Term) -> str:
    return term.name if term.op == "label" else ""


def gathered(term: Term, parts: list[Term]) -> list[Term]:
    """p = 5, q = 2; p = 7, q = 2 as two tuples; x = (1, 2) or (3, 4) as its tuples."""
    names = label_names(parts)
    width = len(set(names))
    if 1 < width < len(names) and names == names[:width] * (len(names) // width):  # p = 5, q = 2 and p = 7, q = 2
        values = [unlabelled(p) for p in parts]
        return [Term("tuple", tuple(values[i : i + width])) for i in range(0, len(values), width)]
    if term.op == "list" and term.name in (";", "or") and all(t.op == "list" for t in term.args):
        return [Term("tuple", tuple(unlabelled(a) for a in t.args)) for t in term.args]
    out = []
    for part in parts:
        value = unlabelled(part)
        out.extend(items(value) if value.op in ("list", "set") else [value])
    return out


def named_point(term: Term, other: Term) -> Term:
    """A(2, 3) as (2, 3), beside a point without a name."""
    if other.op in PAIRS and term.op == "mul" and term.name == "()" and term.args[1].op == "tuple":
        return term.args[1] if term.args[0].op == "sym" and term.args[0].name[:1].isupper() else term
    return term


def built(term: Term) -> Term:
    """{x | x = 2 k pi, k in Z} as 2 k pi, {(x, y) | x = 1, y = 2} as {(1, 2)}; any other term as it is."""
    if term.op != "builder":
        return term
    what, condition = term.args
    parts = condition.args if condition.op == "list" and condition.name in (",", "and") else (condition,)
    parts = tuple(p for p in parts if not (p.op == "rel" and p.name == "in"))
    values = {p.args[0]: p.args[1] for p in parts if p.op == "rel" and p.name == "=" and len(p.args) == 2}
    names = what.args if what.op == "tuple" else (what,)
    if len(values) != len(parts) or list(values) != list(names):
        return term
    return values[what] if what.op != "tuple" else Term("set", (Term("tuple", tuple(values.values())),))
