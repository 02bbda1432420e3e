"""Measures the summary of a large stored run: every metric over PROBLEMS x N candidates with two verifiers' scores.

    python tests/perf/metrics.py [--problems 10000] [-n 100] [--folder DIR]

Records are made with a fixed seed (accuracies spread over problems, wrong answers in some 20 classes, 1 in 20 without
an answer), written as a run directory, and summed up in a process of its own, whose time and peak memory are printed.
Then the same for the table of samples as CSV and as Parquet.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

TEXT = "So 3 + 4 = 7, and twice that is 14. "


def candidate(rng: random.Random, ability: float) -> dict[str, Any]:
    """One sample; the scores know something of what is right."""
    right = rng.random() < ability
    group = -1 if rng.random() < 0.05 else 0 if right else min(20, int(rng.paretovariate(1.0)))
    right = right and group == 0
    scores = {"a": rng.random() + 0.3 * right, "b": rng.random() + 0.1 * right}
    tokens = rng.randint(20, 900)
    return {
        "text": TEXT * (tokens // 90 + 1),
        "answer": None if group < 0 else str(group),
        "finish": "length" if group < 0 else "stop",
        "generated_tokens": tokens,
        "seed": rng.getrandbits(31),
        "scores": scores,
        "logprob_mean": -rng.random(),
        "correct": right,
        "class": group,
    }


def write_run(folder: Path, problems: int, n: int) -> None:
    """A run directory as `tts eval` leaves one, but for its journal."""
    from tts.evaluate import usage_columns
    from tts.types import Usage

    folder.mkdir(parents=True)
    rng = random.Random(0)
    with (folder / "records.jsonl").open("w") as out:
        for i in range(problems):
            ability = rng.betavariate(1, 1)
            candidates = [candidate(rng, ability) for _ in range(n)]
            tokens = sum(c["generated_tokens"] for c in candidates)
            record = {
                "run_id": "perf", "problem_id": str(i), "attempt": 0, "status": "ok", "question": "What is 7 + 7?",
                "solution": {"answer": "0", "candidates": candidates},
                "grade": {"correct": rng.random() < ability, "answer": "0", "target": "0", "status": "ok"},
                "usage": usage_columns(Usage(generated_tokens=tokens, calls=n)),
                "error": None, "metadata": {"level": 1 + i % 5},
            }  # fmt: skip
            out.write(json.dumps(record, separators=(",", ":")) + "\n")
    identity = dict.fromkeys(("benchmark", "revision", "model", "strategy", "verifier", "seed")) | {"options": {}}
    manifest = {"run_id": "perf", "identity": identity, "growing": {"n": n}, "budget": "", "dataset": "", "date": ""}
    manifest |= {"served_model": "", "tts_version": "", "vllm_version": ""}
    (folder / "manifest.json").write_text(json.dumps(manifest))


EXPORT = "from tts.export import rows, write_table; write_table(rows(run, 'samples'), 'samples', '{0}', run / 's.{0}')"
CODE = {
    "summary": "from tts.results import summary; summary(run)",
    "samples as csv": EXPORT.format("csv"),
    "samples as parquet": EXPORT.format("parquet"),
}


def measure(name: str, folder: Path) -> None:
    """Seconds and peak memory of one statement in a process of its own, start-up included."""
    code = (
        f"import resource, sys; from pathlib import Path; run = Path(sys.argv[1]); {CODE[name]}; "
        "used = resource.getrusage(resource.RUSAGE_SELF); print(used.ru_maxrss, used.ru_utime + used.ru_stime)"
    )
    began = time.monotonic()
    told = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True)
    seconds = time.monotonic() - began
    peak, busy = map(float, told.stdout.split())
    print(f"{name:20} {seconds:6.1f} s, {busy:6.1f} s of processor, peak {peak / 1024:5.0f} MiB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=10_000)
    parser.add_argument("-n", type=int, default=100)
    parser.add_argument("--folder", type=Path, help="where the run is written and kept; a temporary one if not given")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary) / "run"
        if not folder.exists():
            write_run(folder, given.problems, given.n)
        size = (folder / "records.jsonl").stat().st_size / 2**20
        print(f"{given.problems} problems x {given.n} candidates, {size:.0f} MiB of records")
        for name in CODE:
            measure(name, folder)


if __name__ == "__main__":
    main()
