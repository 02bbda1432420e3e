"""A compute-optimal policy on problems it was not fitted to, against verifier-weighted best-of-n.

    python tests/perf/compute_optimal.py [--each 40] [-n 64] [--share 0.333] [--bins 5] [--budget set] [-M key=value]
        [--search 8 16 32] [--repeats 2] [--keep FOLDER]

Mixed nano levels: the first `each` of every level for calibration, the next for the test. The policy chooses among the
votes and picks of a pool of n samples, votes that end early, and beam search (width 2) at each size of `--search`, made
`--repeats` times. Placement is charged; tokens are generated ones, thrown away ones among them, and those that the
verifier computed. Prints the policy's table, and accuracy and tokens of each bin on the test problems. `--keep`: leave
the runs in that folder.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import fmean
from typing import Any

from mixed import write_mixed
from runs import by_problem, evaluate, paired, spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each", type=int, default=40)
    parser.add_argument("-n", type=int, default=64)
    parser.add_argument("--share", type=float, default=1 / 3)
    parser.add_argument("--bins", type=int, default=5)
    parser.add_argument("--search", type=int, nargs="*", default=[8, 16, 32])
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--budget", choices=["question", "set"], default="set")
    parser.add_argument("--max-tokens", type=int, default=256)
    parser.add_argument("-M", "--engine-arg", action="append", default=[])
    a = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = a.keep or Path(folder)
        root.mkdir(parents=True, exist_ok=True)
        fitted, held = write_mixed(root / "fit.jsonl", a.each), write_mixed(root / "test.jsonl", a.each, a.each)
        words: list[Any] = ["-m", "nano", "--verifier", "nano", "--max-tokens", a.max_tokens]
        for argument in a.engine_arg:
            words += ["-M", argument]
        pool: list[Any] = [*words, "-s", "best-of-n", "-n", a.n, "-o", "select=weighted"]
        evaluate(fitted, root / "fit", pool)
        evaluate(held, root / "full", pool)
        searches = [root / f"search-{n}" for n in a.search]
        for n, run in zip(a.search, searches, strict=True):
            evaluate(fitted, run, [*words, "-s", "beam-search", "-n", n, "-o", "width=2", "--repeats", a.repeats])
        policy = root / "policy.json"
        fit = ["-m", "tts", "calibrate", root / "fit", *searches, "-o", policy, "--bins", a.bins, "--budget", a.budget]
        done = subprocess.run([sys.executable, *map(str, fit)], capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(done.stderr)
        print(done.stdout)
        full = by_problem(root / "full")
        limit = a.share * fmean(map(spent, full.values()))
        options: list[Any] = ["-s", "compute-optimal", "-o", f"policy={policy}", "-o", f"tokens={limit:.0f}"]
        evaluate(held, root / "optimal", [*words, *options])
        optimal = by_problem(root / "optimal")
        print(f"test: {len(full)} problems, budget {limit:.0f} tokens a problem")
        bins = sorted({r["solution"]["placed"]["bin"] for r in optimal.values()})
        for number in (*bins, None):
            names = [k for k, r in optimal.items() if number in (None, r["solution"]["placed"]["bin"])]
            for label, run in (("best-of-n", full), ("compute-optimal", optimal)):
                right, tokens = (
                    fmean(f(run[k]) for k in names) for f in (lambda r: bool(r["grade"]["correct"]), spent)
                )
                where = "all" if number is None else f"bin {number + 1}"
                print(f"{where:6} {len(names):4} problems  {label:16} accuracy {right:.4f}  tokens {tokens:.0f}")
        share = fmean(map(spent, optimal.values())) / fmean(map(spent, full.values()))
        print(
            f"compute-optimal - best-of-{a.n}: {paired(root / 'optimal', root / 'full')}, at {share:.3f} of its tokens"
        )


if __name__ == "__main__":
    main()
