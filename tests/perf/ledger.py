"""Whether our token counts are the engine's own, on real vLLM, in a run that is interrupted twice and resumed.

    python tests/perf/ledger.py MODEL PROBLEMS.jsonl [-n 8] [--limit 24]

Prints both counts and their difference, which is to be zero.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def live(words: list[str], run: Path, stop_after: int | None) -> None:
    """One life of the run; ended by SIGTERM once that many records more are there."""
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    before = lines(run)
    while stop_after is not None and process.poll() is None and lines(run) < before + stop_after:
        time.sleep(0.1)
    if stop_after is not None:
        process.send_signal(signal.SIGTERM)
    _, told = process.communicate()
    if process.returncode not in (0, 130):
        sys.exit(told)


def lines(run: Path) -> int:
    path = run / "records.jsonl"
    return len(path.read_text().splitlines()) if path.exists() else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("problems")
    parser.add_argument("-n", type=int, default=8)
    parser.add_argument("--limit", type=int, default=24)
    parser.add_argument("--max-tokens", type=int, default=200)
    a = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        words = ["-m", "tts", "eval", a.problems, "-m", a.model, "-n", a.n, "--limit", a.limit, "--concurrency", 6]
        words += ["--max-tokens", a.max_tokens, "--output", run, "--resume"]
        command = [sys.executable, *map(str, words)]
        for stop_after in (a.limit // 4, a.limit // 4, None):
            live(command, run, stop_after)
        usage = json.loads((run / "results.json").read_text())["usage"]
        lives = json.loads((run / "manifest.json").read_text())["lives"]
        print("lives:", ", ".join(life["ended"] for life in lives))
        for name in ("prompt_tokens", "cached_tokens", "generated_tokens"):
            engine = sum(life["engine"].get(name, 0) for life in lives)
            print(f"{name}: ours {usage[name]}, the engine's {engine}, difference {usage[name] - engine}")
        print(f"wasted tokens {usage['wasted_tokens']}, unaccounted calls {usage['unaccounted_calls']}")


if __name__ == "__main__":
    main()
