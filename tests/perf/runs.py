"""Runs of the command line for the measurements: started, read, and compared problem by problem."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

Z95 = 1.959964


def wait_for(file: Path | None) -> None:
    """Until the file is there, where one is given: for engines that start together and are measured in turn."""
    while file and not file.exists():
        time.sleep(0.1)


def evaluate(problems: Path | str, output: Path, words: list[Any]) -> dict[str, Any]:
    """One `tts eval`; its results.json, with the seconds of generation under usage."""
    command = ["-m", "tts", "eval", problems, "--output", output, "--json", *words]
    done = subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    results: dict[str, Any] = json.loads((output / "results.json").read_text())
    return results


def by_problem(run: Path) -> dict[str, dict[str, Any]]:
    records = (json.loads(line) for line in (run / "records.jsonl").read_text().splitlines())
    return {r["problem_id"]: r for r in records}


def spent(record: dict[str, Any]) -> int:
    """Tokens of a problem: generated ones and those that the verifier computed."""
    usage = record["usage"]
    return int(usage["generated_tokens"] + usage["verifier_tokens"] - usage["verifier_cached_tokens"])


def mean_and_half(differences: list[float]) -> str:
    """A mean with the half width of its 95 % interval over problems."""
    half = Z95 * stdev(differences) / math.sqrt(len(differences)) if len(differences) > 1 else math.nan
    return f"{fmean(differences):+.4f} ± {half:.4f}"


def paired(a: Path, b: Path) -> str:
    """Accuracy of a less that of b, over the problems of both."""
    one, other = by_problem(a), by_problem(b)
    return mean_and_half([float(one[k]["grade"]["correct"]) - float(other[k]["grade"]["correct"]) for k in one])
