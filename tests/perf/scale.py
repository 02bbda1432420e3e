"""Ten thousand problems of sixteen candidates on the scripted engine: memory, and time per problem along the way.

    python tests/perf/scale.py [--problems 10000] [-n 16]

Prints the peak memory of the process and the time per problem in the last thousand over that in the first.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=10_000)
    parser.add_argument("-n", type=int, default=16)
    a = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path, run = Path(folder) / "p.jsonl", Path(folder) / "run"
        with path.open("w") as lines:
            for i in range(a.problems):
                row = {"id": f"p{i}", "question": f"What is {i} + {i % 97}?", "answer": str(i + i % 97)}
                lines.write(json.dumps(row) + "\n")
        words = ["-m", "tts", "eval", path, "--engine", "scripted", "-n", a.n, "--output", run, "--json"]
        process = subprocess.Popen(
            [sys.executable, *map(str, words)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        marks: list[tuple[float, int]] = []
        began = time.monotonic()
        while process.poll() is None:
            records = run / "records.jsonl"
            if records.exists():
                marks.append((time.monotonic(), records.stat().st_size))
            time.sleep(0.05)
        seconds = time.monotonic() - began
        if process.returncode:
            sys.exit(f"tts eval ended with {process.returncode}")
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        total = marks[-1][1]
        part = total // max(1, a.problems // 1000)
        first = next(t for t, size in marks if size >= part) - next(t for t, size in marks if size > 0)
        last = next(t for t, size in marks if size >= total) - next(t for t, size in marks if size >= total - part)
        samples = a.problems * a.n
        print(f"{a.problems} problems x {a.n}: {seconds:.1f} s, {samples / seconds:.0f} samples/s")
        print(f"peak memory {peak:.0f} MiB")
        print(f"last thousand / first thousand: {last / first:.2f} ({first:.2f} s, {last:.2f} s)")


if __name__ == "__main__":
    main()
