"""Comparing two values: exactly, to the target's printed precision, through percent, degrees, units and bases.

The rules are not symmetric. A target printed as a decimal of three or more significant digits is an approximation,
and accepts what rounds to it; an exact target accepts a decimal only if that is right to a dozen digits. A target
with a unit accepts a bare number; two different units must convert.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from tts.verify.families import renamings
from tts.verify.numeric import Undefined, close, exact, is_real, mp
from tts.verify.sampling import numeric_same
from tts.verify.terms import Term, num
from tts.verify.units import agree, plain_unit

_LONG = 12
_LETTERS = frozenset("msghLlJNWKVA")
"""Units of one letter, which the grammar reads as names."""
_WRAPPERS = ("unit", "label", "bracket", "list", "set")


def bare(term: Term) -> Term:
    """The value inside labels, units and one-element brackets."""
    while term.op in _WRAPPERS and len(term.args) == 1:
        term = term.args[0]
    return term


def is_infinite(term: Term) -> bool:
    """Infinity with or without a sign."""
    while term.op == "neg":
        term = term.args[0]
    return term.op == "const" and term.name == "inf"


def significant(term: Term) -> tuple[Fraction, int, int] | None:
    """(value, decimals printed, significant digits) of a decimal literal, with or without a sign; else None."""
    sign = 1
    while term.op == "neg":
        sign, term = -sign, term.args[0]
    if term.op == "mul" and len(term.args) == 2:  # 1.23 * 10^200
        head = significant(term.args[0])
        scale = exact(term.args[1]) if term.args[1].op == "pow" and term.args[1].args[0].number == 10 else None
        if head is None or not scale:
            return None
        shift = len(str(scale.numerator)) - len(str(scale.denominator))
        return sign * head[0] * scale, head[1] - shift, head[2]
    if term.op != "num" or term.number is None or term.places < 0:
        return None
    digits = len(str(abs(round(term.number * 10**term.places))).lstrip("0")) if term.places < 400 else 0
    return sign * term.number, term.places, digits


def rounds_to(value: Any, target: Term, least: int = 3) -> bool:
    """Whether `value` is the decimal `target` at its printed precision, of `least` significant digits or more."""
    printed = significant(target)
    if printed is None or printed[2] < least:
        return False
    shown, places, digits = printed
    half = mp.mpf(10) ** (-places) * (2 if digits >= _LONG else 0.5)
    return bool(is_real(value) and abs(value.real - _mp(shown)) <= half * (1 + mp.mpf(10) ** -9))


def _mp(value: Fraction) -> Any:
    return mp.mpf(value.numerator) / value.denominator


def _printed_alike(answer: Term, target: Term, a: Any, t: Any) -> bool:
    """The rounding rules, once two values are known to differ."""
    given = significant(answer)
    wanted = significant(target)
    if wanted is not None:
        if given is not None and given[1] <= wanted[1] and given[2] < _LONG:
            return False
        fraction = given is None and wanted[1] == 2  # 2/3 for 0.67, but not 0.666
        return rounds_to(a, target, 2 if fraction else 3)
    if given is None or not is_real(t):
        return False
    if given[2] >= _LONG and abs(_mp(given[0]) - t.real) <= 2 * mp.mpf(10) ** (-given[1]):
        return True
    return given[2] >= 8 and close(a, t, mp.mpf(10) ** -14)


def value_same(answer: Term, target: Term) -> bool | None:
    """Whether two expressions are the same value; None where only SymPy can tell."""
    if answer == target:
        return True
    if answer.op == "unit" or target.op == "unit":
        answer, target = _with_unit(answer), _with_unit(target)
        return _unit_same(answer, target)
    if answer.op in ("mul", "div") and answer.symbols() and not target.symbols():
        answer = _with_unit(answer)  # 5 m/s for 5
    answer, target = bare(answer), bare(target)
    if is_infinite(answer) or is_infinite(target):
        if answer == target:
            return True
        return None if any(t.name in ("lim", "int", "sum") for t in (*answer.walk(), *target.walk())) else False
    if "percent" in (answer.op, target.op) and answer.op != target.op:
        if any(t.op == "degree" for term in (answer, target) for t in term.walk()):
            return False
        if target.op == "percent":
            inner = target.args[0]
            return value_same(answer, inner) or value_same(Term("percent", (Term("mul", (answer, _HUNDRED)),)), target)
        return value_same(answer.args[0], target) or _expression_same(answer, target)
    if answer.op == target.op == "percent":
        return value_same(answer.args[0], target.args[0])
    if "degree" in (answer.op, target.op) and answer.op != target.op:
        return _degree_same(answer, target)
    if answer.op == target.op == "degree":
        return value_same(answer.args[0], target.args[0])
    if target.op == "base":
        if answer.op == "num":
            return answer.number is not None and str(answer.number) == target.name.partition("_")[0]
        return exact(answer) == exact(target) if answer.op == "base" else False
    if "ratio" in (answer.op, target.op) and answer.op == target.op:
        return _ratio_same(answer, target)
    if answer.op == target.op == "call" and answer.name == target.name == "pmod":
        return value_same(answer.args[1], target.args[1]) and _expression_same(answer, target)
    return _expression_same(answer, target)


_HUNDRED = Term("num", number=Fraction(100))


def _with_unit(term: Term) -> Term:
    """5 m, 9.8 m/s^2 as a value with a unit, where the other side has a unit in words."""
    factors: list[Term] = []
    powers: dict[str, int] = {}
    if term.op not in ("mul", "div") or term.name or not _split(term, 1, factors, powers) or not powers or not factors:
        return term
    rest = Term("mul", tuple(factors)) if len(factors) > 1 else factors[0]
    return Term("unit", (rest,), " ".join(name if p == 1 else f"{name}^{p}" for name, p in powers.items()))


def _split(term: Term, sign: int, factors: list[Term], powers: dict[str, int]) -> bool:
    """Sorts the factors of a product into numbers and powers of unit letters; False if there is anything else."""
    if not term.symbols():
        factors.append(term if sign > 0 else Term("div", (num(1), term)))
        return True
    if term.op == "mul":
        return all(_split(a, sign, factors, powers) for a in term.args)
    if term.op == "div":
        return _split(term.args[0], sign, factors, powers) and _split(term.args[1], -sign, factors, powers)
    power = 1
    if term.op == "pow":
        number = exact(term.args[1])
        if number is None or number.denominator != 1:
            return False
        power, term = int(number), term.args[0]
    if term.op != "sym" or term.name not in _LETTERS:
        return False
    powers[term.name] = powers.get(term.name, 0) + sign * power
    return True


def _unit_same(answer: Term, target: Term) -> bool | None:
    a, t = (x.name if x.op == "unit" else "" for x in (answer, target))
    inner_a, inner_t = (x.args[0] if x.op == "unit" else x for x in (answer, target))
    if a and t and plain_unit(a) != plain_unit(t):
        factor = agree(a, t)
        if factor is None:
            return False
        if factor != 1:
            inner_a = Term("mul", (inner_a, Term("num", number=factor)))
    return value_same(inner_a, inner_t)


def _degree_same(answer: Term, target: Term) -> bool | None:
    """90 degrees is 90; it is pi/2 only if pi is written."""
    other, degrees = (answer, target) if target.op == "degree" else (target, answer)
    if any(t.op == "const" and t.name == "pi" for t in other.walk()):
        return _expression_same(answer, target)
    inner = degrees.args[0]
    return value_same(other, inner) if degrees is target else value_same(inner, other)


def _ratio_same(answer: Term, target: Term) -> bool | None:
    if len(answer.args) != len(target.args):  # clock times: 20:34 is 20:34:00
        longer, shorter = sorted((answer.args, target.args), key=len, reverse=True)
        if len(longer) == 3 and len(shorter) == 2 and exact(longer[2]) == 0:
            return all(exact(a) == exact(b) for a, b in zip(longer, shorter, strict=False))
        return False
    parts = list(zip(answer.args, target.args, strict=True))
    first = parts[0]
    if all(value_same(a, t) for a, t in parts):
        return True
    results = [
        value_same(Term("mul", (a, first[1])), Term("mul", (t, first[0]))) for a, t in parts[1:]
    ]  # a : b = c : d when a d = b c
    return None if None in results and False not in results else all(results)


def _expression_same(answer: Term, target: Term) -> bool | None:
    try:
        a, t = exact(answer), exact(target)
    except Undefined:
        return False
    if a is not None and t is not None:
        return a == t or _printed_alike(answer, target, _mp(a), _mp(t))
    result = numeric_same(answer, target, _printed_alike)
    if result is not True:
        if any(numeric_same(other, target, _printed_alike) for other in renamings(answer, target)):
            return True
        if result is False and any(t.op == "call" and t.name == "log" for x in (answer, target) for t in x.walk()):
            return numeric_same(_decimal(answer), _decimal(target), _printed_alike)
    return result


def _decimal(term: Term) -> Term:
    """`term` with every log that has no base read as decimal, as schools write it."""
    args = tuple(_decimal(a) for a in term.args)
    if term.op == "call" and term.name == "log" and len(args) == 1:
        args = (*args, Term("num", number=Fraction(10)))
    return Term(term.op, args, term.name, term.number, term.places)
