"""Words around mathematics: units, prose, subscripts, number bases; and the signs with limits (sum, integral)."""

from __future__ import annotations

from tts.verify.layouts import Layouts
from tts.verify.terms import Term, Unparsed, num, sym

_QUALIFIERS = [[w] for w in ("for", "where", "with", "if", "when", "such", "whenever", "provided", "as", "given")]
_STOPS = frozenset([",", ";", "and", "or", ")", "]", "}", "=", "<", ">", "<=", ">=", "!=", "|", "&"])


class Phrases(Layouts):
    """What is neither a factor nor an operator."""

    def is_reals(self, term: Term) -> bool:
        return term.op == "sym" and term.name in ("reals", "R")

    def qualified(self) -> bool:
        """Skips 'for all x in Z', 'where ...' up to the next 'and', 'or', ';' or the end; whether it did."""
        token = self.peek()
        if token.kind not in ("word", "text") or token.text.split()[:1] not in _QUALIFIERS:
            return False
        level = 0
        while self.peek().kind != "end":
            token = self.peek()
            if token.kind == "op" and token.text in ("(", "[", "{"):
                level += 1
            elif token.kind == "op" and token.text in (")", "]", "}"):
                level -= 1
            if level < 0 or (level == 0 and token.kind == "op" and token.text in ("and", "or", ";")):
                break
            self.advance()
        return True

    def prose(self) -> str:
        """The words ahead, joined."""
        words = []
        while self.peek().kind in ("word", "text", "sym"):
            words.append(self.advance().text)
        return " ".join(words)

    def units(self, value: Term) -> Term:
        """Words after a value are its unit: 5 cm^2, 64 square feet, 42 because it says so."""
        if self.peek().kind not in ("word", "text") or self.qualified():
            return value
        words: list[str] = []
        while True:
            token = self.peek()
            if token.kind in ("word", "text") or (words and token.kind in ("sym", "fn")):
                words.append(self.advance().text)
            elif words and token.text in ("^", "/", ".", "*", "-", "'") and token.kind == "op":
                self.advance()
                if token.text == "^":
                    words.append("^" + self.raw_script())
                elif token.text == "/":
                    words.append("/")
            elif words and token.kind == "num" and len(words[-1]) > 1 and words[-1] != "/":
                words.append(self.advance().text)
            else:
                break
        token = self.peek()
        if token.kind != "end" and token.text not in _STOPS and token.text != "\\":
            raise Unparsed("words in the middle of an expression")
        return Term("unit", (value,), " ".join(words))

    def raw_script(self) -> str:
        """A subscript as text: x_1 and x_{1} are one name."""
        if self.peek().text != "{" or self.peek().kind != "op":
            return self.advance().text
        self.advance()
        parts, level = [], 1
        while level:
            token = self.advance()
            if token.kind == "end":
                raise Unparsed("subscript")
            level += (token.text == "{") - (token.text == "}")
            if level:
                parts.append(token.text)
        return "".join(parts)

    def based(self, value: Term) -> Term:
        """4210_{7}: a numeral with its base."""
        script = self.raw_script().removeprefix("base").removeprefix("text").strip()
        if value.number is None or value.number.denominator != 1 or not script.isdigit() or value.places != -1:
            raise Unparsed("subscript on a number")
        base, digits = int(script), str(abs(value.number))
        if not 2 <= base <= 36 or any(int(d) >= base for d in digits):
            raise Unparsed("base")
        meant = int(digits, base)
        return Term("base", (num(-meant if value.number < 0 else meant),), f"{value.number}_{base}")

    def big_operator(self, name: str) -> Term:
        """\\sum, \\prod, \\int and \\lim with their limits."""
        lower = upper = None
        variable = ""
        for _ in range(2):
            if self.peek().text == "_" and self.peek().kind == "op":
                self.advance()
                if name == "lim":
                    variable, lower = self.approach()
                elif name in ("sum", "prod"):
                    condition = self.group() if self.peek().text == "{" else self.primary()
                    if condition.op != "rel" or condition.args[0].op != "sym" or condition.name != "=":
                        raise Unparsed("summation index")
                    variable, lower = condition.args[0].name, condition.args[1]
                else:
                    lower = self.argument()
            elif self.peek().text == "^" and self.peek().kind == "op":
                self.advance()
                upper = self.script()
        body = self.expression(11)
        if name in ("int", "iint", "oint"):
            factors = body.args if body.op == "mul" else (body,)
            if name != "int" or len(factors) < 2 or factors[-2] != sym("d") or factors[-1].op != "sym":
                raise Unparsed("integral")
            variable = factors[-1].name
            body = factors[0] if len(factors) == 3 else Term("mul", factors[:-2]) if len(factors) > 3 else num(1)
        bounds = tuple(b for b in (lower, upper) if b is not None)
        if len(bounds) != {"lim": 1}.get(name, 2) and not (name == "int" and not bounds):
            raise Unparsed("limits")
        return Term("call", (body, sym(variable), *bounds), name)

    def approach(self) -> tuple[str, Term]:
        """{x \\to 0} under a limit."""
        self.expect("{")
        token = self.advance()
        if token.kind not in ("sym", "cmd"):
            raise Unparsed("limit")
        if self.advance().text not in ("to", "rightarrow", "->"):
            raise Unparsed("limit")
        value = self.expression(0)
        if self.peek().text == "^":
            self.advance()
            self.script()
        self.expect("}")
        return token.text, value
