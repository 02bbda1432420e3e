"""Sleep-time compute on real vLLM: accuracy against test tokens and amortised cost, with and without notes; what is
gained by predictability; how much of the prompts one context's questions share.

    python tests/perf/sleep.py nano-stateful --limit 200
    python tests/perf/sleep.py stateful.jsonl -m MODEL --limit 100 --verbosities 0 1 2 3 4
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tts.amortise import LATENCY_FACTOR, QUERIES, spending
from tts.store import read_records


def tts(*words: object) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tts", *map(str, words)], stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


def curves(given: argparse.Namespace, folder: Path) -> None:
    """One run without notes by the chain-of-thought prompt, and per verbosity one with and one without notes."""
    model = ["-m", given.model] if given.model else []
    common = [given.benchmark, *model, "--limit", given.limit, *(w for a in given.engine_arg for w in ("-M", a))]
    runs = {"chain of thought": ["-s", "single"]}
    for v in given.verbosities:
        runs[f"notes, verbosity {v}"] = ["-s", "sleep-time", "-o", f"verbosity={v}"]
        if given.model:
            runs[f"no notes, verbosity {v}"] = ["-s", "sleep-time", "-o", f"verbosity={v}", "-o", "notes=0"]
    if given.n > 1:
        runs |= {
            f"majority of {given.n}": ["-s", "self-consistency", "-n", given.n],
            f"notes, majority of {given.n}": ["-s", "sleep-time", "-o", "inner=self-consistency", "-n", given.n],
        }
    for name, how in runs.items():
        tts("eval", *common, *how, "--output", folder / name.replace(" ", "-"), "--json")
    found = {name: spending(read_records(folder / name.replace(" ", "-"))) for name in runs}
    print(
        f"{'run':28} {'accuracy':>24} {'test tokens':>12} {'sleep/context':>14} "
        + "".join(f"{f'cost at {q}':>12}" for q in QUERIES)
    )
    for name, s in found.items():
        low, high = s.accuracy.ci or (float("nan"),) * 2
        costs = "".join(f"{s.cost(queries=q):12,.0f}" for q in QUERIES)
        said = f"{100 * s.accuracy.value:5.1f} % [{100 * low:4.1f}, {100 * high:5.1f}]"
        print(f"{name:28} {said:>24} {s.test:12.1f} {s.sleep:14.1f} {costs}")
    plain = found["chain of thought"]
    for name, s in found.items():
        if s.sleep and s.accuracy.value >= plain.accuracy.value:
            ratio = plain.test / s.test
            print(f"{name}: {ratio:.2f} times fewer test tokens than a chain of thought, no less accurate (wanted 2.5)")
        if s.sleep:
            ratio = s.cost(queries=1) / s.cost(queries=10)
            print(f"{name}: cost with 1 over 10 questions a context {ratio:.2f} at t = {LATENCY_FACTOR:g} (wanted 2)")
    slept = next(name for name in runs if name.startswith("notes"))
    print(
        tts(
            "sleep",
            "predict",
            given.benchmark,
            *model,
            "--limit",
            given.limit,
            "--with",
            folder / slept.replace(" ", "-"),
            "--without",
            folder / "chain-of-thought",
        )
    )


async def prefix(given: argparse.Namespace) -> None:
    """10 questions × 8 samples on one context of about 1,000 tokens: what the engine computed of their prompts."""
    from tts.engines.vllm import VLLMEngine
    from tts.evaluate import Stop, solve
    from tts.journal import Journal
    from tts.session import Setup
    from tts.strategies.self_consistency import SelfConsistency
    from tts.strategies.sleep_time import SleepTime
    from tts.types import Budget, Example, Problem, Sampling
    from tts.verify.pool import CheckerPool

    arguments: dict[str, Any] = dict(a.split("=", 1) for a in given.engine_arg)
    arguments = {k: json.loads(v) for k, v in arguments.items()}
    engine = VLLMEngine(given.model or "nano", {**arguments, "block_size": 32}, {}, Path(tempfile.mkdtemp()) / "log")
    words, number = "", 0
    while len(engine.encode(words)) < 1000:
        number += 1
        words += f"Shop {number} has {number + 3} pens at {number % 7 + 2} dollars each. "
    length = len(engine.encode(words))
    with Journal(None) as journal:
        async with CheckerPool(workers=1) as checker:
            setup = Setup(engine, journal, checker, None, Sampling(max_tokens=64), Budget())
            problems = [
                Problem(str(i), f"What is everything in shop {i + 1} worth, in dollars?", words) for i in range(10)
            ]
            strategy = SleepTime(inner=SelfConsistency(8))
            records = await asyncio.gather(*(solve(Example(p, None), 0, strategy, setup, Stop()) for p in problems))
    test = [r.get("phases", {}).get("test", r["usage"]) for r in records]
    sent, cached = (sum(t[k] for t in test) for k in ("prompt_tokens", "cached_tokens"))
    questions = sum(len(engine.encode(p.question)) for p in problems)
    counters = engine.counters()
    await engine.close()
    allowed = length + 10 * (questions / 10 + 32) + 80 * 32
    print(
        f"context {length} tokens; 80 prompts of {sent:,} tokens, {cached:,} cached ({cached / sent:.1%}, wanted 90 %)"
    )
    print(
        f"computed {sent - cached:,}, allowed {allowed:,.0f} (context + 10 questions and a block of 32 each, 80 blocks)"
    )
    print(f"engine's counters, sleep included: {dict(counters)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("benchmark", nargs="?", default="nano-stateful")
    parser.add_argument("-m", dest="model")
    parser.add_argument("-n", type=int, default=8)
    parser.add_argument("--limit", default="200")
    parser.add_argument("--verbosities", type=int, nargs="*", default=[1])
    parser.add_argument("-M", dest="engine_arg", action="append", default=[])
    parser.add_argument("--output", type=Path)
    parser.add_argument("--only", choices=("curves", "prefix"))
    given = parser.parse_args()
    folder = given.output or Path(tempfile.mkdtemp())
    if given.only != "prefix":
        curves(given, folder)
    if given.only != "curves":
        asyncio.run(prefix(given))


if __name__ == "__main__":
    main()
