"""Words around mathematics: units, prose, subscripts, number bases."""

from __future__ import annotations

from fractions import Fraction

from tts.verify.calculus import Calculus
from tts.verify.terms import Term, TooLarge, Unparsed, num
from tts.verify.units import convert

_QUALIFIERS = [[w] for w in ("for", "where", "with", "if", "when", "such", "whenever", "provided", "as", "given")]
_MAGNITUDES = {
    "hundred": 100, "thousand": 1_000, "million": 10**6, "billion": 10**9, "trillion": 10**12, "dozen": 12,
}  # fmt: skip
_LARGEST = 200
_BASES = {"two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9",
          "ten": "10", "twelve": "12", "sixteen": "16"}  # fmt: skip
_STOPS = frozenset([",", ";", "and", "or", ")", "]", "}", "=", "<", ">", "<=", ">=", "!=", "|", "&"])


class Phrases(Calculus):
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
        value = self.magnitude(value)
        if self.peek().kind not in ("word", "text") or self.qualified():
            return value
        value, parts = self.compound(value)
        if parts:
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
        if words[:1] == ["or"] or words[0].startswith("or "):
            raise Unparsed("negated or qualified")  # 3 or more
        token = self.peek()
        if token.kind != "end" and token.text not in _STOPS and token.text != "\\":
            raise Unparsed("words in the middle of an expression")
        return Term("unit", (value,), " ".join(words))

    def magnitude(self, value: Term) -> Term:
        """5 million, 2 dozen, 3 hundred thousand: the number that the words make of it."""
        if value.op != "num" or value.number is None:
            return value
        total, words = value.number, self.peek().text.lower().split()
        if len(words) > 9:
            return value
        while self.peek().kind in ("word", "text") and words and words[0].rstrip("s") in _MAGNITUDES:
            if total.numerator.bit_length() > _LARGEST:
                raise TooLarge("magnitude")
            while words and words[0].rstrip("s") in _MAGNITUDES:
                total *= _MAGNITUDES[words.pop(0).rstrip("s")]
            token = self.advance()
            if words:
                self.at -= 1
                self.tokens[self.at] = token._replace(text=" ".join(words))
            else:
                words = self.peek().text.lower().split()
        return value if total == value.number else num(total)

    def compound(self, value: Term) -> tuple[Term, bool]:
        """2 hours 30 minutes, 5 feet 6 inches: one quantity in its first unit."""
        start, first = self.at, self.peek().text
        total, parts = value.number, 0
        while total is not None and value.op == "num":
            before = self.at
            self.advance()
            if self.peek().text in ("and", ",") and self.peek().kind == "op":
                self.advance()
            more, unit = self.peek(), self.peek(1)
            factor = None
            if more.kind == "num" and unit.kind in ("word", "text", "sym") and more.text.replace(".", "").isdecimal():
                factor = convert(unit.text, first)
            if factor is None or factor >= 1:
                self.at = before
                break
            total += Fraction(more.text) * factor
            parts += 1
            self.advance()
        if not parts:
            self.at = start
            return value, False
        self.advance()
        return Term("unit", (num(total or 0),), first), True

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
        script = self.raw_script().removeprefix("base").removeprefix("text").strip(" ()")
        script = _BASES.get(script.lower(), script)
        if value.number is None or value.number.denominator != 1 or not script.isdecimal() or value.places != -1:
            raise Unparsed("subscript on a number")
        base, digits = int(script), str(abs(value.number))
        if not 2 <= base <= 36 or any(int(d) >= base for d in digits):
            raise Unparsed("base")
        meant = int(digits, base)
        return Term("base", (num(-meant if value.number < 0 else meant),), f"{value.number}_{base}")
