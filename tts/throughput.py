"""The peak throughput of a model, and the time axis that is modelled with it.

The protocol is that of M1 (Wang et al. 2025, arXiv:2504.10449, sections 4.2 and 4.3): a batch decodes a fixed length
with the end of text ignored, two runs warm up, the mean of the next three counts, and the batch is raised until tokens
a second fall. Its seconds are samples × length ÷ peak: modelled, not measured.
"""

from __future__ import annotations

import asyncio
import csv
import io
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from tts.errors import InputError
from tts.types import Engine, Prompt, Sampling

WARM_UPS, REPEATS = 2, 3


@dataclass(frozen=True, slots=True)
class Measured:
    """`batch` requests of `prompt_tokens` each, decoding `length` tokens each. `seconds` are those of each repeat,
    `tokens_per_second` counts generated tokens over their mean.
    """

    model: str
    batch: int
    prompt_tokens: int
    length: int
    seconds: tuple[float, ...]
    tokens_per_second: float


async def sweep(
    engine: Engine,
    batches: Sequence[int],
    lengths: Sequence[int],
    prompt_tokens: int,
    told: Callable[[Measured], None] = lambda _: None,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Measured]:
    """Measure each length at rising batches, until tokens a second fall.

    Raises:
        InputError: prompt and length do not fit the model, or a batch the engine.
    """
    for length in lengths:
        if prompt_tokens + length > engine.max_model_len:
            raise InputError(
                f"{prompt_tokens} + {length} tokens: the model takes {engine.max_model_len}",
                "a shorter --length or --prompt-tokens",
            )
    if max(batches) > engine.max_sequences:
        name = "max_num_seqs" if engine.kind == "vllm" else "max_sequences"
        raise InputError(
            f"--batch {max(batches)}: the engine runs {engine.max_sequences} at once",
            f"smaller batches, or -M {name}={max(batches)}",
        )
    prompts = _prompts(engine, prompt_tokens)
    found = []
    for length in sorted(lengths):
        fastest = 0.0
        for batch in sorted(batches):
            seconds = []
            for number in range(WARM_UPS + REPEATS):
                began = clock()
                await _decode(engine, [next(prompts) for _ in range(batch)], length, f"{length}/{batch}/{number}")
                if number >= WARM_UPS:
                    seconds.append(clock() - began)
            rate = batch * length / fmean(seconds)
            found.append(Measured(engine.model, batch, prompt_tokens, length, tuple(seconds), rate))
            told(found[-1])
            if rate < fastest:
                break
            fastest = rate
    return found


def _prompts(engine: Engine, length: int) -> Any:
    """Prompts of one length that share no prefix."""
    ids = engine.encode(" ".join(str(i * 7919 % 9973) for i in range(4 * length + 4096)))
    start = 0
    while True:
        yield Prompt("", tuple(ids[(start + i) % len(ids)] for i in range(length)))
        start += 1


async def _decode(engine: Engine, prompts: Sequence[Prompt], length: int, name: str) -> None:
    sampling = Sampling(temperature=0.0, max_tokens=length, ignore_eos=True)
    calls = (engine.generate(p, sampling, i, f"{name}/{i}") for i, p in enumerate(prompts))
    for completion in await asyncio.gather(*calls):
        if completion.generated_tokens != length:
            raise InputError(
                f"a request of {length} tokens ended after {completion.generated_tokens}",
                "the engine does not ignore the end of text: its throughput cannot be measured so",
            )


def peak(measured: Sequence[Measured]) -> Measured:
    """The fastest of them.

    Raises:
        ValueError: there is none.
    """
    return max(measured, key=lambda m: m.tokens_per_second)


def modelled_seconds(samples: float, length: float, tokens_per_second: float) -> float:
    """Seconds that `samples` of `length` tokens each take at this throughput; no prefill, no stragglers."""
    return samples * length / tokens_per_second


def document(measured: Sequence[Measured], engine: dict[str, Any]) -> dict[str, Any]:
    """What `tts bench throughput` writes as JSON."""
    protocol = {"warm_ups": WARM_UPS, "repeats": REPEATS, "ignore_eos": True, "temperature": 0.0}
    best = asdict(peak(measured))
    return {"model": best["model"], "peak": best, "protocol": protocol, "engine": engine,
            "rows": [asdict(m) for m in measured]}  # fmt: skip


def as_csv(measured: Sequence[Measured]) -> str:
    """A row a measurement, with a column that marks the peak."""
    text = io.StringIO()
    columns = ["model", "batch", "prompt_tokens", "length", "tokens_per_second", "seconds_mean", "seconds", "peak"]
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    best = peak(measured)
    for m in measured:
        writer.writerow(
            {**asdict(m), "seconds": json.dumps(m.seconds), "seconds_mean": fmean(m.seconds), "peak": m is best}
        )
    return text.getvalue()
