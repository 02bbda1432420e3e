"""Which way of starting the engine was fastest in the steps small-* of the queue (compiled, where there are none).

    python fastest.py OUT

A compiled model must be a good deal faster than the others, as its start takes a minute more.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

COMPILED = 0.87


def main() -> None:
    rates = {}
    for file in Path(sys.argv[1]).glob("small-*/baseline.json"):
        way = file.parent.name.removeprefix("small-")
        lines = json.loads(file.read_text())["lines"]
        for name, line in lines.items():
            if name.endswith("seeded"):
                rates[way] = line["tokens_per_second"] * (COMPILED if way == "compiled" else 1)
    print(max(rates, key=lambda way: rates[way], default="compiled"))


if __name__ == "__main__":
    main()
