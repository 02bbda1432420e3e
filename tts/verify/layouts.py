"""Cursor over tokens, and everything with an opening and a closing: brackets, bars, matrices, functions, units."""

from __future__ import annotations

from contextlib import AbstractContextManager

from tts.verify.terms import MAX_DEPTH, MAX_ITEMS, Term, TooLarge, Unparsed, num, sym
from tts.verify.tokens import Token

_END = Token("end", "")
_MATRICES = frozenset(["matrix", "pmatrix", "bmatrix", "vmatrix", "Bmatrix", "array", "smallmatrix"])
_ROWS = frozenset(["cases", "aligned", "align", "align*", "gathered", "split", "dcases", "gather", "gather*"])
_ARITY = {
    "log": (1, 2), "binomial": (2, 2), "mod": (2, 2), "gcd": (1, MAX_ITEMS), "lcm": (1, MAX_ITEMS),
    "max": (1, MAX_ITEMS), "min": (1, MAX_ITEMS), "root": (2, 2), "perm": (2, 2), "diff": (2, 2), "int": (2, 4),
    "sum": (4, 4), "prod": (4, 4), "lim": (3, 3), "lg": (1, 2),
}  # fmt: skip
_RAISED = frozenset(["sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh", "coth", "sech", "csch"])


class Layouts:
    """The token cursor, with limits, and what stands between delimiters."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.at = 0
        self.depth = 0
        self.bars = 0
        self.ratios = True
        self.conditional = False

    # supplied by the other half of the grammar
    def statements(self, closers: frozenset[str]) -> Term:
        raise NotImplementedError

    def expression(self, power: int) -> Term:
        raise NotImplementedError

    def statement(self) -> Term:
        raise NotImplementedError

    def factor(self) -> Term:
        raise NotImplementedError

    def primary(self) -> Term:
        raise NotImplementedError

    def script(self) -> Term:
        raise NotImplementedError

    def deeper(self) -> AbstractContextManager[None]:
        raise NotImplementedError

    # cursor
    def peek(self, ahead: int = 0) -> Token:
        at = self.at + ahead
        return self.tokens[at] if at < len(self.tokens) else _END

    def advance(self) -> Token:
        token = self.peek()
        self.at += 1
        return token

    def descend(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise TooLarge("nesting")

    def at_end(self, closers: frozenset[str]) -> bool:
        token = self.peek()
        return token.kind in ("end",) or (token.kind in ("op", "cmd") and token.text in closers)

    def expect(self, *texts: str) -> str:
        token = self.advance()
        if token.kind not in ("op", "cmd") or token.text not in texts:
            raise Unparsed(f"expected {texts[0]}")
        return token.text

    # brackets
    def inside(self, closers: frozenset[str]) -> Term:
        """Statements up to a closer; bars and ratios start afresh in there."""
        bars, self.bars = self.bars, 0
        with self.deeper():
            value = self.statements(closers)
        self.bars = bars
        return value

    def bracketed(self, opener: str) -> Term:
        """( or [ up to its closer: a value, a tuple, or an interval."""
        conditional, self.conditional = self.conditional, self.at > 1 and self.tokens[self.at - 2].text in ("P", "E")
        value = self.inside(frozenset([")", "]"]))
        self.conditional = conditional
        closer = self.expect(")", "]")
        parts = value.args if value.op == "list" and value.name in (",", ";", "") else (value,)
        if opener == "(" and closer == ")":
            if len(parts) == 1:
                return value
            flat = [p for part in parts for p in (part.args if part.op == "list" else (part,))]
            return Term("tuple", tuple(flat))
        if opener == "[" and closer == "]":
            return Term("bracket", parts)
        if len(parts) != 2:
            raise Unparsed("half-open bracket around other than two")
        return Term("interval", parts, opener + closer)

    def group(self) -> Term:
        """A LaTeX group in braces; several statements in it are a list."""
        self.expect("{")
        if self.peek().text == "}" and self.peek().kind == "op":
            self.advance()
            return Term("text", name="")
        value = self.inside(frozenset("}"))
        self.expect("}")
        if value.op == "list" and value.name == ",":
            return Term("list", value.args, "{}")
        return value

    def argument(self) -> Term:
        """A command's argument: a group, or one token as LaTeX takes it (\\frac12)."""
        token = self.peek()
        if token.text == "{" and token.kind == "op":
            return self.group()
        if token.kind == "num" and len(token.text) > 1:
            digit, rest = token.text[0], token.text[1:]
            self.tokens[self.at : self.at + 1] = [Token("num", digit, token.spaced), Token("num", rest)]
            if not digit.isdecimal() or not rest.isdecimal():
                raise Unparsed("decimal as a bare argument")
        with self.deeper():
            return self.primary()

    def has_closing_bar(self) -> bool:
        level = 0
        for token in self.tokens[self.at + 1 : self.at + 200]:
            if token.text in ("(", "[", "{"):
                level += 1
            elif token.text in (")", "]", "}"):
                level -= 1
                if level < 0:
                    return False
            elif token.text == "|" and level == 0:
                return True
        return False

    def bar(self, closer: str) -> Term:
        self.bars += 1
        with self.deeper():
            value = self.expression(0)
        self.bars -= 1
        self.expect(closer)
        return Term("call", (value,), "abs")

    def delimited(self, opener: str, closer: str) -> Term:
        """\\lfloor, \\langle, \\{ and their like."""
        if opener in ("{", "lbrace"):
            return self.braces()
        if opener in ("lvert", "|", "lVert", "vert", "Vert"):
            return self.bar(closer)
        value = self.inside(frozenset([closer]))
        self.expect(closer)
        if opener in ("lfloor", "lceil"):
            return Term("call", (value,), "floor" if opener == "lfloor" else "ceil")
        return Term("tuple", value.args if value.op == "list" else (value,))

    def braces(self) -> Term:
        """A set by its members or by a condition."""
        closers = frozenset(["}", "rbrace", "|", "mid", "vert"])
        if self.at_end(frozenset("}")):
            self.advance()
            return Term("empty")
        ratios, self.ratios = self.ratios, False
        value = self.inside(closers | {":"})
        self.ratios = ratios
        if self.peek().text in ("|", "mid", "vert", ":"):
            self.advance()
            condition = self.inside(frozenset(["}", "rbrace"]))
            self.expect("}", "rbrace")
            return Term("builder", (value, condition))
        self.expect("}", "rbrace")
        return Term("set", value.args if value.op == "list" else (value,))

    def environment(self, name: str) -> Term:
        """\\begin{...}: a matrix, or rows of statements."""
        if name == "array" and self.peek().text == "{":
            while self.advance().text not in ("}", ""):
                pass
        elif name not in _MATRICES and name not in _ROWS:
            raise Unparsed(name)
        rows: list[list[Term]] = [[]]
        cells = frozenset(["&", "\\"])
        with self.deeper():
            while self.peek().kind != "end" or self.peek().text:
                token = self.peek()
                if token.kind == "end":
                    break
                if token.text == "\\" and token.kind == "cmd":
                    self.advance()
                    rows.append([])
                elif (token.text == "&" and token.kind in ("op", "cmd")) or (token.text == "," and rows[-1]):
                    self.advance()
                else:
                    rows[-1].append(self.statement() if name in _ROWS else self.inside(cells | {"end"}))
                if len(rows) > MAX_ITEMS or len(rows[-1]) > MAX_ITEMS:
                    raise TooLarge("matrix")
        if self.advance().kind != "end":
            raise Unparsed("unclosed environment")
        rows = [row for row in rows if row]
        if name in _ROWS:
            return Term("list", tuple(cell for row in rows for cell in row), "and")
        matrix = Term("matrix", tuple(Term("row", tuple(row)) for row in rows))
        return Term("call", (matrix,), "det") if name == "vmatrix" else matrix

    # functions
    def call_arguments(self) -> tuple[Term, ...]:
        """( ... ) after a function."""
        self.expect("(", "[", "{")
        value = self.inside(frozenset([")", "]", "}"]))
        self.expect(")", "]", "}")
        return value.args if value.op == "list" and value.name in (",", "{}") else (value,)

    def function(self, name: str) -> Term:
        """A named function with its subscript, power and argument: \\log_2 8, sin^2 x, cos^(-1)(x)."""
        power: Term | None = None
        base: Term | None = None
        if name in ("max", "min") and self.peek().text in ("=", ":"):
            return sym(name)
        for _ in range(2):
            if self.peek().text == "^" and self.peek().kind == "op":
                self.advance()
                power = self.script()
            elif self.peek().text == "_" and self.peek().kind == "op":
                self.advance()
                base = self.argument() if self.peek().kind != "num" else self.primary()
        args = self.applied(name)
        if not args:
            raise Unparsed(f"{name} of nothing")
        if name in ("max", "min", "gcd", "lcm") and len(args) == 1 and args[0].op in ("set", "list", "tuple"):
            args = args[0].args
        if name == "log" and base is not None:
            args = (args[0], base)
        if name == "lg" and len(args) == 2:
            name = "log"
        if name in ("diff", "int", "sum", "prod", "lim") and not any(a.op == "sym" for a in args[1:2]):
            raise Unparsed(f"{name} over no name")
        if name in ("lg", "lb"):
            name, args = "log", (args[0], num(10 if name == "lg" else 2))
        if name in _RAISED and power in (num(-1), Term("neg", (num(1),))):
            return Term("call", args, "a" + name)
        if not _ARITY.get(name, (1, 1))[0] <= len(args) <= _ARITY.get(name, (1, 1))[1]:
            raise Unparsed(f"{name} of {len(args)}")
        value = Term("call", args, name)
        return Term("pow", (value, power)) if power is not None else value

    def applied(self, name: str) -> tuple[Term, ...]:
        """The argument: in brackets, or the product that follows up to the next function or sign."""
        token = self.peek()
        if token.kind == "op" and token.text in ("(", "["):
            return self.call_arguments()
        if (token.kind == "op" and token.text == "{") or name in ("abs", "floor", "ceil", "sqrt", "cbrt"):
            value = self.argument()
            return value.args if value.op == "list" else (value,)
        with self.deeper():
            factors = [self.signed_argument()]
            while self.more_argument():
                factors.append(self.factor())
        return (factors[0] if len(factors) == 1 else Term("mul", tuple(factors)),)

    def signed_argument(self) -> Term:
        if self.peek().text == "-" and self.peek().kind == "op":
            self.advance()
            return Term("neg", (self.factor(),))
        return self.factor()

    def more_argument(self) -> bool:
        token = self.peek()
        if token.kind in ("fn", "env", "end") or token.text in ("(", "[", "|", "sum", "int", "{"):
            return False
        return self.starts_factor()

    def starts_factor(self) -> bool:
        raise NotImplementedError

    def root(self, name: str) -> Term:
        """\\sqrt{x}, \\sqrt[3]{x}, sqrt(x)."""
        if name == "cbrt":
            return Term("call", (self.argument(), num(3)), "root")
        if self.peek().text == "[" and self.peek().kind == "op":
            self.advance()
            index = self.inside(frozenset("]"))
            self.expect("]")
            return Term("call", (self.argument(), index), "root")
        return Term("call", (self.argument(),), "sqrt")
