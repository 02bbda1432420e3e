"""What stopping a vote early saves, in tokens and in seconds, on the same problems in one go.

    python tests/perf/adaptive.py [-m nano] [--problems FILE] [--each 20] [--skip 0] [-n 32] [--stop beta likely:0.9]
        [--verifier nano] [--rounds 1] [-M k=v]

Full votes and those that each rule stops (RULE, or RULE:THRESHOLD) by turns, on mixed nano levels unless a file is
given (after the first `skip` of each), each in a process of its own; seconds are those of the run without the engine's
start. With a verifier votes are weighted, and tokens are those that it computed too. Differences are paired over
problems.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from mixed import write_mixed
from runs import by_problem, evaluate, mean_and_half, paired, spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--model", default="nano")
    parser.add_argument("--problems", help="instead of mixed nano levels")
    parser.add_argument("--each", type=int, default=20)
    parser.add_argument("--skip", type=int, default=0)
    parser.add_argument("--verifier")
    parser.add_argument("--limit", type=int)
    parser.add_argument("-n", type=int, default=32)
    parser.add_argument("--stop", nargs="+", default=["beta"], metavar="RULE[:THRESHOLD]")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--max-tokens", type=int, default=256)
    parser.add_argument("-M", "--engine-arg", action="append", default=[])
    a = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        problems: Any = a.problems or write_mixed(root / "mixed.jsonl", a.each, a.skip)
        words: list[Any] = ["-m", a.model, "-n", a.n, "--max-tokens", a.max_tokens]
        words += ["--limit", a.limit] if a.limit else []
        words += ["--verifier", a.verifier, "--no-logprobs"] if a.verifier else []
        for argument in a.engine_arg:
            words += ["-M", argument]
        for number in range(1, a.rounds + 1):
            full_run = root / f"full-{number}"
            full = evaluate(problems, full_run, words)
            for stop in a.stop:
                rule, _, threshold = stop.partition(":")
                how = ["-o", f"stop={rule}", *(["-o", f"threshold={threshold}"] if threshold else [])]
                stopped_run = root / f"{rule}{threshold}-{number}"
                stopped = evaluate(problems, stopped_run, [*words, *how])
                print(f"round {number}: n={a.n}, stop={stop}")
                tell(full, stopped, full_run, stopped_run)


def tell(full: dict[str, Any], stopped: dict[str, Any], full_run: Path, stopped_run: Path) -> None:
    one, other = by_problem(full_run), by_problem(stopped_run)
    tokens, seconds = (
        [sum(map(spent, run.values())) for run in (one, other)],
        [r["usage"]["seconds"] for r in (full, stopped)],
    )
    saved, faster = 1 - tokens[1] / tokens[0], 1 - seconds[1] / seconds[0]
    share = [1 - spent(other[k]) / spent(one[k]) for k in one]
    accuracy = [r["metrics"]["accuracy"]["value"] for r in (full, stopped)]
    print(f"accuracy: {len(one)} problems, full {accuracy[0]:.4f}, stopped {accuracy[1]:.4f};"
          f" {paired(stopped_run, full_run)}")  # fmt: skip
    print(f"tokens:   full {tokens[0]}, stopped {tokens[1]} (of them wasted {stopped['usage']['wasted_tokens']});"
          f" saved {saved:.3f}, a problem {mean_and_half(share)}")  # fmt: skip
    print(f"seconds:  full {seconds[0]:.2f}, stopped {seconds[1]:.2f}; saved {faster:.3f}")
    met = saved >= 0.4 and accuracy[0] - accuracy[1] <= 0.01 and faster >= 0.8 * saved
    print("met" if met else "not met", "tokens saved >= 0.4 within 1 point, seconds saved >= 0.8 of that", flush=True)


if __name__ == "__main__":
    main()
