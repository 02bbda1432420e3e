"""A bounded grammar for answers, LaTeX and plain text alike: `parse` reads one into a `Term`.

Precedence climbing over a token list. Every descent counts against `MAX_DEPTH`, every list against `MAX_ITEMS`,
so a million opening braces end in `TooLarge`. Not a complete LaTeX reader: what it does not know is `Unparsed`,
and the text layer decides.
"""

from __future__ import annotations

from tts.verify.atoms import Atoms
from tts.verify.notation import english_brackets
from tts.verify.reading import respell
from tts.verify.terms import MAX_CHARS, MAX_DEPTH, MAX_ITEMS, Term, TooLarge, Unparsed, num, sym
from tts.verify.tokens import tokenise

_RELATIONS = {
    "=": "=", "<": "<", ">": ">", "<=": "<=", ">=": ">=", "!=": "!=", "=>": "=>", "lt": "<", "gt": ">", "le": "<=",
    "ge": ">=", "leq": "<=", "geq": ">=", "leqslant": "<=", "geqslant": ">=", "leqq": "<=", "geqq": ">=", "ne": "!=",
    "neq": "!=", "approx": "~", "simeq": "~", "sim": "~", "equiv": "=", "doteq": "=", "in": "in", "notin": "notin",
    "cong": "~", "to": "->", "->": "->", "rightarrow": "->", "longrightarrow": "->", "Rightarrow": "=>",
    "implies": "=>", "iff": "<=>", "Leftrightarrow": "<=>", "leftrightarrow": "<=>",
}  # fmt: skip
_CONNECTIVES = {"implies": "=>", "iff": "<=>", "xor": "xor", "nand": "nand", "nor": "nor"}
_NEGATED = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "=": "!=", "!=": "="}
_SETS = {"cup": "union", "bigcup": "union", "cap": "inter", "setminus": "minus", "backslash": "minus"}
_QUALIFYING = frozenset(["not", "no", "except", "least", "most", "more", "less", "fewer", "than", "under", "over"])
_TIMES = frozenset(["*", "cdot", "times", "ast", "bullet", "cdotp"])
_DIVIDE = frozenset(["/", "div"])


class Parser(Atoms):
    """Statements, relations and operators; `Atoms` has what they are made of."""

    def statements(self, closers: frozenset[str]) -> Term:
        """Statements separated by commas, semicolons, 'and', 'or', up to a closer or the end."""
        groups: list[tuple[list[Term], set[str]]] = [([], set())]
        outer = ""
        while not self.at_end(closers):
            separator = self.separator()
            if separator in (";", "or"):
                items, seps = groups[-1]
                if separator == "or" and not ({",", "and"} & seps and any(t.op == "rel" for t in items)):
                    seps.add("or")
                    continue
                if items:
                    groups.append(([], set()))
                outer = outer or separator
                continue
            if separator:
                groups[-1][1].add(separator)
                continue
            if not self.qualified():
                groups[-1][0].append(self.statement())
            if sum(len(items) for items, _ in groups) > MAX_ITEMS:
                raise TooLarge("items")
        terms = [_listed(items, seps) for items, seps in groups if items]
        if not terms:
            raise Unparsed("nothing")
        if len(terms) == 1:
            return terms[0]
        return Term("list", tuple(terms), outer)

    def separator(self) -> str:
        """Consumes a separator and says which; '' where there is none."""
        token = self.peek()
        if (token.kind == "op" and token.text in (",", ";", "and", "or")) or (token.kind == "cmd" and token.text in (
            "land", "lor", "wedge", "vee", "\\"
        )):  # fmt: skip
            self.advance()
            return {"land": "and", "wedge": "and", "lor": "or", "vee": "or", "\\": ","}.get(token.text, token.text)
        if token.kind == "word" and token.text in ("and", "or", "oder", "und", "et", "ou"):
            self.advance()
            return "or" if token.text in ("or", "oder", "ou") else "and"
        return ""

    def statement(self) -> Term:
        """One item: a label or unit in words may stand around the mathematics."""
        words: list[str] = []
        while self.relation_sign() in ("=", "~"):  # "= 5", "about 3.14"
            self.advance()
        while self.peek().kind in ("word", "text") and not self.is_negation():
            words.append(self.advance().text)
            if self.peek().kind == "num" and self.peek(1).text == ":":
                words.append(self.advance().text)
            if self.peek().text in (":", "=") and self.peek().kind == "op":
                self.advance()
        if self.peek().kind == "end" or self.peek().text in (",", ";", "and", "or", ")", "]", "}"):
            return Term("text", name=" ".join(words))
        if _QUALIFYING & {part for word in words for part in word.lower().split()}:
            raise Unparsed("negated or qualified")
        value = self.units(self.relation())
        return Term("label", (value,), " ".join(words)) if words else value

    def relation(self) -> Term:
        """Operands joined by =, <, \\in and so on."""
        operands, names = [self.operand()], []
        while (sign := self.relation_sign()) is not None:
            self.advance()
            names.append(sign)
            if sign in (">", "<") and self.peek().text == "=":
                self.advance()
                names[-1] += "="
            if self.peek().kind in ("text", "word"):
                operands.append(Term("text", name=self.prose()))
            else:
                operands.append(self.units(self.operand()))
        return Term("rel", tuple(operands), " ".join(names)) if names else operands[0]

    def operand(self) -> Term:
        """One side of a relation, negated or not: not (x > 2) is x <= 2."""
        if not self.is_negation():
            return self.union()
        self.advance()
        with self.deeper():
            value = self.operand()
        if value.op == "rel" and value.name in _NEGATED:
            return Term("rel", value.args, _NEGATED[value.name])
        if value.op not in ("sym", "list", "rel"):
            raise Unparsed("negated or qualified")
        return Term("list", (value,), "not")

    def is_negation(self) -> bool:
        """A "not" before a statement; "not 5" and "not odd" are prose."""
        token, following = self.peek(), self.peek(1)
        said = token[:2] == ("word", "not") or (token.kind == "cmd" and token.text in ("lnot", "neg"))
        return said and (following.text in ("(", "not", "lnot", "neg") or following.kind == "sym")

    def relation_sign(self) -> str | None:
        token = self.peek()
        if token.kind == "word":
            return _CONNECTIVES.get(token.text)
        if self.conditional and token.text in ("|", "mid"):
            return "|"  # P(A|B)
        return _RELATIONS.get(token.text) if token.kind in ("op", "cmd") else None

    def union(self) -> Term:
        """Sets joined by \\cup, \\cap and \\setminus; also a ratio a:b."""
        left = self.ratio()
        while (name := self.set_sign(left)) is not None:
            self.advance()
            left = Term(name, (left, self.ratio()))
        return left

    def set_sign(self, left: Term) -> str | None:
        token, after = self.peek(), self.peek(1)
        if token.kind == "cmd":
            return _SETS.get(token.text)
        sets = ("interval", "tuple", "bracket", "set", "union", "builder", "minus")
        if left.op in sets and token.kind == "sym" and token.text in ("U", "u"):
            return "union"
        braces = after.text == "{" or (after.kind == "cmd" and after.text == "{")
        if token.kind == "op" and token.text == "-" and braces and (left.op in sets or self.is_reals(left)):
            return "minus"
        return None

    def ratio(self) -> Term:
        parts = [self.expression(0)]
        while self.ratios and (self.peek()[:2] == ("op", ":") or self.is_to()):
            self.advance()
            parts.append(self.expression(0))
        return Term("ratio", tuple(parts)) if len(parts) > 1 else parts[0]

    def is_to(self) -> bool:
        """3 to 4 is a ratio."""
        return self.peek().kind in ("word", "text") and self.peek().text == "to" and self.peek(1).kind == "num"

    def expression(self, power: int) -> Term:
        """Precedence climbing: 10 for sums, 20 for products, 30 for powers (in `Atoms`)."""
        with self.deeper():
            left = self.signed(power)
            while True:
                token = self.peek()
                if token.kind == "end":
                    return left
                text = token.text if token.kind in ("op", "cmd") else ""
                if (text == "-" or token.kind == "sym") and self.set_sign(left) is not None:
                    return left
                if text in ("+", "-", "pm", "mp") and power <= 10:
                    left = self.sum(left)
                elif text in _TIMES and power <= 20:
                    self.advance()
                    left = _product(left, self.signed(21))
                elif text in _DIVIDE and power <= 20:
                    self.advance()
                    left = Term("div", (left, self.signed(21)))
                elif text in ("choose", "over") and power <= 5:
                    self.advance()
                    right = self.expression(6)
                    left = Term("div", (left, right)) if text == "over" else Term("call", (left, right), "binomial")
                elif text in ("bmod", "mod", "pmod") and power <= 15:
                    self.advance()
                    left = Term("call", (left, self.signed(16)), "pmod" if text == "pmod" else "mod")
                elif power <= 20 and self.starts_factor():
                    left = self.implicit(left)
                else:
                    return left

    def sum(self, left: Term) -> Term:
        """The rest of a sum, flat: a thousand summands are no depth."""
        terms = [left]
        while (token := self.peek()).kind in ("op", "cmd") and token.text in ("+", "-", "pm", "mp"):
            self.advance()
            right = self.expression(11)
            if token.text in ("pm", "mp"):
                terms = [Term("pm", (_added(terms), right), token.text)]
            else:
                terms.append(Term("neg", (right,)) if token.text == "-" else right)
        return _added(terms)

    def signed(self, power: int) -> Term:
        """Signs before a factor; -x^2 is -(x^2)."""
        negative, sign = False, ""
        while (token := self.peek()).kind in ("op", "cmd") and token.text in ("+", "-", "pm", "mp"):
            self.advance()
            if token.text == "-":
                negative = not negative
            elif token.text in ("pm", "mp"):
                sign = token.text
        value = self.factor()
        if negative and value.op == "num" and value.number is not None and self.peek().text != "_":
            value = Term("num", number=-value.number, places=value.places)
        elif negative or sign:
            while power <= 20 and self.starts_factor():  # -2x is -(2x), so that signs stay outside products
                value = self.implicit(value)
            value = Term("neg", (value,)) if negative else value
        return Term("pm", (num(0), value), sign) if sign else value

    def implicit(self, left: Term) -> Term:
        """A factor that follows without an operator; 1 1/4 and 7\\frac{9}{65} are mixed numbers."""
        mixed = self.mixed(left)
        if mixed is not None:
            return self.postfix(mixed)
        call = left.op == "sym" and not self.peek().spaced and (
            self.peek().text == "(" or (self.peek().text == "[" and left.name in ("E", "P", "Var"))
        )  # fmt: skip
        right = self.factor()
        if call:
            return Term("mul", (left, right), "()")  # P(x): perhaps a function, which matters left of an equals sign
        return _product(left, right)


def _product(left: Term, right: Term) -> Term:
    factors = left.args if left.op == "mul" and not left.name else (left,)
    return Term("mul", (*factors, right))


def _added(terms: list[Term]) -> Term:
    names = [t.name.partition("_") for t in terms if t.op == "sym"]
    if len(names) == len(terms) > 2 and sym("...") in terms:
        ends = [index for base, _, index in (names[0], names[-1]) if base and index]
        if len(ends) == 2 and len({base for base, _, index in names if index}) == 1:
            return sym(f"{names[0][0]}_[{'..'.join(sorted(ends))}]")  # a_0 + a_1 + ... + a_k, in either order
    return terms[0] if len(terms) == 1 else Term("add", tuple(terms))


def _listed(items: list[Term], seps: set[str]) -> Term:
    if len(items) == 1:
        return items[0]
    if not seps:
        raise Unparsed("two statements with nothing between")
    return Term("list", tuple(items), "or" if "or" in seps else "and" if "and" in seps else ",")


def _check_depth(term: Term) -> None:
    """Left-leaning chains (1/1/1/...) are no nesting for the parser, but are for whoever walks the tree."""
    level, depth = [term], 0
    while level:
        depth += 1
        if depth > 4 * MAX_DEPTH:
            raise TooLarge("depth")
        level = [child for node in level for child in node.args]


_CLOSING = " \t\n\r\f\v.,;^_"
_NOWHERE: frozenset[str] = frozenset()


def parse(text: str, thousands: bool = True) -> Term:
    """Read an answer or target. `thousands`: 1,234 is one number.

    Raises:
        TooLarge: more characters, tokens, digits, items or nesting than the limits allow.
        Unparsed: not in the grammar.
    """
    if len(text) > MAX_CHARS:
        raise TooLarge("characters")
    spelled = respell(text.strip('*`"\n ')).rstrip(_CLOSING)
    if spelled.endswith("\\"):
        spelled = spelled.rstrip("\\ ")
    spelled = english_brackets(spelled)
    tokens = tokenise(spelled, thousands)
    if not tokens:
        raise Unparsed("empty")
    parser = Parser(tokens)
    term = parser.statements(_NOWHERE)
    if parser.peek().kind != "end":
        raise Unparsed(parser.peek().text)
    _check_depth(term)
    return term
