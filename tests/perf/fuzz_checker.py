"""Fuzzes the checker: hostile and mutated pairs, watched by an audit hook. Not collected by pytest.

    python tests/perf/fuzz_checker.py [--pairs 100000] [--seed 1] [--slow 2000]

The corpus is the catalog of cases; pairs are taken from it, mutated, grown by a small grammar, or built hostile (power
towers, factorials, deep nesting, a megabyte of text, null bytes, things unclosed, Python code). Every pair goes through
reading, the cheap layers and the canonical form in this process, where opening a file, starting a process, touching a
socket, and compiling or running code is recorded as a failure. Up to `--slow` of the pairs that need SymPy then go to
the worker pool. Printed: pairs, statuses, the slowest pair, failures; exit 1 if anything raised, hung or broke out.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tts.verify.reading import words

LIMIT = 2.0
"""Seconds of processor time that one pair may take; in the workers, of the clock."""
MARKER = Path("/tmp/tts-fuzz-owned")
FORBIDDEN = (
    "open", "exec", "compile", "import", "subprocess.Popen", "os.", "socket.", "shutil.", "tempfile.", "ctypes.",
    "urllib.", "ftplib.", "http.", "pty.", "webbrowser.", "glob.", "marshal.", "pickle.", "sqlite3.", "code.",
)  # fmt: skip
CODE = (
    f"__import__('os').system('touch {MARKER}')", f"exec(\"open('{MARKER}','w')\")", f"eval(open('{MARKER}','w'))",
    "().__class__.__bases__[0].__subclasses__()", "lambda x: x", "{{7*7}}", "${jndi:ldap://x}", "$(touch x)", "`id`",
    "import os; os.fork()", "<script>alert(1)</script>", "'; DROP TABLE answers; --", "\\input{/etc/passwd}",
    "\\write18{ls}", "%s%n%x", "sympify('x')", "\\def\\a{\\a\\a}\\a", "Matrix(10**9, 10**9)", "Integer(10)**10**10",
)  # fmt: skip
ATOMS = (
    *words("0 1 2 3 7 10 100 1000 0.5 .5 1,000 1e9 1e999999 x y n a e i k 1/2 x_1 %"),
    *words("\\pi \\infty \\alpha 50\\% 3^\\circ"),
    "9" * 400, "10^{10^{10}}", "(10^9)!", "\\binom{10^9}{3}", "\\sqrt{-1}", "\\text{cm}", "\\text{no solution}",
    "0.\\overline{3}", "\\emptyset", "\\mathbb{R}", "1:2", "\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}", "(1,2)", "[0,1)",
    "\\{1,2\\}", "\\ldots", "f(x)", "|x|", "\\sum_{k=1}^{n} k", "\\int_0^1 x dx", "\\lim_{x \\to 0} x", "5 million",
    "\0", "\u202e", "\U0001d7d9", "½", "x²", "∞", "²³", "①", "\ud83d", "１２", "½½", "٣", "é", "\\", "$", "",
)  # fmt: skip
JOINS = (
    *words("+ - * / ^ = < > , ; : ! _ | & ' !! ** // ... )( }{"),
    *words("\\cdot \\times \\pm \\le \\cup \\cap \\in \\to \\neq \\pmod \\mid"),
    " ", "", " and ", " or ", "\\text{ or }", "\\quad", "\n", "\\\\", " not ", " implies ", " to ",
)  # fmt: skip
WRAPS = (
    ("\\frac{", "}{2}"), ("\\sqrt{", "}"), ("\\sqrt[3]{", "}"), ("(", ")"), ("[", "]"), ("\\{", "\\}"), ("{", "}"),
    ("\\left|", "\\right|"), ("\\text{", "}"), ("\\boxed{", "}"), ("$", "$"), ("\\sin ", ""), ("\\log_{2}{", "}"),
    ("e^{", "}"), ("-", ""), ("\\frac{d}{dx} ", ""), ("\\int ", " dx"), ("\\sum_{n=1}^{9} ", ""), ("", "!"), ("", "^2"),
    ("\\begin{cases}", "\\end{cases}"), ("x = ", ""), ("f(x) = ", ""), ("The answer is ", "."), ("#### ", ""),
    ("<think>", "</think>"), ("<think>", ""), ("\\overline{", "}"), ("\\dot{", "}"), ("_{", "}C_2"), ("{}^", "P_3"),
)  # fmt: skip


def corpus() -> list[str]:
    """Every answer and target in the catalog of cases."""
    from tts import catalog
    from tts.verify.cases import read_cases

    files = sorted((catalog.builtin("verifiers") / "cases").glob("*.tsv"))
    return [text for path in files for case in read_cases(path) for text in (case.answer, case.target)]


def grown(dice: random.Random, depth: int) -> str:
    """An expression of a small grammar, not always well formed."""
    if depth <= 0 or dice.random() < 0.25:
        return dice.choice(ATOMS)
    if dice.random() < 0.45:
        before, after = dice.choice(WRAPS)
        return before + grown(dice, depth - 1) + after
    return dice.choice(JOINS).join(grown(dice, depth - 1) for _ in range(dice.randint(2, 3)))


def mutated(dice: random.Random, text: str, other: str) -> str:
    """The text with spans deleted, doubled, swapped, or taken from another text or from the tables."""
    for _ in range(dice.randint(1, 5)):
        at = dice.randint(0, len(text))
        end = min(len(text), at + dice.randint(0, 8))
        piece = dice.choice((
            "", text[at:end] * dice.randint(2, 6), text[at:end][::-1], dice.choice(ATOMS), dice.choice(JOINS),
            dice.choice(CODE), other[: dice.randint(0, len(other))], chr(dice.randint(0, 0x2FFF)),
            dice.choice("{}()[]|$\\^_") * dice.randint(1, 40),
        ))  # fmt: skip
        text = text[:at] + piece + text[end:]
    return text


def hostile(dice: random.Random, large: bool) -> str:
    """Repetition and depth; a megabyte where `large`."""
    times = dice.choice((10, 60, 300, 3_000)) if not large else 1_000_000
    piece = dice.choice((
        "(", "{", "[", "\\{", "|", "\\left(", "\\sqrt{", "\\frac{1}{", "2^", "2^{", "-", "1,", "1+", "x*", "!", "'",
        "\\text{", "\\boxed{", "\\begin{pmatrix}", "9", "1 ", "\0", "$", "%", "a=", " or ", "\\pm 1 ", "\\int ", "sin ",
        "0.", "x^", "1/", "\\cup ", "\\overline{", "\\dot{1}", "...", "C_", "1:", "\\sum_{k=1}^{300} ", "not ", "E",
        "####", "<think>", "The answer is ", "\n", "\\frac{d}{dx}", "million ", "&", "\\\\", "1 hour ", "_5C_2", "x_",
    ))  # fmt: skip
    text = (piece * times)[: 1_000_000 if large else 30_000]
    if dice.random() < 0.3:
        text += dice.choice(ATOMS) + dice.choice((")", "}", "]", "|", "\\}")) * min(times, 3_000)
    return text


def pair(dice: random.Random, texts: list[str], number: int) -> tuple[str, str]:
    """One fuzzed (answer, target)."""
    kind = dice.random()
    target = dice.choice(texts)
    if number % 500 == 0:
        return hostile(dice, large=True), target
    if kind < 0.35:
        answer = mutated(dice, dice.choice((target, dice.choice(texts))), dice.choice(texts))
    elif kind < 0.75:
        answer = grown(dice, dice.randint(1, 5))
        target = dice.choice((target, grown(dice, 2), mutated(dice, answer[:2_000], target)))
    elif kind < 0.9:
        answer = dice.choice(texts)
        target = mutated(dice, target, answer)
    elif kind < 0.96:
        answer = hostile(dice, large=False)
        target = dice.choice((target, answer[:5_000] + "1", hostile(dice, large=False)))
    else:
        answer = dice.choice(CODE) if dice.random() < 0.5 else "\\text{" + dice.choice(CODE) + "}"
    return answer, target


class Watch:
    """Records what the checking process must not do, while `on`."""

    def __init__(self) -> None:
        self.on = False
        self.seen: Counter[str] = Counter()
        sys.addaudithook(self)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.on and event.startswith(FORBIDDEN):
            self.seen[f"{event} {str(arguments)[:80]}"] += 1


def _hung(*_: object) -> None:
    raise TimeoutError("over the limit")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--slow", type=int, default=2_000, help="pairs that need SymPy to put through the pool")
    options = parser.parse_args()
    from tts.verify import read_pair
    from tts.verify.symbolic import canonical, quick

    texts, dice = corpus(), random.Random(options.seed)
    for text in texts[:200]:  # what loads late loads now
        quick(text, text)
        canonical(text)
    watch, statuses, failures = Watch(), Counter[str](), []
    slow: list[tuple[str, str]] = []
    worst = (0.0, "", "")
    signal.signal(signal.SIGPROF, _hung)
    began = time.perf_counter()
    for number in range(options.pairs):
        answer, target = pair(dice, texts, number)
        signal.setitimer(signal.ITIMER_PROF, LIMIT)
        watch.on, start = True, time.process_time()
        try:
            read_answer, read_target = read_pair(answer, target)
            grades = [quick(answer, target), quick(read_answer, read_target) if read_target is not None else None]
            canonical(answer)
        except Exception as error:
            failures.append((repr(error)[:200], answer[:200], target[:200]))
            grades = []
        seconds = time.process_time() - start
        watch.on = False
        signal.setitimer(signal.ITIMER_PROF, 0)
        if grades and grades[0] is None:
            slow.append((answer, target))
        statuses.update(g.status if g is not None else "needs SymPy" for g in grades[:1])
        worst = max(worst, (seconds, answer[:80], target[:80]))
    total = time.perf_counter() - began
    print(f"{options.pairs} pairs in {total:.0f} s, seed {options.seed}: {dict(statuses.most_common())}")
    print(f"slowest {worst[0] * 1000:.0f} ms: {worst[1]!r} for {worst[2]!r}")
    print(f"raised or over {LIMIT} s: {len(failures)}; file, process, network or code: {sum(watch.seen.values())}")
    for failure in [*failures[:20], *watch.seen.most_common(20)]:
        print("  ", failure)
    chosen = dice.sample(slow, min(options.slow, len(slow)))
    late = asyncio.run(in_workers(chosen))
    escaped = MARKER.exists()
    print(f"marker file made: {escaped}")
    sys.exit(bool(failures or watch.seen or late or escaped))


async def in_workers(pairs: list[tuple[str, str]]) -> int:
    """The pairs through the pool, and how many took longer than its clock allows."""
    from tts.verify.pool import CheckerPool

    statuses: Counter[str] = Counter()
    worst, late = 0.0, 0
    async with CheckerPool(workers=2, timeout=LIMIT) as pool:
        await pool.grade("\\int_0^1 x dx", "1/2")  # starts the workers
        for answer, target in pairs:
            start = time.perf_counter()
            statuses[(await pool.grade(answer, target)).status] += 1
            seconds = time.perf_counter() - start
            worst, late = max(worst, seconds), late + (seconds > LIMIT + 1)
    print(f"{len(pairs)} pairs that need SymPy, in workers: {dict(statuses)}; slowest {worst:.2f} s; late {late}")
    return late


if __name__ == "__main__":
    main()
