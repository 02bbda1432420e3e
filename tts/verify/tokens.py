"""The tokeniser for answers, LaTeX and plain: one pass, one regular expression, no lookbehind over the text.

A token is (kind, text). Kinds: num, rep (repeating decimal), sym, fn, word, text, cmd, env, end, op.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from tts.verify.terms import MAX_DIGITS, MAX_TOKENS, TooLarge, Unparsed


class Token(NamedTuple):
    """One token; `spaced` tells that white space came before it."""

    kind: str
    text: str
    spaced: bool = False


_TRIG = ("sin", "cos", "tan", "cot", "sec", "csc")
_HYPERBOLIC = ("sinh", "cosh", "tanh", "coth", "sech", "csch")
FUNCTIONS: dict[str, str] = {
    **{n: n for n in (*_TRIG, *_HYPERBOLIC, "exp", "log", "ln", "lg", "lb", "sqrt", "cbrt", "abs", "floor", "ceil")},
    **{prefix + n: "a" + n for n in (*_TRIG, *_HYPERBOLIC) for prefix in ("a", "arc", "ar")},
    **{n: n for n in ("gcd", "lcm", "max", "min", "det", "sign", "factorial", "binomial", "mod", "arg", "erf")},
    "cosec": "csc", "arccosec": "acsc", "cotan": "cot", "tg": "tan", "ctg": "cot", "arctg": "atan", "sgn": "sign",
    "ceiling": "ceil", "Abs": "abs", "binom": "binomial", "nCr": "binomial", "Re": "re", "Im": "im",
    "hcf": "gcd", "Log": "log", "Ln": "ln", "Sin": "sin", "Cos": "cos", "Tan": "tan", "gamma": "gammafn",
}  # fmt: skip


def names(text: str) -> frozenset[str]:
    """The words of a table."""
    return frozenset(text.split())


GREEK = names(
    """alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi omicron pi rho
    varrho sigma tau upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega hbar
    ell infty"""
)
_WORD_SIGNS = {
    "and": "and", "or": "or", "oo": "infty", "inf": "infty", "infinity": "infty", "Infinity": "infty",
}  # fmt: skip
_WORDS = names(
    """an is the of to no not as at by for from if in it so we yes odd even true false none all undefined any are be but
    sq day days pct percent per cm mm km kg mg ml mL ft mi yd oz hr ms mph kph rpm USD usd am pm th st nd rd dne DNE
    hours hour minutes years year deg xor nor"""
)
_SPLIT = re.compile("(" + "|".join(sorted((n for n in FUNCTIONS if len(n) > 1), key=len, reverse=True)) + ")")
_GREEK_SPLIT = re.compile("(pi|theta|alpha|beta|gamma|lambda|omega|sigma|delta)")

_TEXTUAL = names(
    """text textbf textit textrm mathrm mathbf mbox textnormal operatorname emph mathsf textsf hbox mathit mathcal
    boldsymbol bm texttt mathtt"""
)
_IGNORED = names(
    """angle triangle boxed fbox framebox displaystyle Bigm mathstrut strut nonumber square measuredangle underline
    mathop ensuremath color"""
)

_NUMBER = r"(?:\d+\.\d+|\d+\.(?![\d.])|\.\d+|\d+)(?:[eE][+-]?\d+(?![\w.]))?"
_THOUSANDS = (
    r"\d{1,3}(?:\.\d{3}){2,}(?![\d.])|\d{1,3}(?:(?:,|\{,\})\d{3})+(?:\.\d+)?(?!\d|,\d)"
    r"|\d{1,3}(?: \d{3})+(?:\.\d+)?(?![\d.]|\s*/)|"
)
_BRACED = r"\d{1,3}(?:\{,\}\d{3})+(?:\.\d+)?(?!\d)|"
_REST = (
    r"|\\(?P<cmd>[A-Za-z]+|.)|(?P<alpha>[A-Za-z]+)"
    r"|(?P<op><=|>=|=<|=>|!=|==|<>|:=|\*\*|->|\.\.\.|'+|[-+*/^_=<>(),;:{}\[\]|!&%.?\"@#])"
    r"|(?P<word>[^\W\d_]+)|(?P<space>\s+)|(?P<other>.)"
)
_CALLED = {
    "diff": "diff", "derivative": "diff", "int": "int", "integrate": "int", "integral": "int", "sum": "sum",
    "prod": "prod", "product": "prod", "limit": "lim", "lim": "lim", "root": "root", "nthRoot": "root",
    "nthroot": "root", "choose": "binomial", "comb": "binomial", "nPr": "perm", "perm": "perm", "permute": "perm",
    "conjugate": "conj", "conj": "conj", "factorial2": "factorial2",
}  # fmt: skip
"""Names that are functions where a bracket follows, and letters where none does."""
_INDEX = re.compile(r"\d{1,3}(?![\d.^])")
_REPEATING = r"(?P<rep>\d*\.\d*\s*\\(?:overline|bar)\s*(?:\{\d+\}|\d))|"
_LEXERS = {
    True: re.compile(_REPEATING + "(?P<num>" + _THOUSANDS + _NUMBER + ")" + _REST, re.DOTALL),
    False: re.compile(_REPEATING + "(?P<num>" + _BRACED + _NUMBER + ")" + _REST, re.DOTALL),
}


def _closing(text: str, start: int) -> int:
    """Index just after the brace that closes the one at `start`; the end of the text if none does."""
    depth = 0
    for i in range(start, len(text)):
        if text[i] == "{":
            depth += 1
        elif text[i] == "}":
            depth -= 1
            if depth == 0:
                return i + 1
    return len(text)


def letters(run: str, spaced: bool) -> list[Token]:
    """A run of ASCII letters: a function, a Greek name, a word, or a product of letters."""
    if run in FUNCTIONS and run != "gamma":
        return [Token("fn", FUNCTIONS[run], spaced)]
    if run in ("matrix", "Matrix"):
        return [Token("cmd", "matrix", spaced)]
    if run in _WORD_SIGNS:
        sign = _WORD_SIGNS[run]
        return [Token("op" if sign in ("and", "or") else "cmd", sign, spaced)]
    if run in GREEK:
        return [Token("cmd", run, spaced)]
    if len(run) == 1:
        return [Token("sym", run, spaced)]
    if run in _WORDS or (run.istitle() and run.lower() in _WORDS):
        return [Token("word", run, spaced)]
    glued = re.fullmatch(r"(or|and)([A-Za-z])", run)
    if glued and not spaced:  # W=1orW=2
        return [Token("op", glued[1]), Token("sym", glued[2])]
    for splitter, kind in ((_SPLIT, "fn"), (_GREEK_SPLIT, "cmd")):
        pieces = [p for p in splitter.split(run) if p]
        loose = sum(len(p) for p in pieces if not splitter.fullmatch(p))
        if len(pieces) > 1 and loose <= 1:
            return [
                token
                for j, p in enumerate(pieces)
                for token in (
                    [Token(kind, FUNCTIONS.get(p, p) if kind == "fn" else p, spaced and j == 0)]
                    if splitter.fullmatch(p)
                    else [Token("sym", c, spaced and j == 0) for c in p]
                )
            ]
    if (len(run) <= 3 and not (len(run) == 3 and run.istitle())) or run.isupper():
        return [Token("sym", c, spaced and j == 0) for j, c in enumerate(run)]
    return [Token("word", run, spaced)]


def _plain(number: str) -> str:
    """A number without its separators: 1,234, 1 234, 1{,}234 and 1.234.567."""
    number = re.sub(r"\{,\}|[, ]", "", number)
    return number.replace(".", "") if number.count(".") > 1 else number


def _is_unit(letter: str, previous: Token | None) -> bool:
    """Whether an upright letter is a unit: after a number or a degree sign, or after a group if it looks like one."""
    if previous is None:
        return False
    return (
        previous.kind == "num"
        or previous.text in ("circ", "degree")
        or (previous.text == "}" and letter in "msghLKNJW")
    )


def _braced(
    command: str, content: str, spaced: bool, thousands: bool, depth: int, previous: Token | None
) -> list[Token]:
    """What `\\text{...}` and its relatives hold: mathematics where it is, a text where it is not."""
    inner = content.strip()
    word = inner.strip("., ")
    if word in ("and", "or"):
        return [Token("op", word, spaced)]
    if not inner:
        return []
    if word in FUNCTIONS:
        return [Token("fn", FUNCTIONS[word], spaced)]
    if len(word) == 1 and word.isalpha():
        return [
            Token(
                "text" if _is_unit(word, previous) and command in ("text", "mathrm", "mbox", "rm") else "sym",
                word,
                spaced,
            )
        ]
    if command in ("operatorname", "mathbf", "boldsymbol", "bm", "mathcal", "mathit") or re.fullmatch(
        r"[-+*/^()\d.,\s]*\d[-+*/^()\d.,\s]*|[-+]?\d+\s*/\s*\d+|\\?[A-Za-z]+(?=\d)|.*\\(?:frac|sqrt|pi|times|infty|boxed).*",
        inner,
        re.DOTALL,
    ):
        return tokenise(inner, thousands, depth + 1)
    return [Token("text", inner, spaced)]


def tokenise(text: str, thousands: bool = True, depth: int = 0) -> list[Token]:
    """Tokens of a respelled text. `thousands`: read 1,234 as one number.

    Raises:
        TooLarge: more tokens or digits than the limits allow.
        Unparsed: a sign that no answer has.
    """
    if depth > 5:
        raise TooLarge("nesting")
    tokens: list[Token] = []
    i, spaced, lexer, plain = 0, False, _LEXERS[thousands], "\\" not in text
    while i < len(text):
        match = lexer.match(text, i)
        if match is None:  # cannot happen: `other` takes any character
            raise Unparsed(text[i])
        kind, found = match.lastgroup or "other", match[match.lastgroup or "other"]
        i = match.end()
        if kind == "space":
            spaced = True
            continue
        if kind == "num" or kind == "rep":
            if len(found) > MAX_DIGITS:
                raise TooLarge("digits")
            if kind == "num" and " " in found and tokens and tokens[-1].text == "_":  # log_10 100
                found, i = found.split()[0], match.start() + len(found.split()[0])
            enclosed = tokens and tokens[-1].text in ("(", "[") and text[i : i + 1] in (")", "]")
            if kind == "num" and enclosed and "," in found and "{" not in found:  # (312,123) is a pair
                pairs = [(Token("op", ","), Token("num", part)) for part in found.split(",")]
                tokens.extend([token for pair in pairs for token in pair][1:])
            else:
                tokens.append(Token(kind, _plain(found) if kind == "num" else found, spaced))
        elif (
            kind == "alpha" and found in ("min", "sec") and tokens and tokens[-1].kind == "num" and not text[i:].strip()
        ):
            tokens.append(Token("word", found, spaced))  # 5 min is no minimum
        elif kind == "alpha" and found in _CALLED and text[i : i + 1] == "(":
            tokens.append(Token("fn", _CALLED[found], spaced))
        elif kind == "alpha" and plain and len(found) == 1 and found not in "eiCP" and (index := _INDEX.match(text, i)):
            tokens.append(Token("sym", f"{found}#{index[0]}", spaced))  # x1 is a name, neither x_1 nor 1x
            i = index.end()
        elif kind == "alpha":
            tokens.extend(letters(found, spaced))
        elif kind == "word":
            tokens.append(Token("word", found, spaced))
        elif kind == "op":
            tokens.append(
                Token("op", {"**": "^", "==": "=", ":=": "=", "=<": "<=", "<>": "!="}.get(found, found), spaced)
            )
        elif kind == "cmd" and (found in _TEXTUAL or found in ("begin", "end")):
            j = i
            while text[j : j + 1].isspace():
                j += 1
            if text[j : j + 1] == "{":
                end = _closing(text, j)
                content = text[j + 1 : end - 1] if text[end - 1] == "}" else text[j + 1 :]
                i = end
                if found in ("begin", "end"):
                    tokens.append(Token("env" if found == "begin" else "end", content.strip(), spaced))
                else:
                    tokens.extend(_braced(found, content, spaced, thousands, depth, tokens[-1] if tokens else None))
        elif kind == "cmd" and found in _IGNORED:
            pass
        elif kind == "cmd":
            tokens.append(Token("fn", FUNCTIONS[found], spaced) if found in FUNCTIONS and found not in (
                "sqrt", "binom", "gamma", "mod") else Token("cmd", found, spaced))  # fmt: skip
        else:
            raise Unparsed(found)
        spaced = False
        if len(tokens) > MAX_TOKENS:
            raise TooLarge("tokens")
    return tokens
