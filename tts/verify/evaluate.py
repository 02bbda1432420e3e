"""Evaluates a term at a point with 52 digits. Bounded: arguments of periodic functions, exponents and sums have limits.

`real_roots`: odd roots of negative numbers are real ((-8)^(1/3) = -2), as school mathematics has it; otherwise
principal values, as computer algebra has it. Callers that accept try both conventions, the same on both sides.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tts.verify.numeric import _DUST, _HUGE, Point, Undefined, check_size, exact, is_real, mp, total, unknown_function
from tts.verify.terms import NeedsSymbolic, Term, TooLarge

_MAX_SUMMANDS = 300
_LOST = 10**14


def _inexact(args: tuple[Term, ...]) -> bool:
    """Whether a sum has powers or functions in it, whose values are rounded."""
    return any(t.op in ("call", "pow") for a in args for t in a.walk())


def evaluate(term: Term, point: Point, real_roots: bool = False) -> Any:
    """The value, real or complex.

    Raises:
        Undefined: no finite value at this point.
        NeedsSymbolic: a limit, an integral, a long or infinite sum, or something that is no value.
        TooLarge: an argument or a result out of bounds.
    """
    op, args = term.op, term.args
    if op == "num":
        number = term.number
        assert number is not None
        return mp.mpf(number.numerator) / number.denominator if number.denominator != 1 else mp.mpf(number.numerator)
    if op == "sym":
        return point.value(term.name)
    if op == "const":
        if term.name == "inf":
            raise Undefined
        return {"pi": mp.pi, "e": mp.e, "i": mp.j}[term.name] * 1
    if op == "add":
        summands = [evaluate(a, point, real_roots) for a in args]
        value = total(summands)
        point.cancelled |= bool(abs(value) * _LOST < max(map(abs, summands))) and _inexact(args)
        return value
    if op == "neg":
        return -evaluate(args[0], point, real_roots)
    if op == "mul":
        product = evaluate(args[0], point, real_roots)
        for arg in args[1:]:
            product = product * evaluate(arg, point, real_roots)
        return check_size(product)
    if op == "div" or (op == "ratio" and len(args) == 2):
        bottom = evaluate(args[1], point, real_roots)
        if not bottom:
            raise Undefined
        return evaluate(args[0], point, real_roots) / bottom
    if op == "pow":
        return _power(term, point, real_roots)
    if op == "percent":
        return evaluate(args[0], point, real_roots) / 100
    if op == "degree":
        return evaluate(args[0], point, real_roots) * mp.pi / 180
    if op == "call":
        return _call(term, point, real_roots)
    if op in ("unit", "base", "label") or (op in ("bracket", "list") and len(args) == 1):
        return evaluate(args[0], point, real_roots)
    raise NeedsSymbolic(op)


def _power(term: Term, point: Point, real_roots: bool) -> Any:
    if term.args[0] == Term("const", name="e"):
        return _exp(evaluate(term.args[1], point, real_roots))
    base = evaluate(term.args[0], point, real_roots)
    exponent = evaluate(term.args[1], point, real_roots)
    if not base:
        if not is_real(exponent) or exponent.real < 0:
            raise Undefined
        return mp.zero if exponent else mp.one
    if abs(exponent) * (abs(mp.mag(base)) + 1) > 10**12:
        raise TooLarge("power")
    if real_roots and is_real(base) and base.real < 0:
        ratio = exact(term.args[1])
        if ratio is not None and ratio.denominator % 2 and ratio.denominator > 1:
            size = (-base.real) ** exponent
            return -size if ratio.numerator % 2 else size
    if mp.isint(exponent) and is_real(exponent):
        return check_size(base ** int(exponent.real))
    value = tidy(check_size(base**exponent))
    point.left_reals |= isinstance(value, mp.mpc)
    return value


def tidy(value: Any) -> Any:
    """Drops a real or imaginary part that is rounding dust."""
    if isinstance(value, mp.mpc):
        if abs(value.imag) <= abs(value.real) * _DUST:
            return value.real
        if abs(value.real) <= abs(value.imag) * _DUST:
            return mp.mpc(0, value.imag)
    return value


def _exp(x: Any) -> Any:
    if abs(x) > 10**12:
        raise TooLarge("exponential")
    return tidy(mp.exp(x))


def _log(x: Any) -> Any:
    if not x:
        raise Undefined
    return mp.log(x)


def _periodic(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def bounded(x: Any) -> Any:
        if abs(x) > _HUGE:
            raise TooLarge("argument")
        value = f(x)
        if abs(value) < _DUST and abs(x) > 1e-3:
            return mp.zero
        return value

    return bounded


def _inverse(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def reciprocal(x: Any) -> Any:
        value = f(x)
        if not value:
            raise Undefined
        return 1 / value

    return reciprocal


def _of_inverse(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def reciprocal(x: Any) -> Any:
        if not x:
            raise Undefined
        return tidy(f(1 / x))

    return reciprocal


def _whole(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def rounded(x: Any) -> Any:
        if not is_real(x):
            raise Undefined
        x = x.real
        if mp.mag(x) > 150:
            raise TooLarge("floor")
        nearest = mp.nint(x)
        return nearest if abs(x - nearest) < 1e-30 else f(x)

    return rounded


def _gamma(x: Any) -> Any:
    if abs(x) > 10**6:
        raise TooLarge("factorial")
    if mp.isint(x) and x.real <= 0:
        raise Undefined
    return mp.gamma(x)


def _real_only(f: Callable[[list[Any]], Any]) -> Callable[[list[Any]], Any]:
    def checked(values: list[Any]) -> Any:
        if not all(is_real(v) for v in values):
            raise Undefined
        return f([v.real for v in values])

    return checked


_sin, _cos, _sinh, _cosh = _periodic(mp.sin), _periodic(mp.cos), _exp, _exp
_tan = _periodic(mp.tan)
_cot: Callable[[Any], Any] = lambda x: _cos(x) * _inverse(_sin)(x)  # noqa: E731
_hsin: Callable[[Any], Any] = lambda x: (_exp(x) - _exp(-x)) / 2  # noqa: E731
_hcos: Callable[[Any], Any] = lambda x: (_exp(x) + _exp(-x)) / 2  # noqa: E731
_htan: Callable[[Any], Any] = lambda x: _hsin(x) / _hcos(x)  # noqa: E731
_ONE: dict[str, Callable[[Any], Any]] = {
    "sin": _sin, "cos": _cos, "tan": _tan, "cot": _cot, "sec": _inverse(_cos), "csc": _inverse(_sin),
    "sinh": _hsin, "cosh": _hcos, "tanh": _htan, "coth": _inverse(_htan), "sech": _inverse(_hcos),
    "csch": _inverse(_hsin),
    "asin": mp.asin, "acos": mp.acos, "atan": mp.atan, "asec": _of_inverse(mp.acos), "acsc": _of_inverse(mp.asin),
    "acot": _of_inverse(mp.atan), "asinh": mp.asinh, "acosh": mp.acosh, "atanh": mp.atanh,
    "asech": _of_inverse(mp.acosh),
    "acsch": _of_inverse(mp.asinh), "acoth": _of_inverse(mp.atanh), "exp": _exp, "ln": _log, "sqrt": mp.sqrt,
    "abs": abs,
    "floor": _whole(mp.floor), "ceil": _whole(mp.ceil), "factorial": lambda x: _gamma(x + 1), "gammafn": _gamma,
    "re": lambda x: x.real, "im": lambda x: x.imag if isinstance(x, mp.mpc) else mp.zero, "arg": mp.arg, "erf": mp.erf,
    "sign": lambda x: mp.sign(x), "cbrt": mp.cbrt, "conj": mp.conj,
}  # fmt: skip


def _call(term: Term, point: Point, real_roots: bool) -> Any:
    name = term.name
    if name in ("sum", "prod"):
        return _series(term, point, real_roots)
    if name in ("int", "lim", "det", "gcd", "lcm", "mod", "pmod", "diff", "factorial2"):
        raise NeedsSymbolic(name)
    args = [evaluate(a, point, real_roots) for a in term.args]
    if name.startswith("@"):
        return unknown_function(name, args)
    if name == "log":
        return _log(args[0]) / (_log(args[1]) if len(args) > 1 else 1)
    if name == "root":
        degree = exact(term.args[1])
        if degree is not None and degree.denominator == 1 and degree % 2 and is_real(args[0]) and args[0].real < 0:
            return -((-args[0].real) ** (1 / args[1]))
        if not args[1] or abs(args[1]) > 10**6:
            raise Undefined
        return args[0] ** (1 / args[1])
    if name == "binomial" and len(args) == 2:
        n, k = args
        return _gamma(n + 1) / (_gamma(k + 1) * _gamma(n - k + 1))
    if name == "perm" and len(args) == 2:
        return _gamma(args[0] + 1) / _gamma(args[0] - args[1] + 1)
    if name in ("max", "min") and args:
        return _real_only(max if name == "max" else min)(args)
    if name in _ONE and len(args) == 1:
        value = tidy(_ONE[name](args[0]))
        point.left_reals |= isinstance(value, mp.mpc)
        return value
    if name == "log10":
        return _log(args[0]) / mp.log(10)
    raise NeedsSymbolic(name)


def _series(term: Term, point: Point, real_roots: bool) -> Any:
    """A finite sum or product with whole limits."""
    body, variable, low, high = term.args
    first, last = exact(low), exact(high)
    if first is None or last is None or first.denominator != 1 or last.denominator != 1:
        raise NeedsSymbolic("series")
    if last - first > _MAX_SUMMANDS or point.values.get("\0depth", 0) >= 2:
        raise NeedsSymbolic("series")
    result = mp.zero if term.name == "sum" else mp.one
    for k in range(int(first), int(last) + 1):
        inner = Point(
            point.number, {**point.values, variable.name: mp.mpf(k), "\0depth": point.values.get("\0depth", 0) + 1}
        )
        value = evaluate(body, inner, real_roots)
        result = result + value if term.name == "sum" else result * value
    return check_size(result)
