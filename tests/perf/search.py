"""Beam search against the usual barrier schedule, on real vLLM, same engines, models, problems, settings and seeds.

    python tests/perf/search.py [--problems 64] [--benchmark nano-3] [-n 16] [--width 4] [--max-num-seqs 64]

The barrier schedule does one problem at a time; all paths of a step are awaited, then all are scored, each from its
first token. Ours is taken apart by adding one cause at a time: problems side by side, the verifier's cache, scoring a
path while its siblings are written; then speculation. Self-consistency with the same n and concurrency is the measure
of what the engine can do. Caches are emptied before each. Per row: problems a minute, generated tokens a second (of all
time, and of the time in which the policy had work), occupancy (running sequences over the maximum, while problems were
still waiting), the share of the time in which the verifier had work, and CPU seconds of our process, the policy's and
the verifier's, each with vLLM's front end; `--profile` keeps what our process was seen at, every 5 ms of its CPU time.
Ratios are printed over all the time and over the time in which the policy had work: on CPU two engines share a few
cores, and what the verifier takes of them is not the schedule's doing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")

from runs import wait_for
from stacks import Profile

from tts import benchmarks, engines
from tts.engines.scorer import VLLMScorer
from tts.evaluate import Stop, evaluate
from tts.journal import Journal
from tts.session import Session, Setup
from tts.stats import wilson
from tts.strategies.beam import BeamSearch, keep
from tts.strategies.self_consistency import SelfConsistency
from tts.tree import Path as Beam
from tts.tree import Tree, concluded, prune
from tts.types import Budget, Completion, Engine, Problem, Prompt, Sampling, Solution, StepScores, Strategy, Verifier
from tts.verify import cards
from tts.verify.pool import CheckerPool
from tts.verify.reward import RewardVerifier
from tts.waiting import together

TICK = os.sysconf("SC_CLK_TCK")


class Busy:
    """How long at least one request was in flight."""

    def __init__(self) -> None:
        self.seconds, self._open, self._since = 0.0, 0, 0.0

    def __enter__(self) -> None:
        if self._open == 0:
            self._since = time.monotonic()
        self._open += 1

    def __exit__(self, *_: Any) -> None:
        self._open -= 1
        if self._open == 0:
            self.seconds += time.monotonic() - self._since


class WatchedEngine:
    """The policy, with its busy time."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self.busy = engine, Busy()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    async def generate(self, *a: Any, **k: Any) -> Completion:
        with self.busy:
            return await self._engine.generate(*a, **k)


class WatchedScorer:
    """The verifier's engine, with its busy time."""

    def __init__(self, scorer: VLLMScorer) -> None:
        self._scorer, self.busy = scorer, Busy()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._scorer, name)

    async def classify(self, *a: Any, **k: Any) -> Any:
        with self.busy:
            return await self._scorer.classify(*a, **k)


class Uncached(WatchedScorer):
    """The verifier's engine, reading everything anew."""

    async def classify(self, *a: Any, **k: Any) -> Any:
        return await self._scorer.classify(*a, **{**k, "cached": False})


class Rescoring:
    """The verifier without memory: every scoring reads the whole text, also where an equal one is being read."""

    def __init__(self, card: Any, scorer: Any) -> None:
        self.name, self.key, self.flops_per_token = card.name, f"rescoring {card.name}", scorer.flops_per_token
        self._card, self._scorer = card, Uncached(scorer)

    async def score(self, prompt: Prompt, completion: Completion, session: Session, request_id: str) -> StepScores:
        return await RewardVerifier(self._card, self._scorer).score(prompt, completion, session, request_id)

    async def abort(self, request_id: str) -> None: ...

    async def close(self) -> None: ...


class BarrierTree(Tree):
    """All paths of a step are awaited before any is scored."""

    async def grow(self, parents: Sequence[Beam], **_: Any) -> list[Beam]:
        parents = [p for p in parents if p.live]
        calls = self._session.submit([p.prompt for p in parents], [self._sampling(p) for p in parents])

        async def completion(call: Any) -> Any:
            return await call

        grown = []
        for parent, made in zip(parents, await together(map(completion, calls)), strict=True):
            path = Beam(parent, parent.prompt)
            self._write(path, made)
            grown.append(path)
        await together(self._rate(path, 0) for path in grown)
        self.paths += grown
        return grown


@dataclass(frozen=True, kw_only=True)
class BarrierBeam(BeamSearch):
    """The same search on that schedule."""

    async def solve(self, problem: Problem, session: Session) -> Solution:
        tree = BarrierTree(session, session.ask(problem), self)
        paths = await tree.grow([tree.root] * self.n)
        for depth in range(1, self.max_steps):
            survivors = keep(paths, self.n // self.width)
            prune(paths, survivors, depth)
            grown = await tree.grow([p for p in survivors if p.live for _ in range(self.width)])
            if not grown:
                break
            paths = [p for p in survivors if p.ended] + grown
        return await concluded(session, [tree], self.select)


@dataclass
class Watch:
    """Notes the policy's totals when the first problem has ended and when the last one began: the bulk between."""

    engine: Any
    total: int
    started: int = 0
    first: dict[str, int] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)

    def began(self, problem_id: str) -> None:
        self.started += 1
        if self.started == self.total:
            self.last = dict(self.engine.counters())

    def ended(self, record: Any) -> None:
        self.first = self.first or dict(self.engine.counters())

    def occupancy(self) -> float | None:
        steps = self.last.get("steps", 0) - self.first.get("steps", 0)
        running = self.last.get("running", 0) - self.first.get("running", 0)
        return running / steps / self.engine.max_sequences if steps > 0 else None


@dataclass
class Row:
    name: str
    seconds: float
    problems: int
    generated: int
    policy_busy: float
    verifier_busy: float
    occupancy: float | None
    read: int
    computed: int
    cpu: tuple[float, float, float]
    right: int
    wasted: int
    profile: Profile

    @property
    def rate(self) -> float:
        return 60 * self.problems / self.seconds

    @property
    def busy_rate(self) -> float:
        return 60 * self.problems / self.policy_busy

    def line(self) -> str:
        low, high = wilson(self.right, self.problems)
        occupied = "   – " if self.occupancy is None else f"{100 * self.occupancy:4.0f}%"
        return (
            f"{self.name:18} {self.seconds:7.1f} {self.rate:9.1f} {self.generated:8}"
            f" {self.generated / self.seconds:7.0f} {self.generated / self.policy_busy:9.0f} {occupied}"
            f" {100 * self.verifier_busy / self.seconds:7.0f}% {self.read:9} {self.computed:9}"
            f" {self.cpu[0]:6.1f} {self.cpu[1]:6.1f} {self.cpu[2]:6.1f} {self.wasted:7}"
            f"  {100 * self.right / self.problems:5.1f} [{100 * low:.1f}, {100 * high:.1f}]"
        )


HEAD = (
    "schedule           seconds  problems  tokens tokens/s  per busy  occu- verifier  verifier tokens     CPU seconds"
    "       accuracy %\n"
    "                             /minute             all    second  pancy     busy     read  computed   ours"
    " policy  verif.  wasted  [95 %]"
)


def children(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += [int(child), *children(int(child))]
    return found


def cpu_of(pids: Sequence[int]) -> float:
    """CPU seconds of processes so far."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICK


async def measure(
    name: str,
    strategy: Strategy,
    concurrency: int,
    engine: WatchedEngine,
    verifier: Verifier | None,
    scorer: WatchedScorer,
    examples: Sequence[Any],
    pids: tuple[list[int], list[int]],
    extract: tuple[str, ...],
    sampling: Sampling,
) -> Row:
    await engine.reset_prefix_cache()
    await scorer.reset_prefix_cache()
    engine.busy, scorer.busy = Busy(), Busy()
    records: list[dict[str, Any]] = []
    watch = Watch(engine, len(examples))
    with tempfile.TemporaryDirectory() as folder, Journal(Path(folder) / "journal.sqlite") as journal:
        async with CheckerPool() as checker:
            setup = Setup(engine, journal, checker, verifier, sampling, Budget(), 0, "cot", extract)
            cpu = (time.process_time(), *map(cpu_of, pids))
            began = time.monotonic()
            profile = Profile()
            with profile.following():
                await evaluate(
                    examples, strategy, setup, concurrency=concurrency, write=records.append, watch=watch, stop=Stop()
                )
            seconds = time.monotonic() - began
            after = (time.process_time(), *map(cpu_of, pids))
    total = {key: sum(r["usage"][key] for r in records) for key in records[0]["usage"] if key != "cached_tokens"}
    return Row(
        name, seconds, len(records), total["generated_tokens"], engine.busy.seconds, scorer.busy.seconds,
        watch.occupancy(), total["verifier_tokens"], total["verifier_tokens"] - total["verifier_cached_tokens"],
        (after[0] - cpu[0], after[1] - cpu[1], after[2] - cpu[2]),
        sum(r["grade"]["correct"] is True for r in records), total["wasted_tokens"],
        profile,
    )  # fmt: skip


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--benchmark", default="nano-3")
    parser.add_argument("--problems", type=int, default=64)
    parser.add_argument("-n", type=int, default=16)
    parser.add_argument("--width", type=int, default=4)
    parser.add_argument("--max-num-seqs", type=int, default=64)
    parser.add_argument("--concurrency", type=int, help="problems in flight (default: twice what fills the engine)")
    parser.add_argument("--model", default="nano")
    parser.add_argument("--verifier", default="nano")
    parser.add_argument("--only", nargs="+", help="rows to make, by the beginning of their names")
    parser.add_argument("-M", "--engine-arg", action="append", default=[], help="of the policy, instead of eager mode")
    parser.add_argument(
        "--after", type=Path, help="file to wait for once the engines are up, so that others start beside"
    )
    parser.add_argument("--no-logprobs", action="store_true", help="ask for no log-probabilities, but in a last row")
    parser.add_argument("--compile", action="store_true", help="let vLLM compile the models")
    parser.add_argument("--profile", type=Path, help="folder for each row's profile of our process")
    a = parser.parse_args()
    benchmark = benchmarks.load(a.benchmark)
    examples = benchmarks.select(benchmark.examples, str(a.problems))
    common: dict[str, Any] = {} if a.compile else {"enforce_eager": True}
    many = a.concurrency or math.ceil(2 * a.max_num_seqs / a.n)
    with tempfile.TemporaryDirectory() as folder:
        arguments = {
            "max_num_seqs": a.max_num_seqs, "block_size": 32, "scheduling_policy": "priority",
            "gpu_memory_utilization": engines.POLICY_SHARE,
            **({k: json.loads(v) for k, _, v in (s.partition("=") for s in a.engine_arg)} or common),
        }  # fmt: skip
        policy = await engines.start(
            "vllm", a.model, arguments=arguments, template={}, base_urls=(), log=Path(folder) / "engine.log",
            may_abort=False, beside_verifier=True,
        )  # fmt: skip
        first = children(os.getpid())
        loaded, _ = cards.load(a.verifier)
        assert isinstance(loaded, cards.RewardCard)
        card = loaded.model_copy(update={"engine": {**loaded.engine, "max_num_seqs": a.max_num_seqs, **common}})
        opened = await VLLMScorer.open(card, engines.VERIFIER_SHARE, Path(folder) / "verifier.log")
        pids = (first, [pid for pid in children(os.getpid()) if pid not in first])
        print("engines up", flush=True)
        wait_for(a.after)
        engine, scorer = WatchedEngine(policy), WatchedScorer(opened)
        sampling = Sampling(max_tokens=256, top_logprobs=None if a.no_logprobs else 0)
        shape = {"n": a.n, "width": a.width}
        plans: list[tuple[str, Strategy, int, str | None]] = [
            ("warm-up", BeamSearch(**shape), many, "cached"),
            ("barrier", BarrierBeam(**shape), 1, "rescoring"),
            ("+ side by side", BarrierBeam(**shape), many, "rescoring"),
            ("+ cache", BarrierBeam(**shape), many, "cached"),
            ("+ overlap = ours", BeamSearch(**shape), many, "cached"),
            ("+ speculation", BeamSearch(**shape, speculate=True), many, "cached"),
            ("self-consistency", SelfConsistency(n=a.n), many, None),
        ]
        if a.no_logprobs:
            plans += [("ours, logprobs", BeamSearch(**shape), many, "cached")]
        rows: dict[str, Row] = {}
        print(f"{a.problems} of {a.benchmark}, n={a.n}, width {a.width}, {many} problems in flight, "
              f"at most {a.max_num_seqs} sequences, {policy.describe()['hardware']}")  # fmt: skip
        print(HEAD, flush=True)
        try:
            for name, strategy, concurrency, kind in plans:
                if a.only and not any(name.startswith(o) for o in (*a.only, "warm-up")):
                    continue
                verifier = {"cached": RewardVerifier, "rescoring": Rescoring}.get(kind, lambda *_: None)(card, scorer)
                chosen = examples[:many] if name == "warm-up" else examples
                asked = replace(sampling, top_logprobs=0) if "logprobs" in name else sampling
                rows[name] = await measure(
                    name, strategy, concurrency, engine, verifier, scorer, chosen, pids, benchmark.extract, asked
                )
                if a.profile:
                    a.profile.mkdir(parents=True, exist_ok=True)
                    found = json.dumps(rows[name].profile.shares(), indent=1)
                    (a.profile / f"{name.replace(' ', '-')}.json").write_text(found)
                if name != "warm-up":
                    print(rows[name].line(), flush=True)
        finally:
            await policy.close()
            await opened.close()
    summarise(rows)


def summarise(rows: dict[str, Row]) -> None:
    """The ratios, and what share of the whole each cause has (of its logarithm, causes added in this order)."""
    ours = rows.get("+ overlap = ours")
    if ours and (barrier := rows.get("barrier")):
        whole = ours.rate / barrier.rate
        print(f"\nours over barrier: {whole:.2f} x problems a minute;"
              f" while the policy had work {ours.busy_rate / barrier.busy_rate:.2f}")  # fmt: skip
        chain = [barrier, *(rows[n] for n in ("+ side by side", "+ cache", "+ overlap = ours") if n in rows)]
        for before, after in pairwise(chain):
            ratio = after.rate / before.rate
            share = 100 * math.log(ratio) / math.log(whole) if whole != 1 else 0.0
            print(f"    {after.name:18} x {ratio:.2f}  ({share:.0f} %)")
    if ours and (plain := rows.get("self-consistency")):
        overall = ours.generated / ours.seconds * plain.seconds / plain.generated
        busy = ours.generated / ours.policy_busy * plain.policy_busy / plain.generated
        print(f"tokens/s, ours over self-consistency: {overall:.2f}; while the policy had work: {busy:.2f}")
    if ours:
        print(f"verifier's share of the engines' CPU time: {ours.cpu[2] / (ours.cpu[1] + ours.cpu[2]):.0%}")
        print(f"CPU of our process over the engines': {ours.cpu[0] / (ours.cpu[1] + ours.cpu[2]):.1%}"
              f" ({1e6 * ours.cpu[0] / ours.generated:.0f} µs a generated token)")  # fmt: skip
    if ours and (ahead := rows.get("+ speculation")):
        faster, wasted = ahead.rate / ours.rate, ahead.wasted / ahead.generated
        print(f"speculation: x {faster:.2f} problems a minute, {wasted:.1%} of the tokens wasted")


if __name__ == "__main__":
    asyncio.run(main())
