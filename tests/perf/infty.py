"""InftyThink on real vLLM: accuracy in bounded memory, throughput, and prompting a model that was not trained for it.

    python tests/perf/infty.py accuracy [--limit 200]      nano-long in rounds, cut at a window, and uncut
    python tests/perf/infty.py throughput [--limit 200]    64 chains in flight, self-consistency, one question at a time
    python tests/perf/infty.py prompted gsm8k=FILE -m MODEL [--limit 24] [--window 256] [--summary 80]

Everything of a part runs on one engine, through `tts.evaluate`. Throughput is the engine's generated tokens over the
wall time from the first problem's start to the last one's, in which all places are taken: a chain is as long as many
samples, and so is the time in which a run ends. The sides take turns, and the ratio is the median over `--turns`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Any

os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "2")
os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")

from runs import wait_for

from tts import benchmarks, stats
from tts.engines.vllm import VLLMEngine
from tts.evaluate import Stop, evaluate
from tts.journal import Journal
from tts.session import Setup
from tts.strategies.infty_think import InftyThink
from tts.strategies.self_consistency import SelfConsistency
from tts.strategies.single import Single
from tts.types import Budget, Example, Sampling, Strategy
from tts.verify.pool import CheckerPool

Records = list[dict[str, Any]]


class Bulk:
    """Notes the engine's tokens from the start until the last problem begins: so long all places are taken."""

    def __init__(self, engine: VLLMEngine, problems: int) -> None:
        self._engine, self._left = engine, problems
        self._before, self._began = self._tokens, time.perf_counter()
        self.rate = 0.0
        """Generated tokens a second."""

    @property
    def _tokens(self) -> int:
        return self._engine.counters()["generated_tokens"]

    def began(self, problem_id: str) -> None:
        self._left -= 1
        if self._left == 0:
            self.rate = (self._tokens - self._before) / (time.perf_counter() - self._began)

    def ended(self, record: Any) -> None: ...


class Bench:
    """An engine, and problems run through it."""

    def __init__(self, engine: VLLMEngine, checker: CheckerPool, benchmark: benchmarks.Benchmark, temperature: float):
        self.engine, self.checker, self.benchmark, self.temperature = engine, checker, benchmark, temperature
        self.seed = 0

    async def run(
        self, strategy: Strategy, examples: Sequence[Example], max_tokens: int, concurrency: int = 64
    ) -> tuple[Records, float]:
        """Records, and generated tokens a second while problems were waiting."""
        found: Records = []
        self.seed += 1
        sampling = Sampling(self.temperature, max_tokens=max_tokens)
        bulk = Bulk(self.engine, len(examples))
        with Journal(None) as journal:
            setup = Setup(
                self.engine, journal, self.checker, None, sampling, Budget(), self.seed,
                self.benchmark.prompt, self.benchmark.extract,
            )  # fmt: skip
            await evaluate(
                examples, strategy, setup, concurrency=concurrency, write=found.append, watch=bulk, stop=Stop()
            )
        failed = [r["error"] for r in found if r["error"]]
        if failed:
            print(f"    {len(failed)} problems failed: {failed[0]}")
        return found, bulk.rate


def accuracy_of(records: Records) -> tuple[float, str]:
    right = sum(bool(r["grade"]["correct"]) for r in records)
    low, high = stats.wilson(right, len(records))
    return right / len(records), f"{100 * right / len(records):.1f} % [{100 * low:.1f}, {100 * high:.1f}]"


def tokens_of(records: Records) -> float:
    return fmean(r["usage"]["generated_tokens"] for r in records)


def describe_rounds(records: Records, window: int, summary: int) -> None:
    """How the rounds ended, and whether the context kept its bound."""
    solutions = [r["solution"] for r in records]
    rounds = [r for s in solutions for r in s["rounds"]]
    ends = Counter(r["finish"] for r in rounds)
    spelled = ", ".join(f"{end} {n} ({100 * n / len(rounds):.1f} %)" for end, n in ends.most_common())
    chains = [c for s in solutions for c in s["chains"]]
    print(f"    {len(rounds)} rounds, {len(rounds) / len(chains):.2f} a chain: {spelled}")
    print(f"    malformed tries {sum(r['malformed'] for r in rounds)} in {len(rounds)} rounds")
    print(f"    chains that did not conclude: {sum(c['finish'] != 'conclusion' for c in chains)} of {len(chains)}")
    over = [r["context"] - s["rounds"][0]["prompt_tokens"] - window - summary for s in solutions for r in s["rounds"]]
    deepest = max(rounds, key=lambda r: r["round"])["round"]
    one = [c["one_chain"] for c in chains]
    ours, long = (fmean(c["peak_context"] for c in part) for part in (chains, one))
    print(f"    peak context - (window + summary + question): at most {max(over)} (wanted <= 0), to round {deepest}")
    print(f"    mean peak context {ours:.0f}, of one long chain {long:.0f}")
    squares, long_squares = (sum(c["context_squared"] for c in part) for part in (chains, one))
    print(f"    sum of context squared over that of one long chain: {squares / long_squares:.2f}")


async def accuracy(bench: Bench, examples: Sequence[Example], a: argparse.Namespace) -> None:
    infty = InftyThink(window=a.window, summary=a.summary, rounds=a.rounds, mode=a.mode, steps=a.steps)
    rounds, _ = await bench.run(infty, examples, a.window)
    ours, text = accuracy_of(rounds)
    print(f"in rounds of {a.window}: {text}, {tokens_of(rounds):.0f} tokens a problem")
    describe_rounds(rounds, a.window, a.summary)
    cut, _ = await bench.run(Single(), examples, a.window)
    short, text = accuracy_of(cut)
    print(f"one chain cut at {a.window}: {text}, {tokens_of(cut):.0f} tokens")
    whole, _ = await bench.run(Single(), examples, a.long)
    full, text = accuracy_of(whole)
    print(f"one chain of up to {a.long}: {text}, {tokens_of(whole):.0f} tokens")
    print(f"rounds / cut: {ours / short if short else float('inf'):.2f} (wanted >= 2)")
    print(f"rounds / uncut: {ours / full if full else float('inf'):.2f} (wanted >= 0.9)", flush=True)


async def throughput(bench: Bench, examples: Sequence[Example], a: argparse.Namespace) -> None:
    infty = InftyThink(window=a.window, summary=a.summary, rounds=a.rounds, mode=a.mode, steps=a.steps)
    n = 8
    ratios, speedups = [], []
    print("turn  infty-think x64  self-consistency 8x8  one at a time  (generated tokens/s)")
    for turn in range(1, a.turns + 1):
        _, ours = await bench.run(infty, examples, a.window, 64)
        _, votes = await bench.run(SelfConsistency(n), examples, a.window, 64 // n)
        _, alone = await bench.run(infty, examples[: a.alone], a.window, 1)
        ratios.append(ours / votes)
        speedups.append(ours / alone)
        print(f"{turn:4}  {ours:15.0f}  {votes:20.0f}  {alone:13.0f}", flush=True)
    print(f"over self-consistency: {median(ratios):.2f} (wanted >= 0.8)")
    print(f"over one at a time: {median(speedups):.1f} (wanted >= 10)", flush=True)


async def prompted(bench: Bench, examples: Sequence[Example], a: argparse.Namespace) -> None:
    infty = InftyThink(window=a.window, summary=a.summary, rounds=a.rounds, mode="prompted")
    rounds, rate = await bench.run(infty, examples, a.window)
    print(f"in rounds of {a.window}, prompted: {accuracy_of(rounds)[1]}, {tokens_of(rounds):.0f} tokens a problem")
    print(f"    {rate:.0f} tokens/s")
    describe_rounds(rounds, a.window, a.summary)
    by_id = {r["problem_id"]: r["usage"]["generated_tokens"] for r in rounds}
    alone = (bench.run(Single(), [e], by_id[e.problem.id]) for e in examples)
    chains = [record for found, _ in await asyncio.gather(*alone) for record in found]
    cut = sum(r["solution"]["candidates"][0]["finish"] == "length" for r in chains)
    print(f"one chain with as many tokens for each problem: {accuracy_of(chains)[1]}, {tokens_of(chains):.0f} tokens")
    print(f"    {cut} of {len(chains)} truncated", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["accuracy", "throughput", "prompted"])
    parser.add_argument("problems", nargs="?", default="nano-long")
    parser.add_argument("-m", "--model", default="nano")
    parser.add_argument("--limit", default="200")
    parser.add_argument("--window", type=int, default=128)
    parser.add_argument("--summary", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--mode", default="auto")
    parser.add_argument("--long", type=int, default=1500)
    parser.add_argument("--temperature", type=float, default=0.8)
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--alone", type=int, default=8, help="problems that are solved one at a time")
    parser.add_argument(
        "--after", type=Path, help="file to wait for once the engine is up, so that engines start together"
    )
    parser.add_argument("-M", "--engine-arg", action="append", default=["block_size=32"])
    a = parser.parse_args()
    asyncio.run(work(a))


async def work(a: argparse.Namespace) -> None:
    benchmark = benchmarks.load(a.problems)
    examples = benchmarks.select(benchmark.examples, a.limit)
    arguments = {k: json.loads(v) for k, _, v in (s.partition("=") for s in a.engine_arg)}
    with tempfile.TemporaryDirectory() as folder:
        engine = VLLMEngine(a.model, {"max_num_seqs": 64, **arguments}, {}, Path(folder) / "engine.log")
        print("engine up", flush=True)
        wait_for(a.after)
        try:
            async with CheckerPool() as checker:
                bench = Bench(engine, checker, benchmark, a.temperature)
                part = {"accuracy": accuracy, "throughput": throughput, "prompted": prompted}[a.part]
                await part(bench, examples, a)
        finally:
            await engine.close()


if __name__ == "__main__":
    main()
