"""The SymPy layer: what sampling cannot decide. Runs in a worker with a clock and a memory ceiling, never inline.

Terms are translated node by node; no text reaches SymPy. Tried in order: the difference is zero as it stands, after
`doit`, at random points with 40 digits, after simplification (small expressions only).
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from typing import Any

import sympy

from tts.verify.forms import items
from tts.verify.relations import difference, is_equation, unlabelled
from tts.verify.terms import NeedsSymbolic, Term

sp: Any = sympy  # SymPy's own annotations are narrower than what it returns
_MAX_EXPONENT = 500
_MAX_SUMMANDS = 10_000
_MAX_OPERATIONS = 400
_SIMPLIFY_OPERATIONS = 120
_FUNCTIONS: dict[str, Any] = {
    "sin": sp.sin, "cos": sp.cos, "tan": sp.tan, "cot": sp.cot, "sec": sp.sec, "csc": sp.csc, "sinh": sp.sinh,
    "cosh": sp.cosh, "tanh": sp.tanh, "coth": sp.coth, "sech": sp.sech, "csch": sp.csch, "asin": sp.asin,
    "acos": sp.acos,
    "atan": sp.atan, "acot": sp.acot, "asec": sp.asec, "acsc": sp.acsc, "asinh": sp.asinh, "acosh": sp.acosh,
    "atanh": sp.atanh, "acoth": sp.acoth, "asech": sp.asech, "acsch": sp.acsch, "exp": sp.exp, "ln": sp.log,
    "log": sp.log, "sqrt": sp.sqrt, "abs": sp.Abs, "floor": sp.floor, "ceil": sp.ceiling, "factorial": sp.factorial,
    "gammafn": sp.gamma, "binomial": sp.binomial, "re": sp.re, "im": sp.im, "arg": sp.arg, "erf": sp.erf,
    "sign": sp.sign, "max": sp.Max, "min": sp.Min, "mod": sp.Mod, "cbrt": lambda x: x ** sp.Rational(1, 3),
    "conj": sp.conjugate, "factorial2": sp.factorial2, "perm": lambda n, k: sp.factorial(n) / sp.factorial(n - k),
    "pmod": sp.Mod, "gcd": lambda *a: sp.gcd_list(a), "lcm": lambda *a: sp.lcm_list(a),
    "root": lambda x, n: sp.real_root(x, n) if x.is_negative and n.is_odd else x ** (1 / n),
}  # fmt: skip


def translate(term: Term) -> Any:
    """A SymPy object for a term.

    Raises:
        NeedsSymbolic: nothing in SymPy corresponds to it.
    """
    op = term.op
    if op == "num":
        assert term.number is not None
        return sp.Rational(term.number.numerator, term.number.denominator)
    if op == "sym":
        return sp.Symbol(term.name)
    if op == "const":
        return {"pi": sp.pi, "e": sp.E, "i": sp.I, "inf": sp.oo}[term.name]
    if op == "call":
        return _call(term)
    if op == "matrix":
        return sp.Matrix([[translate(cell) for cell in row.args] for row in term.args])
    args = [translate(a) for a in term.args]
    if op in ("add", "mul"):
        return functools.reduce(operator.add if op == "add" else operator.mul, args)
    if op == "neg":
        return -args[0]
    if op in ("div", "ratio") and len(args) == 2:
        return args[0] / args[1]
    if op == "pow":
        return _power(args[0], args[1])
    if op == "percent":
        return args[0] / 100
    if op == "degree":
        return args[0] * sp.pi / 180
    if op in ("unit", "label", "base") or (op in ("bracket", "list", "set") and len(args) == 1):
        return args[0]
    if op in ("tuple", "bracket") and len(args) > 1:
        return sp.Matrix(args)
    raise NeedsSymbolic(op)


def _power(base: Any, exponent: Any) -> Any:
    """A power that SymPy may multiply out: only where the result has a bounded number of digits."""
    if isinstance(base, sp.MatrixBase):
        if exponent in (sp.Symbol("T"), sp.Symbol("top")):
            return base.T
        if not exponent.is_Integer or abs(exponent) > 20:
            raise NeedsSymbolic("power of a matrix")
        return base**exponent
    if base.is_Rational and exponent.is_Rational:
        size = max(base.p.bit_length(), base.q.bit_length())
        if size * abs(exponent.p) > 1_000_000:
            raise NeedsSymbolic("power")
    elif exponent.is_Rational and abs(exponent) > _MAX_EXPONENT:
        raise NeedsSymbolic("power")
    return base**exponent


def _call(term: Term) -> Any:
    args: list[Any] = [translate(a) if a.name != "below" else None for a in term.args]
    name = term.name
    if name.startswith("@"):
        return sp.Function(name[1:])(*args)
    if name in ("sum", "prod") and args[3].is_Rational and args[2].is_Rational and args[3] - args[2] > _MAX_SUMMANDS:
        raise NeedsSymbolic(name)
    if name == "sum":
        return sp.Sum(args[0], tuple(args[1:])).doit()
    if name == "prod":
        return sp.Product(args[0], tuple(args[1:])).doit()
    if name == "int":
        return sp.integrate(args[0], tuple(args[1:]) if len(args) > 2 else args[1])
    if name == "diff":
        return sp.diff(args[0], args[1])
    if name == "lim":
        at = term.args[2]
        if at.name == "below":
            return sp.limit(args[0], args[1], translate(at.args[0]), "-")
        return sp.limit(args[0], args[1], args[2])
    if name == "det":
        return args[0].det()
    if name in ("factorial", "factorial2") and args[0].is_Integer and args[0] > 5_000:
        raise NeedsSymbolic(name)
    if name in _FUNCTIONS:
        return _FUNCTIONS[name](*args)
    raise NeedsSymbolic(name)


def equivalent(answer: Term, target: Term) -> bool:
    """Whether the answer is the target, as far as SymPy can show it; what it cannot show is False."""
    try:
        if not (is_equation(answer) and is_equation(target)):
            answer, target = unlabelled(answer), unlabelled(target)
        return _equivalent(answer, target)
    except (MemoryError, RecursionError):
        raise
    except Exception:
        return False


def _equivalent(answer: Term, target: Term) -> bool:
    alternatives = [t.args if t.op == "list" and t.name == "or" else (t,) for t in (answer, target)]
    if all(is_equation(t) for side in alternatives for t in side):
        single = all(len(side) == 1 for side in alternatives)
        return _same_solutions(difference(answer), difference(target), single)
    if "rel" in (answer.op, target.op):
        return _same_region(answer, target)
    if "list" in (answer.op, target.op) or answer.op == target.op == "set":
        return _same_members([translate(t) for t in items(answer)], [translate(t) for t in items(target)])
    return _zero(translate(answer), translate(target))


def _zero(a: Any, t: Any) -> bool:
    if isinstance(a, sp.MatrixBase) != isinstance(t, sp.MatrixBase):
        return False
    if isinstance(a, sp.MatrixBase):
        if a.shape != t.shape:
            a = a.reshape(*t.shape) if len(a) == len(t) and 1 in a.shape and 1 in t.shape else a
        return bool(a.shape == t.shape and all(_zero(x, y) for x, y in zip(a, t, strict=True)))
    if a == t:
        return True
    gap = a - t
    if gap.count_ops() > _MAX_OPERATIONS:
        return False
    free = sorted(gap.free_symbols, key=str)
    for k in range(3):
        point = {s: sp.Rational(17 + 31 * k + 7 * i, 23 + 5 * k) for i, s in enumerate(free)}
        value = gap.subs(point).evalf(40)
        scale = abs(t.subs(point).evalf(40))
        if value.is_number and value.is_finite and scale.is_finite:
            if abs(value) > sp.Float("1e-30") * max(scale, sp.Float("1e-300")):
                return False
        else:
            break
    else:
        return True
    return bool(gap.count_ops() <= _SIMPLIFY_OPERATIONS and sp.simplify(gap) == 0)


def _same_members(answers: Sequence[Any], targets: Sequence[Any]) -> bool:
    left = list(answers)
    for t in targets:
        for i, a in enumerate(left):
            if _zero(a, t):
                del left[i]
                break
        else:
            return False
    return not left


def _same_solutions(answer: Term, target: Term, multiplicity: bool) -> bool:
    """Equal up to factors without zeros: the same irreducible factors in the numerator.

    `multiplicity` matters for a single equation, where (x-2)^2 = 0 is an unsolved form of x = 2.
    """
    if not all(_is_polynomial(t) for t in (answer, target)):
        return _same_roots(translate(answer), translate(target))
    found = []
    for term in (answer, target):
        expression = sp.together(translate(term))
        top, bottom = sp.fraction(expression)
        _, factors = sp.factor_list(sp.expand(top))
        keep = set()
        for factor, times in factors:
            names = sorted(factor.free_symbols, key=str)
            if names and not (bottom.free_symbols and sp.rem(bottom, factor) == 0):
                keep.add((sp.Poly(factor, *names).monic().as_expr(), times if multiplicity else 1))
        found.append(keep)
    return found[0] == found[1]


def _same_roots(answer: Any, target: Any) -> bool:
    """Two equations in one name with the same finitely many real solutions: |x| = 2 and x^2 = 4."""
    names = answer.free_symbols | target.free_symbols
    if len(names) != 1 or max(answer.count_ops(), target.count_ops()) > _SIMPLIFY_OPERATIONS:
        return False
    (name,) = names
    found = [sp.solveset(side, name, sp.S.Reals) for side in (answer, target)]
    return bool(isinstance(found[0], sp.FiniteSet) and found[0] == found[1])


def _is_polynomial(term: Term) -> bool:
    expression = sp.together(translate(term))
    names = sorted(expression.free_symbols, key=str)
    return bool(names) and bool(expression.is_rational_function(*names))


def _same_region(answer: Term, target: Term) -> bool:
    """Two conditions on one real name with the same solution set."""
    names = answer.symbols() | target.symbols()
    if len(names) != 1 or any(t.name.startswith("@") for side in (answer, target) for t in side.walk()):
        return False
    x = sp.Symbol(next(iter(names)), real=True)
    regions = [_region(term).subs(sp.Symbol(x.name), x) for term in (answer, target)]
    solved = [r.as_set() if not isinstance(r, sp.Set) else r for r in regions]
    return bool(solved[0] == solved[1] or sp.simplify(sp.SymmetricDifference(*solved)) == sp.S.EmptySet)


_ORDER: dict[str, Any] = {"<": sp.Lt, "<=": sp.Le, ">": sp.Gt, ">=": sp.Ge, "=": sp.Eq, "!=": sp.Ne}


def _region(term: Term) -> Any:
    if term.op == "rel":
        operands = [translate(a) for a in term.args]
        signs = term.name.split(" ")
        parts = [_ORDER[s](a, b) for a, s, b in zip(operands, signs, operands[1:], strict=False)]
        return sp.And(*parts)
    if term.op == "list":
        parts = [_region(a) for a in term.args]
        return sp.Or(*parts) if term.name == "or" else sp.And(*parts)
    if term.op in ("interval", "tuple", "bracket") and len(term.args) == 2:
        low, high = (translate(a) for a in term.args)
        brackets = {"tuple": "()", "bracket": "[]"}.get(term.op, term.name)
        return sp.Interval(low, high, brackets[0] == "(", brackets[1] == ")")
    if term.op == "union":
        return sp.Union(*[r if isinstance(r, sp.Set) else r.as_set() for r in map(_region, term.args)])
    if term.op == "set":
        return sp.FiniteSet(*[translate(a) for a in term.args])
    raise NeedsSymbolic(term.op)
