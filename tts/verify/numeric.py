"""The value of a term: exact fractions where possible, otherwise 50 digits at points drawn from a fixed seed.

Two expressions in the same names that agree to 36 digits at several random points are equal but for a chance far
below that of a bit flip (Schwartz 1980; Zippel 1979, for polynomials). Differences are relative: nothing is equal
because it is small. A sum that cancels to below 1e-42 of its largest summand is exactly zero. mpmath's own
context is used, so that no other user of mpmath in this process sees our precision.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Any

import mpmath
from mpmath.libmp import ifac

from tts.verify.terms import MAX_BITS, NeedsSymbolic, Term, TooLarge

mp: Any = mpmath.MPContext()
mp.dps = 52
TOLERANCE = mp.mpf(10) ** -36
_DUST = mp.mpf(10) ** -42
_HUGE = mp.mpf(10) ** 40
_MAX_EXPONENT = 10**12


class Undefined(Exception):
    """No value here: a division by zero, a logarithm of zero, an infinity."""


def exact(term: Term) -> Fraction | None:
    """The rational value of a term without names or roots, or None if it has none in easy reach.

    Raises:
        TooLarge: the value has more bits than `MAX_BITS`.
        Undefined: it divides by zero.
    """
    op, args = term.op, term.args
    if op == "num":
        return term.number
    if op in ("unit", "base", "label") or (op in ("bracket", "list") and len(args) == 1):
        return exact(args[0])
    if op in ("add", "mul", "neg", "div", "percent"):
        values = []
        for arg in args:
            value = exact(arg)
            if value is None:
                return None
            values.append(value)
        if op == "neg":
            return -values[0]
        if op == "percent":
            return values[0] / 100
        if op == "div":
            if not values[1]:
                raise Undefined
            return values[0] / values[1]
        total = values[0]
        for value in values[1:]:
            total = total + value if op == "add" else total * value
            if total.numerator.bit_length() + total.denominator.bit_length() > 2 * MAX_BITS:
                raise TooLarge("bits")
        return total
    if op == "pow":
        base, exponent = exact(args[0]), exact(args[1])
        if base is None or exponent is None:
            return None
        return _power(base, exponent)
    if op == "call":
        return _exact_call(term)
    return None


def counting(term: Term) -> Term | None:
    """C(5, 2) and P(5, 2) as choices and permutations; None for any other product."""
    name, pair = term.args
    if name.op != "sym" or name.name not in ("C", "P") or pair.op != "tuple" or len(pair.args) != 2:
        return None
    if any(a.op != "num" or a.number is None or a.number.denominator != 1 for a in pair.args):
        return None
    return Term("call", pair.args, "binomial" if name.name == "C" else "perm")


def counted(term: Term) -> Term:
    """`term` with every C(n, k) and P(n, k) in it read so."""
    if not term.args:
        return term
    if term.op == "mul" and term.name == "()" and (call := counting(term)) is not None:
        return call
    return Term(term.op, tuple(map(counted, term.args)), term.name, term.number, term.places)


def _power(base: Fraction, exponent: Fraction) -> Fraction | None:
    if exponent.denominator != 1:
        if base < 0 or exponent.denominator > 64:
            return None
        rooted = _root(base, exponent.denominator)
        return None if rooted is None else _power(rooted, Fraction(exponent.numerator))
    power = int(exponent)
    if base in (0, 1, -1):
        if base == 0 and power < 0:
            raise Undefined
        return base ** (power if base == 0 else power % 2 if base == -1 else 0) if base else Fraction(power == 0)
    if abs(power) * max(base.numerator.bit_length(), base.denominator.bit_length()) > MAX_BITS:
        return None
    return base**power


def _root(value: Fraction, n: int) -> Fraction | None:
    """The exact n-th root of a non-negative rational, if it is rational."""
    parts = []
    for part in (value.numerator, value.denominator):
        if part.bit_length() > 4_096:
            return None
        guess = round(mp.mpf(part) ** (mp.mpf(1) / n)) if part.bit_length() < 150 else 0
        guess = int(guess) or int(mp.floor(mp.nthroot(mp.mpf(part), n)))
        if guess**n != part:
            return None
        parts.append(guess)
    return Fraction(parts[0], parts[1])


def _exact_call(term: Term) -> Fraction | None:
    name = term.name
    if name in ("sum", "prod"):
        return None
    values = []
    for arg in term.args:
        value = exact(arg)
        if value is None:
            return None
        values.append(value)
    first = values[0] if values else Fraction(0)
    if name == "abs":
        return abs(first)
    if name in ("floor", "ceil"):
        return Fraction(first.__floor__() if name == "floor" else first.__ceil__())
    if name in ("sqrt", "root"):
        degree = values[1] if name == "root" else Fraction(2)
        if degree.denominator != 1 or not 1 <= degree <= 64:
            return None
        if first < 0:
            rooted = _root(-first, int(degree)) if degree % 2 else None
            return None if rooted is None else -rooted
        return _root(first, int(degree))
    return _INTEGRAL[name](values) if name in _INTEGRAL else None


def _factorial(values: list[Fraction]) -> Fraction | None:
    n = values[0]
    if n.denominator != 1 or not 0 <= n <= 4_000:
        return None
    return Fraction(int(ifac(int(n))))


def _double_factorial(values: list[Fraction]) -> Fraction | None:
    n = values[0]
    if n.denominator != 1 or not 0 <= n <= 2_000:
        return None
    return Fraction(math.prod(range(int(n), 0, -2)))


def _permutations(values: list[Fraction]) -> Fraction | None:
    n, k = values[0], values[1]
    if n.denominator != 1 or k.denominator != 1 or not 0 <= k <= n <= 2_000:
        return None
    return Fraction(math.perm(int(n), int(k)))


def _binomial(values: list[Fraction]) -> Fraction | None:
    n, k = values[0], values[1]
    if n.denominator != 1 or k.denominator != 1 or not 0 <= k <= n <= 4_000:
        return None
    return Fraction(int(ifac(int(n)) // (ifac(int(k)) * ifac(int(n - k)))))


def _gcd(values: list[Fraction]) -> Fraction:
    top, bottom = abs(values[0].numerator), values[0].denominator
    for value in values[1:]:
        top = math.gcd(top * value.denominator, abs(value.numerator) * bottom)
        bottom *= value.denominator
        shared = math.gcd(top, bottom)
        top, bottom = top // shared, bottom // shared
    return Fraction(top, bottom)


def _lcm(values: list[Fraction]) -> Fraction:
    result = abs(values[0])
    for value in values[1:]:
        divisor = _gcd([result, value])
        result = abs(result * value) / divisor if divisor else Fraction(0)
    return result


_INTEGRAL: dict[str, Callable[[list[Fraction]], Fraction | None]] = {
    "factorial": _factorial,
    "factorial2": _double_factorial,
    "perm": _permutations,
    "binomial": _binomial,
    "gcd": _gcd,
    "lcm": _lcm,
    "max": max,
    "min": min,
    "mod": lambda v: v[0] % v[1] if len(v) == 2 and v[1] else None,
    "pmod": lambda v: v[0] % v[1] if len(v) == 2 and v[1] else None,
    "sign": lambda v: Fraction((v[0] > 0) - (v[0] < 0)),
}


class Point:
    """Values for names, drawn from the point's number and the name; and for unknown functions, by the same.

    `cancelled` is set by an evaluation that lost more than fourteen digits in a sum, `left_reals` by one
    that met the root or logarithm of a negative number.
    """

    RANGES = (
        (0.3, 2.2),
        (-2.5, -0.2),
        (2.0, 9.0),
        (0.05, 0.95),
        (-9.0, 9.0),
        (-40.0, 60.0),
        (-3000.0, -200.0),
        (0.1, 30.0),
    )

    def __init__(self, number: int, bound: Mapping[str, Any] | None = None) -> None:
        self.number = number
        self.left_reals = False
        self.cancelled = False
        self.values: dict[str, Any] = dict(bound or {})

    def value(self, name: str) -> Any:
        if name not in self.values:
            low, high = self.RANGES[self.number % len(self.RANGES)]
            self.values[name] = low + (high - low) * _draw(name, self.number)
        return self.values[name]


@lru_cache(maxsize=4096)
def _draw(name: str, number: int) -> Any:
    digest = hashlib.blake2b(f"{name}\0{number}".encode(), digest_size=12).digest()
    return mp.mpf(int.from_bytes(digest, "big") | 1) / (1 << 96)


def unknown_function(name: str, args: list[Any]) -> Any:
    """A smooth stand-in for f, the same for every mention of the name."""
    total = _draw(name, 1)
    for i, arg in enumerate(args):
        if abs(arg) > _HUGE:  # its sine would need as many digits of pi
            raise TooLarge("argument")
        total += (_draw(name, 2 + i) + 1) * arg + mp.sin(arg * (_draw(name, 20 + i) + 1))
    return total


def close(a: Any, b: Any, tolerance: Any = TOLERANCE) -> bool:
    """Relative agreement; zero is close to zero only."""
    if a == b:
        return True
    size = max(abs(a), abs(b))
    return bool(abs(a - b) <= size * tolerance)


def is_real(value: Any) -> bool:
    return not isinstance(value, mp.mpc) or abs(value.imag) <= abs(value.real) * _DUST


def total(values: list[Any]) -> Any:
    """A sum in which complete cancellation is zero, not dust."""
    result = values[0]
    for value in values[1:]:
        result = result + value
    peak = max(abs(v) for v in values)
    if peak and abs(result) < peak * _DUST:
        return mp.zero
    if isinstance(result, mp.mpc):
        if abs(result.imag) < peak * _DUST:
            return result.real
        if abs(result.real) < peak * _DUST:
            return mp.mpc(0, result.imag)
    return result


def check_size(value: Any) -> Any:
    """Refuses infinities and numbers whose exponent alone would be large."""
    if mp.isinf(value) or mp.isnan(value):
        raise Undefined
    parts = (value.real, value.imag) if isinstance(value, mp.mpc) else (value,)
    for part in parts:
        if part and abs(mp.mag(part)) > _MAX_EXPONENT:
            raise TooLarge("magnitude")
    return value


__all__ = ["NeedsSymbolic", "Point", "Undefined", "close", "exact", "is_real", "mp", "total"]
