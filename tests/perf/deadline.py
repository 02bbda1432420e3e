"""Whether a run's deadline holds on real vLLM, and whether everything that had finished by then votes.

    python tests/perf/deadline.py [-m nano] [--benchmark nano-5] [--problems 32] [-n 64] [--seconds 30] [-M key=value]

n is chosen too large on purpose. Prints how far the end of generation, of grading and of the run (results included) lie
from the deadline, and compares the finished calls in the journal with the candidates in the records.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--model", default="nano")
    parser.add_argument("--benchmark", default="nano-5")
    parser.add_argument("--problems", type=int, default=32)
    parser.add_argument("-n", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("-M", "--engine-arg", action="append", default=[])
    a = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        words = ["-m", "tts", "eval", a.benchmark, "-m", a.model, "-n", a.n, "--limit", a.problems, "--output", run]
        words += ["--total-seconds", a.seconds, "--json"]
        for argument in a.engine_arg:
            words += ["-M", argument]
        done = subprocess.run([sys.executable, *map(str, words)], capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(done.stderr)
        results = json.loads(done.stdout)
        life = json.loads((run / "manifest.json").read_text())["lives"][0]
        written = (run / "records.jsonl").stat().st_mtime - life["began"]
        records = [json.loads(line) for line in (run / "records.jsonl").read_text().splitlines()]
        (finished,) = sqlite3.connect(run / "journal.sqlite").execute("SELECT count(*) FROM calls").fetchone()
        counted = sum(c["finish"] != "abort" for r in records for c in r["solution"]["candidates"])
        clocks = [r["usage"]["seconds"] for r in records]
        voted = sum(r["solution"]["answer"] is not None for r in records)
        engine, ours = life["engine"]["generated_tokens"], results["usage"]["generated_tokens"]
        print(f"deadline {a.seconds:g} s, {len(records)} problems, {voted} with an answer, n={a.n}")
        print(f"the slowest problem's clock: {max(clocks):.3f} s ({max(clocks) - a.seconds:+.3f})")
        print(f"last record written:         {written:.3f} s ({written - a.seconds:+.3f})")
        print(f"run, with its results:       {life['seconds']:.3f} s ({life['seconds'] - a.seconds:+.3f})")
        print(f"finished calls in the journal {finished}, finished candidates in the records {counted}")
        print(f"generated tokens: ours {ours}, the engine's {engine}; wasted {results['usage']['wasted_tokens']}")
        print(f"accuracy {results['metrics']['accuracy']['value']:.3f}")
        met = written - a.seconds <= 0.5 and finished == counted
        print("met" if met else "not met", "within 0.5 s, every finished sample counted")


if __name__ == "__main__":
    main()
