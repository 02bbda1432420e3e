"""What expressions are made of: numbers, names, functions, fractions, roots, brackets, matrices, units.

The lower half of the grammar; `grammar.Parser` adds operators and statements. Nesting is counted in `deeper`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction

from tts.verify.numerals import Numerals, literal, repeating
from tts.verify.terms import Term, Unparsed, num, sym
from tts.verify.tokens import GREEK, Token, names

_BLACKBOARD = {"R": "reals", "Z": "integers", "N": "naturals", "Q": "rationals", "C": "complexes"}
_APPLIED = frozenset(["f", "g", "h", "F", "G", "H", "phi", "Phi", "psi", "varphi"])
_SCALES = {"C": "degc", "F": "degf"}
_HALVES = {"+": "()", ">0": "()", "gt0": "()", ">=0": "[)", "ge0": "[)", "geq0": "[)", "geqslant0": "[)", "-": "-",
           "<0": "-", "lt0": "-"}  # fmt: skip
_MARKS = {"overline": "bar", "widehat": "hat"}
_PRODUCT_SIGNS = frozenset(["sum", "prod", "int", "lim", "iint", "oint"])
_FACTOR_COMMANDS = (
    names(
        """frac dfrac tfrac cfrac sqrt cbrt binom dbinom tbinom pi infty lfloor lceil langle lvert vec overline bar hat
        mathbb emptyset varnothing tilde lbrack lbrace overrightarrow widehat { | ldots dots cdots degree circ sum prod
        int lim prime matrix partial nabla mathbf Re Im vert Vert lVert Pr"""
    )
    | GREEK
)


def _half_line(kind: str) -> Term:
    """The positive reals, with zero for "[)"; the negative ones for "-"."""
    infinity = Term("const", name="inf")
    if kind == "-":
        return Term("interval", (Term("neg", (infinity,)), num(0)), "()")
    return Term("interval", (num(0), infinity), kind)


class Atoms(Numerals):
    """Factors: everything that binds tighter than a product."""

    @contextmanager
    def deeper(self) -> Iterator[None]:
        """One level of nesting."""
        self.descend()
        try:
            yield
        finally:
            self.depth -= 1

    def starts_factor(self) -> bool:
        """Whether the next token may be multiplied without an operator."""
        token = self.peek()
        if token.kind in ("sym", "fn", "rep", "env"):
            return True
        if token.kind == "num":
            before = self.tokens[self.at - 1]
            return before.kind != "num" or self.is_mixed_tail()
        if token.kind == "cmd":
            return token.text in _FACTOR_COMMANDS and not (token.text in ("|", "Vert") and self.bars)
        if token.kind == "op" and token.text == "|":
            return self.bars == 0 and self.has_closing_bar()
        if token.text == "[" and token.kind == "op":
            return self.tokens[self.at - 1].text in (")", "]") or not token.spaced
        return token.kind == "op" and token.text in ("(", "{")

    def factor(self) -> Term:
        """A primary with its powers and postfix signs."""
        with self.deeper():
            return self.postfix(self.primary())

    def postfix(self, base: Term) -> Term:
        while True:
            token = self.peek()
            if token.text == "circ" and base.op == self.peek(1).kind == "sym":  # f o g
                self.advance()
                base = sym(f"{base.name} o {self.advance().text}")
            elif token.kind == "cmd" and token.text in ("degree", "circ", "textdegree", "textcirc"):
                self.advance()
                base = self.minutes(Term("degree", (base,)))
                if self.peek().text in _SCALES and (self.peek(1).kind == "end" or self.peek(1).text in (")", ",", "]")):
                    base = Term("unit", base.args, _SCALES[self.advance().text])
            elif token.kind == "op" and token.text == "^":
                self.advance()
                base = self.powered(base)
            elif token.kind == "op" and token.text == "!":
                self.advance()
                double = self.peek()[:2] == ("op", "!") and not self.peek().spaced
                if double:
                    self.advance()
                base = Term("call", (base,), "factorial2" if double else "factorial")
            elif token.kind in ("word", "text") and token.text in ("deg", "degrees") and self.depth > 3:
                self.advance()
                base = Term("degree", (base,))
            elif (
                (token.text == "%" and token.kind in ("op", "cmd"))
                or (token.kind == "word" and token.text in ("percent", "pct", "percentage"))
                or (token.kind == "text" and token.text.strip().lower() in ("percent", "pct", "%", "\\%"))
            ):
                self.advance()
                base = Term("percent", (base,))
            elif token.kind == "op" and token.text == "_" and base.op == "pow" and base.args[0].op == "sym":
                self.advance()  # v^2_0 is (v_0)^2
                base = Term("pow", (sym(f"{base.args[0].name}_{self.raw_script()}"), base.args[1]))
            elif token.kind == "op" and token.text == "_" and base.op in ("num", "tuple"):
                self.advance()
                base = self.based(base)
            else:
                return base

    def powered(self, base: Term) -> Term:
        token, inner = self.peek(), self.peek(1)
        if token[:2] == ("op", "*") and base.op == "sym" and (inner.kind == "end" or inner.text in ("=", ")", ",")):
            self.advance()
            return sym(base.name + "*")
        head = inner if token.text == "{" and token.kind == "op" else token
        if head.kind == "cmd" and head.text in ("circ", "degree", "prime", "textdegree", "textcirc"):
            self.raw_script()
            if head.text == "prime":
                return base
            degrees = self.minutes(Term("degree", (base,)))
            return Term("unit", degrees.args, _SCALES[self.advance().text]) if self.peek().text in _SCALES else degrees
        if head.kind in ("word", "text") and head.text in ("st", "nd", "rd", "th"):
            self.raw_script()
            return base
        if base.op == "sym" and base.name in _BLACKBOARD.values() and self.peek(token.text == "{").text in ("+", "*"):
            mark = self.raw_script()
            if base.name == "reals" and mark != "*":
                return _half_line("()" if mark == "+" else "-")
            return sym("naturals" if (base.name, mark) == ("integers", "+") else base.name + mark)
        exponent = self.script()
        if base.op == "call" and base.name in ("sinh", "cosh") and exponent.op == "neg":
            return Term("pow", (base, exponent))
        return Term("pow", (base, exponent))

    def minutes(self, degrees: Term) -> Term:
        """60 degrees 42' 30'': sexagesimal parts."""
        total, value = degrees.args[0].number, degrees.args[0]
        for mark, share in (("'", 60), ("''", 3600)):
            if total is not None and self.peek().kind == "num" and self.peek(1).text == mark:
                total += Fraction(self.advance().text) / share
                self.advance()
                value = num(total)
        return Term("degree", (value,))

    def script(self) -> Term:
        """A superscript's content: a braced group, or one signed factor (x^-2, 2^3^4 to the right)."""
        token = self.peek()
        if token.text == "{" and token.kind == "op":
            return self.group()
        negative = False
        while self.peek().kind == "op" and self.peek().text in ("-", "+"):
            negative ^= self.advance().text == "-"
        with self.deeper():
            value = self.primary()
            while self.peek().text == "^" and self.peek().kind == "op":
                self.advance()
                value = self.powered(value)
            if self.peek().text == "!" and self.peek().kind == "op":
                self.advance()
                value = Term("call", (value,), "factorial")
        return Term("neg", (value,)) if negative else value

    def primary(self) -> Term:
        token = self.advance()
        if token.kind == "num":
            return literal(token.text)
        if token.kind == "rep":
            return repeating(token.text)
        if token.kind == "sym":
            return self.name(token.text)
        if token.kind == "fn":
            return self.function(token.text)
        if token.kind == "env":
            return self.environment(token.text)
        if token.kind == "cmd":
            return self.command(token)
        if token.kind == "op" and token.text in ("(", "["):
            return self.bracketed(token.text)
        if token.kind == "op" and token.text == "{":
            self.at -= 1
            return self.group()
        if token.kind == "op" and token.text == "|":
            return self.bar("|")
        if (token.kind == "op" and token.text == "...") or (token.kind == "text" and token.text == "..."):
            return sym("...")
        raise Unparsed(token.text or "unfinished")

    def command(self, token: Token) -> Term:
        """A LaTeX command in the place of a factor."""
        name = token.text
        if name in ("frac", "dfrac", "tfrac", "cfrac"):
            top = self.argument()
            fraction = Term("div", (top, self.argument()))
            return self.derivative(fraction) or fraction
        if name in ("binom", "dbinom", "tbinom"):
            top = self.argument()
            return Term("call", (top, self.argument()), "binomial")
        if name in ("sqrt", "cbrt"):
            return self.root(name)
        if name == "matrix":
            rows = self.call_arguments()
            rows = rows[0].args if len(rows) == 1 and all(a.op == "bracket" for a in rows[0].args) else rows
            if not all(r.op == "bracket" for r in rows):
                raise Unparsed("matrix")
            return Term("matrix", tuple(Term("row", r.args) for r in rows))
        if name in ("infty", "pi"):
            return Term("const", name="inf" if name == "infty" else "pi")
        if name in ("emptyset", "varnothing", "O"):
            return Term("empty")
        if name in ("ldots", "dots", "cdots", "vdots"):
            return sym("...")
        if name == "mathbb":
            letter = self.argument()
            if letter.op == "sym" and letter.name in _BLACKBOARD:
                return self.name(letter.name, _BLACKBOARD[letter.name])
            if letter.op == "sym" and letter.name in ("E", "P"):
                return self.name(letter.name)
            raise Unparsed("mathbb")
        if name == "Pr":
            return self.name("P")
        if name in ("vec", "overline", "bar", "hat", "tilde", "overrightarrow", "widehat", "mathbf"):
            inner = self.argument()
            names = [inner.name] if inner.op in ("sym", "const") else [a.name for a in inner.args if a.op == "sym"]
            if name in ("overline", "bar") and (not names or any(t.op in ("add", "neg", "div") for t in inner.walk())):
                return Term("call", (inner,), "conj")
            if not names:
                raise Unparsed(name)
            if len(names) > 1 and inner.op == "mul" and "".join(names).isupper():
                return inner  # the segment AB, or the vector from A to B
            plain = name in ("vec", "mathbf", "overrightarrow", "hat") or len(names) > 1
            return sym("".join(names) if plain else f"{_MARKS.get(name, name)} {names[0]}")
        if name in _PRODUCT_SIGNS:
            return self.big_operator(name)
        if name in ("Re", "Im"):
            return self.function(name.lower())
        closers = {"lfloor": "rfloor", "lceil": "rceil", "langle": "rangle", "{": "}", "lbrace": "rbrace",
                   "lvert": "rvert", "|": "|", "lVert": "rVert", "vert": "vert", "Vert": "Vert",
                   "lbrack": "rbrack"}  # fmt: skip
        if name in closers:
            return self.delimited(name, closers[name])
        if name in GREEK or name in ("partial", "nabla", "prime", "varnothing"):
            return self.name(name.removeprefix("var") if name != "varnothing" else name)
        raise Unparsed("\\" + name)

    def name(self, name: str, known: str = "") -> Term:
        """A free name with its subscript and primes, a constant, or a function such as f applied to something."""
        subscript = ""
        if self.peek().text == "_" and self.peek().kind == "op":
            self.advance()
            subscript = self.raw_script()
        while self.peek().kind == "op" and self.peek().text in ("'", "''", "'''"):
            name += self.advance().text
        if known == "reals" and subscript in _HALVES:
            return _half_line(_HALVES[subscript])
        if known:
            return sym(known + subscript)
        if not subscript:
            if name == "e":
                return Term("const", name="e")
            if name == "i" and "i" not in self.indices:
                return Term("const", name="i")
        full = f"{name}_{subscript}" if subscript else name
        power: Term | None = None
        if name.rstrip("'") in _APPLIED:
            start = self.at
            if self.peek().text == "^" and self.peek().kind == "op":
                self.advance()
                power = self.script()
            if self.peek().text == "(" and self.peek().kind == "op":
                args = self.call_arguments()
                applied = Term("call", args, "@" + full)
                return Term("pow", (applied, power)) if power is not None else applied
            self.at = start
        return sym(full)
