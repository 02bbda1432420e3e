"""Made-up reasoning that varies as a model's does: for each problem its own names, things and numbers, and for each
sample its own order, wording, formulas and pieces of code. No sentence is taken from anywhere.
"""

# ruff: noqa: SIM905  (lists of words read better as words)
from __future__ import annotations

import random
from collections.abc import Callable

NAMES = """
Ada Bela Chiara Dmitri Esra Femi Goran Hana Ivo Jun Kofi Leila Marek Nadia Oskar Priya Quentin Rosa Selma
Tariq Uma Viktor Wanda Ximena Yusuf Zora
""".split()
THINGS = """
apples tickets marbles litres kilometres coins pages bricks tiles stamps bottles chairs ribbons seeds beads
cards boxes planks pencils lamps cables shirts loaves candles barrels jars sheets bolts eggs tokens
""".split()
PLACES = """
market station library orchard workshop harbour classroom bakery warehouse stadium theatre garden factory
museum kitchen camp farm clinic office pier
""".split()
NOUNS = """
remainder total difference ratio product quotient slope area perimeter radius height average median divisor
multiple factor exponent coefficient discriminant determinant modulus residue sequence series term interval
bound angle vertex diagonal chord tangent midpoint probability expectation variance permutation partition
subset arrangement
""".split()
VERBS = """
compute find determine simplify expand factor substitute compare count estimate rearrange isolate eliminate
combine separate check verify reconsider rewrite evaluate
""".split()
OPENERS = """
Let me {v} the {n} first.
To {v} the {n}, look at what {a} has at the {p}.
The key is the {n} of the {t}.
We know that {a} starts with {x} {t} and {b} with {y}.
First I will {v} how many {t} are left at the {p}.
Okay, so {a} and {b} share {x} {t}; what is the {n}?
Set up variables: let ${l}$ be the number of {t} that {a} holds.
Start with the condition on the {n}.
There are {x} {t} in all, and {y} of them belong to {b}.
""".strip().split("\n")
MIDDLES = """
Since {x} of the {t} go to {b}, the {n} must be at least {y}.
This gives ${f}$, which we can {v} directly.
Now {v} both sides: \\[ {f} = {g}. \\]
Wait, that double counts the {t} that {a} brought to the {p}.
Hmm, the {n} cannot be {x}, because {y} does not divide {z}.
So after the second step {a} has {x} {t} and {b} has {y}.
By symmetry the {n} and the {m} are equal, hence ${f}$.
Alternatively, {v} the {m} and subtract ${g}$ from it.
If {b} gives away {x}, then {z} {t} remain and the {n} changes by {y}.
That is, $\\frac{{{x}}}{{{y}}} = {f}$.
Let me double-check the {n}: {x} + {y} = {s}, which matches.
We can {v} this as ${f} \\le {g}$ for every ${l} \\ge {x}$.
For ${l} = {x}$ the left side is {y}, so the claim about the {m} fails.
The case ${l} = {y}$ is handled in the same way.
Multiplying by {x} clears the denominator and leaves ${f} = {z}$.
Therefore each {n} contributes exactly {x} {t}.
I should {v} whether the {p} counts as one of the places.
It follows that the {m} is bounded by ${g}$.
Using the formula for the {n}, we get {x} times {y}, which is {q}.
Then {a} pays {x} for every {y} {t}, so {z} in total.
Suppose instead that {b} had {y} {t}; then the {n} would be {z}, a contradiction.
Plugging in ${l} = {x}$ yields $${f} = {y}.$$
Notice that {x} and {y} are coprime, so the {n} repeats after {q} steps.
Okay, but the question asks for the {m}, not the {n}.
The remaining {z} {t} are split evenly, {y} for each person.
From the diagram the {n} equals ${g}$, up to a sign.
Subtracting the two equations eliminates ${l}$ and leaves the {m}.
Counting from the other end of the {p}, {a} is number {x} and {b} number {y}.
Let's {v} step by step: {x}, {y}, {z}, {q}.
""".strip().split("\n")
CODE = (
    "```python\ntotal = {x}\nfor {l} in range({y}, {z}):\n    if {l} % {x} == 0:\n        total += {l}\n"
    "print(total)\n```",
    "```python\nfrom math import comb, gcd\n\ndef {n}({l}: int) -> int:\n    return comb({l}, {x}) // gcd({y}, {z})\n\n"
    "print({n}({q}))\n```",
    "```python\n{t} = [{x}, {y}, {z}]\n{n} = sum(v * v for v in {t}) - {q}\nassert {n} > 0, {t}\n```",
)
ENDS = (
    "So the answer is $\\boxed{{{w}}}$.", "Hence the {n} is \\boxed{{{w}}}.", "The final answer: $\\boxed{{{w}}}$",
    "Everything fits, and {a} ends with $\\boxed{{{w}}}$ {t}.",
)  # fmt: skip
FORMS = r"""
{l}^2 - {x}{l} + {y}
\frac{{{x}{l} + {y}}}{{{z}}}
\sqrt{{{l}^2 + {y}}}
\sum_{{i=1}}^{{{x}}} {l}_i
\binom{{{x}}}{{{l}}}
{x}({l} - {y})^{{3}}
\log_{{{y}}} {l} + {z}
\sin\left(\frac{{\pi}}{{{x}}}\right)
{x} \cdot {y} - {l}
\left\lfloor \frac{{{l}}}{{{x}}} \right\rfloor
2^{{{x}}} \bmod {y}
|{l} - {z}|
""".strip().split("\n")


def prose(chars: int) -> Callable[[random.Random, str | None], str]:
    """Texts of about `chars` characters, half of them to one and a half times as long. A problem's are alike in what
    they speak of: its own things change every 64 samples.
    """
    drawn = 0
    own: dict[str, str] = {}

    def write(rng: random.Random, answer: str | None) -> str:
        nonlocal drawn, own
        if drawn % 64 == 0:
            a, b = rng.sample(NAMES, 2)
            own = {"a": a, "b": b, "p": rng.choice(PLACES), "l": rng.choice("nxkmt")}
            things, numbers = rng.sample(THINGS, 2), [rng.randrange(2, 900) for _ in range(14)]
        else:
            things, numbers = own["things"].split(), [int(x) for x in own["numbers"].split()]
        own |= {"things": " ".join(things), "numbers": " ".join(map(str, numbers))}
        drawn += 1

        def filled(form: str) -> str:
            slots = {k: str(rng.choice(numbers) if rng.random() < 0.7 else rng.randrange(1, 5000)) for k in "xyzqs"}
            slots |= own | {"t": rng.choice(things), "n": rng.choice(NOUNS), "m": rng.choice(NOUNS)}
            slots |= {"v": rng.choice(VERBS), "w": str(answer)}
            slots |= {k: rng.choice(FORMS).format(**slots) for k in "fg"}
            return form.format(**slots)

        wanted, said = chars * rng.uniform(0.5, 1.5), [filled(rng.choice(OPENERS))]
        while sum(map(len, said)) < wanted:
            said.append(filled(rng.choice(CODE if rng.random() < 0.05 else MIDDLES)))
        paragraphs, at = [], 0
        while at < len(said):
            step = rng.randint(1, 4)
            paragraphs.append(" ".join(said[at : at + step]))
            at += step
        return "\n\n".join([*paragraphs, "and then" if answer is None else filled(rng.choice(ENDS))])

    return write
