"""Verifier tokens that a search computes, with the prefix cache and without, on real vLLM.

    python tests/perf/verifier_cache.py [--depths 4 8 16 32] [--beams 4] [--width 4] [--model FOLDER]

A beam search's scorings: at each depth every beam is extended `width` ways, all are scored, the best go on. The steps
are sums written out, of like length; which verifier reads them does not matter for the counts. "Before" is what step
pooling did: every scoring computes its whole prompt.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from tts.engines.scorer import VLLMScorer
from tts.types import Completion, Message, Problem, Prompt
from tts.verify import cards
from tts.verify.reward import RewardVerifier

SESSION = cast(Any, SimpleNamespace(problem=Problem("p", "How many has she got now?")))
PROMPT = Prompt("", (), (Message("user", "Mia has 3 apples and buys 4 more boxes of 5. How many has she got now?"),))


def step(rng: random.Random) -> str:
    """One step of about thirty tokens."""
    numbers = [rng.randrange(10, 99) for _ in range(4)]
    return " + ".join(map(str, numbers)) + f" = {sum(numbers)}. So far that makes {sum(numbers)}."


async def search(verifier: RewardVerifier, depth: int, beams: int, width: int) -> tuple[int, int]:
    """(tokens read, tokens computed) by the scorings of one search."""
    rng, paths = random.Random(depth), [""]
    read = computed = 0
    for level in range(depth):
        extended = [f"{path}{step(rng)}\n\n" for path in paths for _ in range(width)]
        asked = (
            verifier.score(PROMPT, Completion(text, "stop"), SESSION, f"{depth}/{level}/{i}")
            for i, text in enumerate(extended)
        )
        scores = await asyncio.gather(*asked)
        read += sum(s.tokens for s in scores)
        computed += sum(s.tokens - s.cached_tokens for s in scores)
        ranked = sorted(zip(extended, scores, strict=True), key=lambda pair: pair[1].value or 0.0, reverse=True)
        paths = [text for text, _ in ranked[:beams]]
    return read, computed


async def measure(options: argparse.Namespace, log: Path) -> None:
    card, _ = cards.load("nano")
    assert isinstance(card, cards.RewardCard)
    card = card.model_copy(update={"model": options.model or card.model, "engine": {"enforce_eager": True}})
    scorer = await VLLMScorer.open(card, 0.9, log)
    for note in scorer.notes:
        print(note)
    try:
        print("depth  scorings  before  now  ratio  now per scoring  rereads  seconds")
        for depth in options.depths:
            verifier = RewardVerifier(card, scorer)
            began, counted = time.monotonic(), scorer.counters()
            read, computed = await search(verifier, depth, options.beams, options.width)
            seconds = time.monotonic() - began
            engine = {name: value - counted.get(name, 0) for name, value in scorer.counters().items()}
            assert engine["prompt_tokens"] == read, (engine, read)
            assert engine["prompt_tokens"] - engine["cached_tokens"] == computed, (engine, computed)
            scorings = options.width + (depth - 1) * options.width * min(options.beams, options.width)
            print(
                f"{depth:5}  {scorings:8}  {read:6}  {computed:5}  {read / computed:4.1f}  {computed / scorings:15.1f}"
                f"  {verifier.rereads:7}  {seconds:.2f}",
                flush=True,
            )
    finally:
        await scorer.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--depths", type=int, nargs="+", default=[4, 8, 16, 32])
    parser.add_argument("--beams", type=int, default=4)
    parser.add_argument("--width", type=int, default=4)
    parser.add_argument("--model")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(options, Path(folder) / "log"))


if __name__ == "__main__":
    main()
