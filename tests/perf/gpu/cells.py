"""What is measured: the cells of each phase, in the order of their worth.

A cell is one run of `tts eval` by its options. `tokens` is what it should generate, for the estimate of its time;
cells that reuse the samples of earlier ones generate less. Sampling: temperature 0.8, top-p 0.95, nothing of the
model's own generation defaults.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SAMPLING = {"temperature": 0.8, "top_p": 0.95}
LENGTH = {"gsm8k": 512, "math500": 1024, "stateful": 512, "queries": 512, "nano-3": 256}
"""Most tokens of a response."""
MEAN = {"gsm8k": 180, "math500": 420, "stateful": 180, "queries": 180, "nano-3": 60}
"""Tokens of a response, roughly."""


def local(benchmark: str, data: Path) -> str:
    """A benchmark's name as `tts eval` takes it, over its file in the folder where there is one for it."""
    files = {"gsm8k": "gsm8k_test.jsonl", "math500": "math500.jsonl"}
    return f"{benchmark}={data / files[benchmark]}" if benchmark in files else benchmark


@dataclass(frozen=True)
class Cell:
    """One run. `n` samples of each of `limit` problems, `options` as in a sweep file.

    `reuse`: take equal calls from the runs before, where time is not what is measured. `score`: verifiers that rate the
    run's candidates afterwards. `share`: tokens that are generated, of those of n full responses. `seconds`: what the
    cell takes at least, where a clock decides. `profile`: note where our process spends its time.
    """

    name: str
    benchmark: str
    strategy: str
    limit: int
    n: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)
    reuse: bool = False
    score: tuple[str, ...] = ()
    share: float = 1.0
    seconds: float = 0.0
    profile: bool = False

    @property
    def tokens(self) -> int:
        return round(self.limit * self.n * MEAN[self.benchmark] * self.share)


def _votes(name: str, benchmark: str, limit: int, n: int, **more: Any) -> Cell:
    return Cell(name, benchmark, "self-consistency", limit, n, **more)


def scaling(rows: int = 200) -> list[Cell]:
    """Throughput, then accuracy against tokens and seconds."""
    gsm, math = "gsm8k", "math500"
    stop: dict[str, Any] = {"benchmark": gsm, "limit": rows, "n": 16}
    pool = {"select": "group-confidence", "window": 64}
    measures = ("self-certainty", "entropy", "logprob-mean", "perplexity", "p-true")
    return [
        _votes("warm-up", gsm, 32, 16),
        _votes("sc16-gsm8k", gsm, rows, 16),
        _votes("sc16-gsm8k-no-logprobs", gsm, rows, 16, options={"logprobs": False}),
        _votes("sc8-gsm8k", gsm, rows, 8),
        _votes("sc16-gsm8k-beta", **stop, share=0.5, options={"option": {"stop": "beta"}}),
        _votes("sc16-gsm8k-likely", **stop, share=0.5, options=_likely(0.95)),
        _votes("sc16-gsm8k-window", **stop, share=0.5, options={"option": {"stop": "window"}}),
        Cell("single-gsm8k", gsm, "single", rows, reuse=True, share=0),
        Cell("confidence-gsm8k", gsm, "best-of-n", rows, 16, {"option": pool}, score=measures, share=2),
        _votes("sc16-math500", math, 100, 16),
        Cell("single-math500", math, "single", 100, reuse=True, share=0),
        *(
            _votes(f"sc64-gsm8k-{s}s", gsm, 32, 64, seconds=min(16 * s, 90), share=0,
                   options={"budget_seconds": s, "concurrency": 2})
            for s in (1, 2, 5, 10, 30)
        ),
        Cell("judge-score-gsm8k", gsm, "best-of-n", 100, 8, {"verifier": "judge-score"}, reuse=True, share=1),
        _votes("allocated-gsm8k", gsm, rows, 32, share=0.15, options={"total_tokens": 4 * rows * MEAN[gsm]}),
        Cell("budget-forcing-gsm8k", gsm, "budget-forcing", rows, share=2),
        Cell("deepconf-gsm8k", gsm, "deepconf", 100, 16, {"option": {"warmup": 8, "window": 64}}, share=2),
        _votes("sc64-gsm8k", gsm, 100, 64),
        _votes("sc16-gsm8k-profiled", gsm, 100, 16, profile=True),
    ]  # fmt: skip


def further() -> list[Cell]:
    """What comes after everything else; samples of earlier cells are taken over, so no time is measured here."""
    gsm, math = "gsm8k", "math500"
    return [
        _votes("sc64-math500", math, 50, 64, reuse=True, share=0.75),
        Cell("judge-verify-gsm8k", gsm, "best-of-n", 25, 8, {"verifier": "judge-verify"}, reuse=True, share=6),
        _votes("sc16-gsm8k-all", gsm, 660, 16, reuse=True, share=0.7),
        _votes("sc16-math500-all", math, 250, 16, reuse=True, share=0.6),
    ]


def rounds(
    limit: int = 100, benchmarks: tuple[str, ...] = ("math500",), windows: tuple[int, ...] = (256, 512)
) -> list[Cell]:
    """Reasoning in rounds; each is followed by one chain of as many tokens, problem by problem."""
    return [
        Cell(f"infty{w}-{name}", name, "infty-think", limit, share=3, options={"max_tokens": w, "option": _windows(w)})
        for name in benchmarks
        for w in windows
    ]


def _windows(window: int) -> dict[str, Any]:
    return {"mode": "prompted", "window": window, "summary": window // 4, "rounds": 2048 // window}


def _likely(threshold: float) -> dict[str, Any]:
    return {"option": {"stop": "likely", "threshold": threshold}}


def sleep(limit: int = 100, verbosities: tuple[int, ...] = (0, 1, 2, 3, 4)) -> list[Cell]:
    """With and without notes at each verbosity; one question a context, then several."""
    cells = [Cell("cot-stateful", "stateful", "single", limit)]
    for name in ("stateful", "queries"):
        for v in verbosities:
            cells += [
                Cell(f"{kind}-v{v}-{name}", name, "sleep-time", limit, share=2,
                     options={"option": {"verbosity": v, "notes": notes}})
                for kind, notes in (("notes", 1), ("bare", 0))
            ]  # fmt: skip
    return cells


def small(limit: int = 100) -> list[Cell]:
    """The list for a second, smaller model."""
    return [
        _votes("warm-up", "gsm8k", 32, 8),
        _votes("sc32-gsm8k", "gsm8k", limit, 32),
        _votes("sc32-gsm8k-beta", "gsm8k", limit, 32, share=0.5, options={"option": {"stop": "beta"}}),
        *(_votes(f"sc32-gsm8k-likely-{t}", "gsm8k", limit, 32, share=0.5, options=_likely(t)) for t in (0.85, 0.95)),
        _votes("sc8-gsm8k", "gsm8k", limit, 8, reuse=True, share=0),
        _votes("sc8-math500", "math500", limit, 8),
        *rounds(limit, ("gsm8k", "math500"), (256,)),
        *sleep(limit, (0, 1, 2, 3, 4)),
    ]


def stopping(limit: int = 660) -> list[Cell]:
    """A vote of 32 and what two rules leave of it, over all rows."""
    vote: dict[str, Any] = {"benchmark": "gsm8k", "limit": limit, "n": 32}
    beta = {"option": {"stop": "beta", "threshold": 0.8}}
    return [
        _votes("warm-up", "gsm8k", 32, 8),
        _votes("sc32-gsm8k-all", **vote),
        _votes("sc32-gsm8k-all-beta-0.8", **vote, share=0.6, options=beta),
        _votes("sc32-gsm8k-all-likely-0.85", **vote, share=0.6, options=_likely(0.85)),
    ]


def options(rows: int = 200) -> list[Cell]:
    """What is repeated under each of the engine's own options."""
    return [_votes("warm-up", "gsm8k", 32, 8), _votes("sc8-gsm8k", "gsm8k", rows, 8)]


def nano() -> list[Cell]:
    return [
        _votes("warm-up", "nano-3", 64, 16),
        _votes("sc16-nano-3", "nano-3", 400, 16),
        _votes("sc16-nano-3-no-logprobs", "nano-3", 400, 16, options={"logprobs": False}),
        _votes("sc16-nano-3-profiled", "nano-3", 400, 16, profile=True),
    ]


PHASES: dict[str, Callable[[], list[Cell]]] = {
    "scaling": scaling,
    "rounds": rounds,
    "sleep": sleep,
    "further": further,
    "small": small,
    "stopping": stopping,
    "options": options,
    "nano": nano,
}
