"""Search against verifier-weighted best-of-N at equal generated tokens, on real vLLM.

    python tests/perf/search_accuracy.py [--benchmarks nano-3 nano-4 nano-5] [--limit 200] [--solutions 4 8 16 32]

Best-of-N draws a pool once, half again as large as the largest budget. A search gets n for so many solutions' worth.
It is compared, problem by problem, with weighted best-of-k from the pool, k being what its generated tokens would have
bought, rounded up (the mean over subsets of k, so that the baseline has no luck of its own). Gains are in points, with
95 % intervals over problems. The whole table is printed, losses too. Choose a setting on some rows and confirm it on
others: `--limit 1-60`, then `--limit 61-400` with `--only`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from tts import benchmarks, engines
from tts.evaluate import Stop, evaluate
from tts.journal import Journal
from tts.metrics import weighted_at_k
from tts.session import Setup
from tts.stats import Z95
from tts.strategies import STRATEGIES
from tts.types import Budget, Engine, Sampling, Verifier
from tts.verify import cards
from tts.verify.pool import CheckerPool

SEARCHES: dict[str, dict[str, Any]] = {
    "beam-search": {"width": 4},
    "beam-search width=2": {"width": 2},
    "beam-search last": {"width": 4, "score": "last"},
    "beam-search prod": {"width": 4, "score": "prod"},
    "beam-search distinct": {"width": 4, "filter_duplicates": True},
    "dvts": {"width": 4},
    "dvts width=2": {"width": 2},
    "dvts last": {"width": 4, "score": "last"},
    "step-best-of-n": {},
    "rebase": {},
    "rebase balance=0.05": {"balance": 0.05},
    "particle-filter": {},
    "particle-filter ess=1": {"ess": 1.0},
    "mcts": {"width": 4},
}
IN_FLIGHT = 256
"""Paths in flight over all problems: twice what the engine runs at once."""


class Nobody:
    def began(self, problem_id: str) -> None: ...

    def ended(self, record: Any) -> None: ...


class Bench:
    """One benchmark on engines that are up."""

    def __init__(self, name: str, limit: str, engine: Engine, verifier: Verifier) -> None:
        self.benchmark = benchmarks.load(name)
        self.examples = benchmarks.select(self.benchmark.examples, limit)
        self.engine, self.verifier = engine, verifier

    async def run(self, strategy: str, options: dict[str, Any]) -> list[dict[str, Any]]:
        """Records in the order of their problems."""
        records: list[dict[str, Any]] = []
        cls: Any = STRATEGIES[strategy]
        with tempfile.TemporaryDirectory() as folder, Journal(Path(folder) / "journal.sqlite") as journal:
            async with CheckerPool() as checker:
                setup = Setup(
                    self.engine, journal, checker, self.verifier, Sampling(max_tokens=256), Budget(), 0,
                    self.benchmark.prompt, self.benchmark.extract,
                )  # fmt: skip
                await evaluate(
                    self.examples, cls(**options), setup,
                    concurrency=max(1, IN_FLIGHT // options["n"]), write=records.append, watch=Nobody(), stop=Stop(),
                )  # fmt: skip
        return sorted(records, key=lambda r: str(r["problem_id"]))


def right(records: Sequence[dict[str, Any]]) -> list[float]:
    return [100.0 * (r["grade"]["correct"] is True) for r in records]


def spent(records: Sequence[dict[str, Any]]) -> float:
    return fmean(r["usage"]["generated_tokens"] for r in records)


def paired(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """The mean difference with its interval."""
    gains = [a - b for a, b in zip(ours, theirs, strict=True)]
    half = Z95 * stdev(gains) / len(gains) ** 0.5
    return f"{fmean(gains):+6.1f} [{fmean(gains) - half:+.1f}, {fmean(gains) + half:+.1f}]"


async def table(bench: Bench, solutions: Sequence[int], only: Sequence[str]) -> None:
    size = max(solutions) * 3 // 2
    pool = await bench.run("best-of-n", {"n": size, "select": "weighted"})
    length = spent(pool) / size
    name = bench.verifier.name
    print(f"\n{bench.benchmark.name}, {len(bench.examples)} problems, {length:.0f} tokens a response, pool of {size}")
    print("solutions  strategy               tokens  as best-of-k  verifier tokens  accuracy %  best-of-k  gain")
    for count in solutions:
        for label, options in SEARCHES.items():
            if only and label not in only:
                continue
            found = await bench.run(label.split()[0], {"n": count, **options})
            tokens = spent(found)
            k = min(size, max(1, math.ceil(tokens / length - 1e-9)))
            baseline = [100 * weighted(record, name, k) for record in pool]
            print(
                f"{count:9}  {label:20} {tokens:8.0f} {k:13} {read(found):16.0f} {fmean(right(found)):11.1f}"
                f" {fmean(baseline):10.1f}  {paired(right(found), baseline)}",
                flush=True,
            )


def weighted(record: dict[str, Any], verifier: str, k: int) -> float:
    """The chance that the verifier-weighted vote of k of a record's candidates is right."""
    candidates = record["solution"]["candidates"]
    scores = [c["scores"].get(verifier) for c in candidates]
    classes = [-1 if c["class"] < 0 else c["class"] for c in candidates]
    return weighted_at_k(scores, classes, [bool(c["correct"]) for c in candidates], min(k, len(candidates)))


def read(records: Sequence[dict[str, Any]]) -> float:
    return fmean(r["usage"]["verifier_tokens"] - r["usage"]["verifier_cached_tokens"] for r in records)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--benchmarks", nargs="+", default=["nano-3", "nano-4", "nano-5"])
    parser.add_argument("--limit", default="200", help="the first K problems, or the A-th to the B-th (A-B)")
    parser.add_argument("--solutions", type=int, nargs="+", default=[4, 8, 16, 32])
    parser.add_argument("--only", nargs="+", default=[])
    parser.add_argument("--model", default="nano")
    parser.add_argument("--verifier", default="nano")
    parser.add_argument("-M", "--engine-arg", action="append", default=[], help="of the policy, over those here")
    a = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        given = {k: json.loads(v) for k, _, v in (s.partition("=") for s in a.engine_arg)}
        arguments = {"enforce_eager": True, "block_size": 32, "max_num_seqs": 128, **given}
        engine = await engines.start(
            "vllm", a.model, arguments=arguments, template={}, base_urls=(), log=Path(folder) / "engine.log",
            may_abort=False, beside_verifier=True,
        )  # fmt: skip
        try:
            card, _ = cards.load(a.verifier)
            verifier = await engines.start_verifier(card, None, Path(folder) / "verifier.log", alone=False)
            try:
                for name in a.benchmarks:
                    bench = Bench(name, a.limit, engine, verifier)
                    await table(bench, a.solutions, a.only)
            finally:
                await verifier.close()
        finally:
            await engine.close()


if __name__ == "__main__":
    asyncio.run(main())
