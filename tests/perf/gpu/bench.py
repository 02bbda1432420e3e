"""Runs the cells of a phase on one engine load, and writes what each gave as it ends.

    python bench.py scaling rounds sleep --model DIR --data DIR --out DIR [--label NAME] [--until 500]
    python bench.py options --label fp8 -M quantization=fp8 …       under another engine option
    python bench.py scaling … --rehearse 32                         two problems a cell, short responses

Begun again with the same --out and --label it goes on: finished cells are not repeated. After --until seconds no cell
starts, and the one that runs ends with the problems it has begun. OUT/LABEL has a run directory a cell (`tts report`
and `tts compare` read them), bench.json with a row a cell and the machine before and after, series/ with the engine's
totals over time, gpu.csv with clocks and power each second.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from cells import PHASES
from loop import Bench, say
from machine import GRAPHS
from watching import gpu_log


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("phases", nargs="+", choices=list(PHASES))
    parser.add_argument("--model", required=True)
    parser.add_argument(
        "--data", type=Path, required=True, help="folder with gsm8k_test, math500, gsm_symbolic_p2 .jsonl"
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--label", help="folder in OUT (the first phase's name)")
    parser.add_argument("--only", nargs="+", help="cells by name")
    parser.add_argument("--until", type=float, default=500, help="seconds after which no cell starts")
    parser.add_argument("--grace", type=float, default=40, help="seconds more that the last cell has")
    parser.add_argument(
        "--after", type=Path, help="file to wait for once the engine is up, so that engines start together"
    )
    parser.add_argument("--rate", type=int, default=15_000, help="tokens a second, for the estimate")
    parser.add_argument("--commit", default="unknown", help="of the code that runs")
    parser.add_argument("--rehearse", type=int, help="two problems a cell, responses this long")
    parser.add_argument("--graphs", choices=list(GRAPHS), default="compiled", help="compilation and CUDA graphs")
    parser.add_argument("-M", "--engine-arg", action="append", default=[], metavar="KEY=VALUE")
    a = parser.parse_args()
    a.label = a.label or a.phases[0]
    bench = Bench(a)
    with gpu_log(bench.root / "gpu.csv"):
        asyncio.run(bench.all())
    say("\n" + bench.table.with_suffix(".txt").read_text())


if __name__ == "__main__":
    main()
