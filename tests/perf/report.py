"""The page of a large run: how big it is and how fast it opens. Prints both, and what they should be.

    python tests/perf/report.py [--problems 500] [-n 64] [--chars 1500] [--text prose|steps|words|FILE.jsonl]

`prose` is varied reasoning with formulas and code (`prose.py`). A file's texts (column solution, answer or text) are
cut into sentences, and samples are sentences of all problems at random: real text, less alike than samples of one
problem are. `steps` are sentences from a few templates with numbers drawn, as samples of one question repeat each
other; `words` are drawn one by one from a vocabulary of 3,000 by Zipf's law.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "perf")]

import chromium  # noqa: E402
import prose  # noqa: E402
import synthetic_run  # noqa: E402

from tts.report.html import write_html  # noqa: E402


def zipf(chars: int) -> synthetic_run.Write:
    own = random.Random(0)
    letters = "etaoinshrdlucmfwypvbgk"
    vocabulary = ["".join(own.choices(letters, k=own.randint(2, 9))) for _ in range(3000)]
    weights = [1 / (rank + 1) for rank in range(len(vocabulary))]

    def write(rng: random.Random, answer: str | None) -> str:
        words = rng.choices(vocabulary, weights, k=chars // 6)
        return f"{' '.join(words)} $\\boxed{{{answer}}}$"

    return write


def sentences(file: Path, chars: int) -> synthetic_run.Write:
    rows = map(json.loads, file.read_text().splitlines())
    texts = (next(row[name] for name in ("solution", "answer", "text") if name in row) for row in rows)
    known = [s for text in texts for s in re.split(r"(?<=[.!?])\s+", text) if len(s) > 20]

    def write(rng: random.Random, answer: str | None) -> str:
        said: list[str] = []
        while sum(map(len, said)) < chars:
            said.append(rng.choice(known))
        return f"{' '.join(said)} $\\boxed{{{answer}}}$"

    return write


def writer(text: str, chars: int) -> synthetic_run.Write:
    made = {"prose": prose.prose, "steps": synthetic_run.steps, "words": zipf}
    return made[text](chars) if text in made else sentences(Path(text), chars)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--problems", type=int, default=500)
    parser.add_argument("-n", type=int, default=64)
    parser.add_argument("--chars", type=int, default=1500)
    parser.add_argument("--text", default="prose")
    parser.add_argument("--keep", type=Path, help="keep the page here")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write = writer(given.text, given.chars)
        run = synthetic_run.synthetic_run(Path(folder) / "run", given.problems, given.n, write=write)
        page = Path(folder) / "page.html"
        began = time.monotonic()
        size = write_html([run], page)
        records = (run / "records.jsonl").stat().st_size
        print(f"{given.problems} × {given.n}, {given.text}: records {records / 1e6:.1f} MB")
        print(f"written in {time.monotonic() - began:.1f} s")
        print(f"page {size / 1e6:.1f} MB (wanted < 15)")
        if given.keep:
            shutil.copy(page, given.keep)
        if chromium.find() is None:
            print("no chromium: not opened")
            return
        for name, target in (("page", ""), ("page with a problem opened", "#r0/7")):
            seconds = []
            for _ in range(3):
                with chromium.page() as tab:
                    began = time.monotonic()
                    tab.open(f"file://{page}{target}")
                    tab.wait("'ready' in document.documentElement.dataset")
                    tab.run("new Promise(requestAnimationFrame)")
                    seconds.append(time.monotonic() - began)
                    assert not tab.problems(), tab.problems()
            said = ", ".join(f"{x:.2f}" for x in seconds)
            print(f"{name}: drawn after {said} s (wanted < 2)")


if __name__ == "__main__":
    main()
