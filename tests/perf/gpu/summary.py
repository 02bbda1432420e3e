"""What a GPU session gave, from what collect.sh brought back: one table, the ratios, pairs of engine options.

    python summary.py OUT [--json FILE] [--plots DIR]

`--json`: all raw numbers and machines in one document, for tests/perf/results/. `--plots`: a PNG of the engine's
occupancy over time for each cell of throughput.
"""

from __future__ import annotations

import argparse
import json
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

from table import HEAD, line

THROUGHPUT = {"scaling": ("sc16-gsm8k", "gsm8k-200x16"), "nano": ("sc16-nano-3", "nano-3-400x16")}
"""Per folder, the cell and the lines of `LLM.generate` that did the same work."""
OPTION_CELL = "sc8-gsm8k"


def load(out: Path, name: str) -> dict[str, Any]:
    """{folder: content} of every OUT/FOLDER/NAME."""
    return {file.parent.name: json.loads(file.read_text()) for file in sorted(out.glob(f"*/{name}"))}


def ratios(benches: dict[str, Any], baselines: dict[str, Any]) -> list[str]:
    said = []
    for folder, (cell, work) in THROUGHPUT.items():
        ours = benches.get(folder, {}).get("cells", {}).get(cell, {}).get("tokens_per_second")
        lines = baselines.get(folder, {}).get("lines", {})
        for kind in ("seeded", "plain"):
            theirs = lines.get(f"{work}-{kind}", {}).get("tokens_per_second")
            if ours and theirs:
                said.append(
                    f"{folder}: {ours:,.0f} tokens/s, LLM.generate ({kind}) {theirs:,.0f}: ratio {ours / theirs:.3f}"
                )
    return said


def pairs(out: Path, benches: dict[str, Any]) -> list[str]:
    """Each engine option against none: accuracy problem by problem, and tokens a second."""
    sys.path.append(str(Path(__file__).parents[1]))
    from runs import paired

    said = []
    plain = benches.get("scaling", {}).get("cells", {}).get(OPTION_CELL)
    for folder, content in benches.items():
        cell = content["cells"].get(OPTION_CELL, {})
        if not folder.startswith("options-") or plain is None or "failed" in cell or not cell:
            continue
        difference = paired(out / folder / OPTION_CELL, out / "scaling" / OPTION_CELL)
        faster = cell["tokens_per_second"] / plain["tokens_per_second"]
        said.append(f"{folder}: accuracy {difference}, tokens/s x {faster:.3f}")
    return said


def plot(series: list[dict[str, float]], most: int, title: str, file: Path) -> None:
    """Running sequences of a step, and tokens a second, over time."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    times, running, rates = [], [], []
    for a, b in pairwise(series):
        if steps := b.get("steps", 0) - a.get("steps", 0):
            times.append(b["t"])
            running.append((b["running"] - a.get("running", 0)) / steps)
            rates.append((b["generated_tokens"] - a["generated_tokens"]) / (b["t"] - a["t"]))
    figure, (above, below) = plt.subplots(2, sharex=True, figsize=(8, 5))
    above.plot(times, running)
    above.axhline(most, color="grey", linestyle="--")
    above.set(ylabel="running sequences", ylim=(0, most * 1.05), title=title)
    below.plot(times, rates)
    below.set(ylabel="generated tokens/s", xlabel="seconds", ylim=(0, None))
    figure.tight_layout()
    figure.savefig(file, dpi=120)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plots", type=Path)
    a = parser.parse_args()
    benches, baselines = load(a.out, "bench.json"), load(a.out, "baseline.json")
    for folder, content in benches.items():
        print(f"\n{folder}\n{HEAD}")
        for name, row in content["cells"].items():
            print(line(name, row))
    print("\n" + "\n".join([*ratios(benches, baselines), *pairs(a.out, benches)]))
    if a.json:
        a.json.write_text(json.dumps({"bench": benches, "baseline": baselines}, indent=1) + "\n")
    if a.plots:
        a.plots.mkdir(parents=True, exist_ok=True)
        for folder, (cell, _) in THROUGHPUT.items():
            file = a.out / folder / "series" / f"{cell}.json"
            if file.is_file():
                most = benches[folder]["loads"][-1]["engine"]["max_num_seqs"]
                plot(json.loads(file.read_text()), most, f"{folder}: {cell}", a.plots / f"occupancy-{folder}.png")


if __name__ == "__main__":
    main()
