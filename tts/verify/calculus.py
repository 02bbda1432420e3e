"""Signs with limits and differentials: sums, products, limits, integrals, derivatives."""

from __future__ import annotations

from tts.verify.layouts import Layouts
from tts.verify.terms import Term, Unparsed, num, sym
from tts.verify.tokens import Token

_MARK = "differential"
"""Stands in the token list where an integrand ends, so that no rule reads beyond it."""


class Calculus(Layouts):
    """`\\sum`, `\\prod`, `\\int`, `\\lim` and d/dx. `indices` are the bound names of the sums around the cursor."""

    def __init__(self, tokens: list[Token]) -> None:
        super().__init__(tokens)
        self.indices: list[str] = []

    def raw_script(self) -> str:
        raise NotImplementedError

    def big_operator(self, name: str) -> Term:
        """\\sum, \\prod, \\int and \\lim with their limits."""
        if name in ("iint", "oint"):
            raise Unparsed("integral")
        lower = upper = None
        variable = ""
        bound = len(self.indices)
        for _ in range(2):
            if self.peek().text == "_" and self.peek().kind == "op":
                self.advance()
                if name == "lim":
                    variable, lower = self.approach()
                elif name in ("sum", "prod"):
                    variable, lower = self.index()
                else:
                    lower = self.argument()
            elif self.peek().text == "^" and self.peek().kind == "op":
                self.advance()
                upper = self.script()
        if name == "int":
            body, variable = self.integrand()
        else:
            body = self.expression(11)
        del self.indices[bound:]
        bounds = tuple(b for b in (lower, upper) if b is not None)
        if len(bounds) != {"lim": 1}.get(name, 2) and not (name == "int" and not bounds):
            raise Unparsed("limits")
        return Term("call", (body, sym(variable), *bounds), name)

    def index(self) -> tuple[str, Term]:
        """{k=1} under a sum; i is a name in there, not the imaginary unit."""
        head = self.peek(1) if self.peek().text == "{" else self.peek()
        if head.kind != "sym":
            raise Unparsed("summation index")
        self.indices.append(head.text)
        condition = self.group() if self.peek().text == "{" else self.primary()
        if condition.op != "rel" or condition.args[0].op != "sym" or condition.name != "=":
            raise Unparsed("summation index")
        return condition.args[0].name, condition.args[1]

    def integrand(self) -> tuple[Term, str]:
        """Up to the differential: x^2 dx, dx/x, \\frac{dx}{x}."""
        at, variable = self.differential()
        inside = self.tokens[at + 2 : at + 3] and self.tokens[at + 2].text == "}"
        if inside and self.level(at):  # \frac{x dx}{x^2+1}
            self.tokens[at : at + 2] = [Token("num", "1")] if self.tokens[at - 1].text == "{" else []
            return self.expression(11), variable
        self.tokens[at : at + 2] = [Token("op", _MARK)]
        body = num(1) if self.at == at else self.expression(0)
        self.expect(_MARK)
        if self.peek().text == "/" and self.peek().kind == "op":  # dx/x
            self.advance()
            body = Term("div", (body, self.expression(21)))
        return body, variable

    def level(self, at: int) -> int:
        """Braces open between the cursor and a token."""
        between = self.tokens[self.at : at]
        return sum((t.text == "{") - (t.text == "}") for t in between if t.kind == "op")

    def differential(self) -> tuple[int, str]:
        """Where this integral's d x stands: after those of the integrals inside it."""
        inner = 0
        for i in range(self.at, len(self.tokens) - 1):
            token, following = self.tokens[i], self.tokens[i + 1]
            if token.kind == "cmd" and token.text == "int":
                inner += 1
            name = following.kind == "sym" or (following.kind == "cmd" and following.text.isalpha())
            if token[:2] == ("sym", "d") and name and (i == 0 or self.tokens[i - 1].text not in ("_", "^")):
                if not inner:
                    return i, following.text
                inner -= 1
        raise Unparsed("integral without a differential")

    def approach(self) -> tuple[str, Term]:
        """{x \\to 0} under a limit."""
        self.expect("{")
        token = self.advance()
        if token.kind not in ("sym", "cmd"):
            raise Unparsed("limit")
        if self.advance().text not in ("to", "rightarrow", "->"):
            raise Unparsed("limit")
        side = self.side()
        value = self.expression(0)
        self.expect("}")
        return token.text, Term("call", (value,), "below") if side == "-" else value

    def side(self) -> str:
        """The sign of a one-sided limit, 0^+ or 0^{-}, taken out of the tokens; '' if there is none."""
        for end in range(self.at, min(self.at + 40, len(self.tokens))):
            tail = [t.text for t in self.tokens[end : end + 5]]
            for width, sign in ((2, tail[1:2]), (4, tail[2:3])):
                shape = ["^", *sign, "}"] if width == 2 else ["^", "{", *sign, "}", "}"]
                if sign in (["+"], ["-"]) and tail[: width + 1] == shape:
                    del self.tokens[end : end + width]
                    return sign[0]
        return ""

    def derivative(self, fraction: Term) -> Term | None:
        """d/dx or d^2/dx^2 before what it applies to; None if the fraction is no such operator."""
        top, bottom = fraction.args
        order, sign = 1, top
        if top.op == "pow" and top.args[1].number is not None and top.args[1].number.denominator == 1:
            order, sign = int(top.args[1].number), top.args[0]
        if sign not in (sym("d"), sym("partial")) or bottom.op != "mul" or len(bottom.args) != 2:
            return None
        below = bottom.args[1]
        if below.op == "pow" and below.args[1] == num(order):
            below = below.args[0]
        elif order > 1:
            return None
        token = self.peek()
        if bottom.args[0] != sign or below.op != "sym" or not 1 <= order <= 5:
            return None
        if token.kind == "end" or not self.starts_factor():
            return None
        body = self.expression(20)
        while body.op == "bracket" and len(body.args) == 1:
            body = body.args[0]
        for _ in range(order):
            body = Term("call", (body, below), "diff")
        return body
