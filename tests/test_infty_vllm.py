"""InftyThink on real vLLM with the embedded model: the bound, the cache, the format."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tts import benchmarks
from tts.journal import Journal
from tts.session import Session, Setup
from tts.strategies.infty_round import Rounds, Shape
from tts.strategies.infty_think import InftyThink
from tts.types import Budget, Sampling
from tts.verify.pool import CheckerPool

pytest.importorskip("vllm")
pytestmark = [pytest.mark.vllm, pytest.mark.filterwarnings("default")]
BLOCK = 32
TAGS = ("history", "think", "summary")


def test_rounds_of_the_embedded_model(tmp_path: Path) -> None:
    """Trained rounds keep the bound; a prompted round's summary goes on from the cache of the round."""
    from tts.engines.vllm import VLLMEngine

    async def main() -> tuple[list[Any], Any]:
        engine = VLLMEngine("nano", {"block_size": BLOCK, "enforce_eager": True}, {}, tmp_path / "log")
        try:
            async with CheckerPool(workers=1) as checker:
                with Journal(None) as journal:
                    setup = Setup(engine, journal, checker, None, Sampling(temperature=0.8), Budget())
                    problems = [e.problem for e in benchmarks.load("nano-long").examples[:16]]
                    strategy = InftyThink(window=112, summary=16, rounds=12)
                    solutions = await asyncio.gather(*(strategy.solve(p, Session(p, setup)) for p in problems))
                    endless = replace(setup, sampling=Sampling(temperature=0.8, ignore_eos=True))
                    shape = Shape(window=300, summary=24, tags=TAGS, trained=False, summaries=1, steps=4)
                    writer = Rounds(shape, problems[0], Session(problems[0], endless))
                    return solutions, await writer.write(1, "", insist=True)
        finally:
            await engine.close()

    solutions, prompted = asyncio.run(main())
    rounds = [r for s in solutions for r in s.details["rounds"]]
    assert {s.details["mode"] for s in solutions} == {"trained"}
    assert {"summary", "conclusion"} & {r["finish"] for r in rounds}
    for solution in solutions:
        question = solution.details["rounds"][0]["prompt_tokens"]
        assert max(r["context"] for r in solution.details["rounds"]) <= question + 112 + 16
    assert all(c["kv_bytes"] == 3072 * c["peak_context"] for s in solutions for c in s.details["chains"])
    first, second = prompted.pieces[:2]
    assert second.cached_tokens >= (first.prompt_tokens + first.generated_tokens) // BLOCK * BLOCK - BLOCK
