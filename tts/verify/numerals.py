"""Numbers as they are printed: decimals, repeating decimals, mixed numbers."""

from __future__ import annotations

import re
from fractions import Fraction

from tts.verify.phrases import Phrases
from tts.verify.terms import Term, Unparsed, num


def literal(text: str) -> Term:
    """A number as printed: 5.10 has two places, 5.1e-2 three, 5 none."""
    mantissa, _, exponent = text.lower().partition("e")
    value = Fraction(mantissa if not mantissa.startswith(".") else "0" + mantissa)
    places = len(mantissa.partition(".")[2]) if "." in mantissa else -1
    if exponent:
        shift = int(exponent)
        if abs(shift) > 5_000:
            raise Unparsed("exponent")
        value *= Fraction(10) ** shift
        places = max(places, 0) - shift if max(places, 0) - shift > 0 else -1
    return num(value, places)


def repeating(text: str) -> Term:
    match = re.fullmatch(r"(\d*)\.(\d*)\s*\\(?:overline|bar)\s*\{?(\d+)\}?", text)
    if match is None:
        raise Unparsed(text)
    whole, fixed, cycle = match.groups()
    base = Fraction(int((whole or "0") + fixed), 10 ** len(fixed))
    return num(base + Fraction(int(cycle), 10 ** len(fixed) * (10 ** len(cycle) - 1)))


class Numerals(Phrases):
    """Mixed numbers, which only the tokens before and after tell from products."""

    def is_mixed_tail(self) -> bool:
        """`1/4` after a whole number and a space."""
        before, token, slash, last = self.tokens[self.at - 1], self.peek(), self.peek(1), self.peek(2)
        return (
            before.kind == token.kind == last.kind == "num" and slash.text == "/" and token.spaced
            and before.text.isdecimal() and token.text.isdecimal() and last.text.isdecimal()
            and int(token.text) < int(last.text)
        )  # fmt: skip

    def mixed(self, left: Term) -> Term | None:
        """The fraction of a mixed number, if one follows the whole number `left`."""
        if left.op != "num" or left.places != -1 or left.number is None or left.number.denominator != 1:
            return None
        if self.tokens[self.at - 1].kind != "num":
            return None
        start = self.at
        if self.is_mixed_tail():
            top, bottom = int(self.advance().text), int((self.advance(), self.advance())[1].text)
        elif self.peek().text in ("frac", "dfrac", "tfrac"):
            part = self.primary()
            pair = [a.number for a in part.args if a.op == "num" and a.places == -1 and a.number is not None]
            if part.op != "div" or len(pair) != 2 or not 0 <= pair[0] < pair[1]:
                self.at = start
                return None
            top, bottom = int(pair[0]), int(pair[1])
        else:
            return None
        size = abs(left.number) + Fraction(top, bottom)
        return num(-size if left.number < 0 else size)
