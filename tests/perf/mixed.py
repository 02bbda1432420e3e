"""Problems of all five nano levels in one file, for the measurements of how compute is spent."""

from __future__ import annotations

import json
import sys
from pathlib import Path

LEVELS = 5
SAMPLES = Path(__file__).resolve().parents[2] / "evals" / "samples"


def write_mixed(target: Path, each: int, skip: int = 0) -> Path:
    """`each` problems of every level, by turns, after the first `skip` of each."""
    levels = [(SAMPLES / f"nano-{i}.jsonl").read_text().splitlines()[skip : skip + each] for i in range(1, LEVELS + 1)]
    rows = [json.loads(line) for group in zip(*levels, strict=True) for line in group]
    target.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return target


if __name__ == "__main__":
    write_mixed(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0)
