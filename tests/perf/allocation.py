"""One budget for a whole set against the same budget spent evenly, and against uniform n=16, on mixed nano levels.

    python tests/perf/allocation.py [-m nano] [--each 40] [-n 16] [--share 0.6] [-M key=value]

The budget is `share` of what uniform n costs. All runs draw from the same samples (equal seeds), so that differences
are paired over problems.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from mixed import write_mixed
from runs import evaluate, paired


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--model", default="nano")
    parser.add_argument("--each", type=int, default=40)
    parser.add_argument("-n", type=int, default=16)
    parser.add_argument("--share", type=float, default=0.6)
    parser.add_argument("--max-tokens", type=int, default=256)
    parser.add_argument("-M", "--engine-arg", action="append", default=[])
    a = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        problems = write_mixed(root / "mixed.jsonl", a.each)
        words: list[Any] = ["-m", a.model, "--max-tokens", a.max_tokens]
        for argument in a.engine_arg:
            words += ["-M", argument]
        full = evaluate(problems, root / "full", [*words, "-n", a.n])
        budget = int(a.share * full["usage"]["generated_tokens"])
        more = ["--total-tokens", budget, "--against-uniform", "--reuse", root / "full"]
        adaptive = evaluate(problems, root / "shared", [*words, *more])
        print(f"{5 * a.each} problems, --total-tokens {budget} ({a.share:g} of uniform n={a.n})")
        for name, run in (("uniform n", "full"), ("adaptive", "shared"), ("uniform, same budget", "shared-uniform")):
            results = full if run == "full" else evaluate_results(root / run)
            value, usage = results["metrics"]["accuracy"], results["usage"]
            print(f"{name:21} accuracy {value['value']:.4f} {value['ci']}, tokens {usage['generated_tokens']}")
        print(f"adaptive - uniform n:            {paired(root / 'shared', root / 'full')}")
        print(f"adaptive - uniform, same budget: {paired(root / 'shared', root / 'shared-uniform')}")
        reached = adaptive["metrics"]["accuracy"]["value"] >= full["metrics"]["accuracy"]["value"]
        print("met" if reached else "not met", f"uniform n={a.n}'s accuracy at {a.share:g} of its tokens")


def evaluate_results(run: Path) -> dict[str, Any]:
    import json

    results: dict[str, Any] = json.loads((run / "results.json").read_text())
    return results


if __name__ == "__main__":
    main()
