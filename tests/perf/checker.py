"""Measures the checker on a file of labelled pairs, and math-verify beside it where that is installed.

    python tests/perf/checker.py pairs.jsonl [--peer] [--misses]

A line of the file has gold, pred, label (true or false), kind, suite, source. Printed: accuracy, false accepts (of the
pairs labelled false) and misses (of those labelled true) per suite and kind; median, 99th percentile and slowest pair
in milliseconds; pairs a second in one process. Ours is timed from the two raw texts to the verdict, SymPy included.
`--peer` adds math-verify: `pip install --target /tmp/mv math-verify`, then PYTHONPATH=/tmp/mv.
"""

from __future__ import annotations

import argparse
import json
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Row = dict[str, Any]
LIMIT = 5


def ours(row: Row) -> bool:
    """Our verdict, as `tts grade` reaches it, in this process."""
    from tts.verify import read_pair
    from tts.verify.symbolic import check

    answer, target = read_pair(row["pred"], row["gold"])
    return target is not None and check(answer, target).correct is True


def peer(row: Row) -> bool:
    """math-verify's verdict: it reads LaTeX only between delimiters, so each side is tried both ways."""
    from math_verify import parse, verify  # type: ignore[import-not-found]

    golds, preds = ([parse(text), parse(f"${text}$")] for text in (row["gold"], row["pred"]))
    return any(verify(gold, pred) for gold in golds for pred in preds)


def _too_long(*_: object) -> None:
    raise TimeoutError


def measure(name: str, verdict: Callable[[Row], bool], rows: Iterable[Row], misses: bool) -> None:
    """Prints the table of one checker."""
    tally: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0, 0])
    seconds: list[tuple[float, Row]] = []
    signal.signal(signal.SIGALRM, _too_long)
    for row in rows:
        start = time.perf_counter()
        signal.alarm(LIMIT)
        try:
            said = verdict(row)
        except Exception:  # a checker that raises gives no credit
            said = False
        signal.alarm(0)
        seconds.append((time.perf_counter() - start, row))
        slices = [row["suite"], f"{row['suite']}/{row['kind']}", *(["TinyV"] if "TinyV" in row["source"] else [])]
        for key in slices:
            counts = tally[key]
            counts[0 if row["label"] else 1] += 1
            counts[2] += said is row["label"]
            counts[3] += said and not row["label"]
            counts[4] += row["label"] and not said
        if misses and said is not row["label"]:
            print(f"  {'missed' if row['label'] else 'ACCEPTED'}  {row['gold'][:90]!r}  {row['pred'][:90]!r}")
    print(f"\n{name}")
    for key, (true, false, right, accepted, missed) in sorted(tally.items()):
        print(
            f"  {key:24} {true + false:5d} pairs  right {right / (true + false):7.2%}"
            f"  false accepts {accepted / max(false, 1):6.2%} ({accepted})"
            f"  misses {missed / max(true, 1):6.2%} ({missed})"
        )
    times = sorted(s * 1000 for s, _ in seconds)
    slowest = max(seconds, key=lambda pair: pair[0])
    print(
        f"  median {times[len(times) // 2]:.2f} ms  p99 {times[int(len(times) * 0.99)]:.1f} ms"
        f"  slowest {times[-1]:.0f} ms ({slowest[1]['gold'][:40]!r})  {1000 * len(times) / sum(times):.0f} pairs/s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--peer", action="store_true", help="measure math-verify too")
    parser.add_argument("--misses", action="store_true", help="print every pair judged wrongly")
    options = parser.parse_args()
    rows = [json.loads(line) for line in options.pairs.read_text(encoding="utf-8").splitlines() if line.strip()]
    import tts.verify.cas  # noqa: F401  loading SymPy is not part of any pair

    measure("tts", ours, rows, options.misses)
    if options.peer:
        try:
            import math_verify  # type: ignore[import-not-found]  # noqa: F401
        except ImportError:
            print("\nmath-verify is not installed")
        else:
            measure("math-verify", peer, rows, misses=False)


if __name__ == "__main__":
    main()
