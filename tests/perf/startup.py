"""How long `tts --help` takes against the `--help` of a Typer program with two commands and nothing else.

    python tests/perf/startup.py [--rounds 15]

Whole processes, in turn; the median of the ratios per round. Also names heavy modules that `import tts` loads (none).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from statistics import median

TWO_COMMANDS = """
import typer
app = typer.Typer()
@app.command()
def one() -> None: "The first."
@app.command()
def two() -> None: "The second."
app()
"""
HEAVY = ("vllm", "torch", "transformers", "sympy", "datasets", "pandas", "matplotlib")


def seconds(*words: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, *words], capture_output=True, check=True)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    ours, theirs = [], []
    for _ in range(rounds + 1):  # the first fills the page cache
        ours.append(seconds("-m", "tts", "--help"))
        theirs.append(seconds("-c", TWO_COMMANDS, "--help"))
    ratio = median(a / b for a, b in zip(ours[1:], theirs[1:], strict=True))
    we, they = median(ours[1:]) * 1000, median(theirs[1:]) * 1000
    print(f"tts --help {we:.0f} ms, two-command Typer {they:.0f} ms, ratio {ratio:.2f}")
    check = f"import sys, tts; print([m for m in {HEAVY!r} if m in sys.modules])"
    loaded = subprocess.check_output([sys.executable, "-c", check], text=True).strip()
    print("heavy modules after `import tts`:", loaded)


if __name__ == "__main__":
    main()
