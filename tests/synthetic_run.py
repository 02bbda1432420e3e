"""A run directory made of numbers drawn, not of a model: as many problems and samples as a test needs.

Each question has a chance of a right answer; harder ones take longer, and at equal difficulty wrong samples run on.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

Write = Callable[[random.Random, str | None], str]
"""A sample's text, from its answer."""
USAGE = {
    "prompt_tokens": 100, "cached_tokens": 0, "wasted_tokens": 0, "verifier_tokens": 0, "verifier_cached_tokens": 0,
    "unaccounted_calls": 0, "queue_seconds": 0.0,
}  # fmt: skip
STEPS = (
    "First note that $x_{%d} = \\frac{%d}{%d}$, so the two cases can be joined into one.",
    "Expanding the product gives \\[ \\sum_{i=1}^{%d} i^2 = \\frac{%d \\cdot %d}{6}. \\]",
    "Since $\\sqrt{%d} < %d$, every term from number %d on is smaller than the bound.",
    "Substitute \\(a = %d\\) and \\(b = %d\\); the remainder is %d and nothing is lost.",
    "Wait, that counts the pair (%d, %d) twice, so I take %d away from the total again.",
    "Let me check this for the smallest case: with %d and %d in place the left side becomes %d.",
    "Hence the ratio is %d : %d, which leaves %d of them for the last group of students.",
)


def synthetic_run(
    path: Path,
    problems: int = 40,
    n: int = 8,
    *,
    seed: int = 0,
    gain: float = 0.0,
    strategy: str = "self-consistency",
    write: Write | None = None,
    metadata: bool = True,
    slope: float = 0.0,
    stop: str = "never",
) -> Path:
    """Write manifest and records; `gain` is added to every chance of being right, `slope` to the log-odds of a sample
    for each 1,000 tokens above its question's mean.
    """
    path.mkdir(parents=True)
    rng, tokens = random.Random(seed), 0
    with (path / "records.jsonl").open("w") as lines:
        for index in range(problems):
            record = _record(index, n, random.Random(f"question {index}"), rng, gain, write or steps(240), slope)
            if not metadata:
                record["metadata"] = {}
            tokens += record["usage"]["generated_tokens"]
            lines.write(json.dumps(record) + "\n")
    identity = {
        "benchmark": "synthetic", "revision": "1", "model": "drawn", "strategy": strategy,
        "options": {"stop": stop} if stop != "never" else {},
        "verifier": None, "seed": seed,
    }  # fmt: skip
    manifest = {
        "run_id": path.name, "date": "2026-01-01T00:00:00+00:00", "identity": identity, "dataset": "synthetic",
        "growing": {"n": n, "repeats": 1, "limit": None}, "budget": "", "served_model": "drawn",
        "tts_version": "0", "vllm_version": None, "lives": [{"seconds": tokens / 1000}],
    }  # fmt: skip
    (path / "manifest.json").write_text(json.dumps(manifest))
    return path


def _record(
    index: int, n: int, own: random.Random, rng: random.Random, gain: float, write: Write, slope: float
) -> dict[str, Any]:
    hardness = own.random()
    target = own.randrange(10, 99)
    lure = target + own.randrange(1, 9)
    chance = min(0.98, max(0.01, 1.1 - 1.2 * hardness + gain))
    candidates = []
    classes: dict[str | None, int] = {None: -1}
    for i in range(n):
        excess = rng.gauss(0.0, 0.4)
        odds = chance / (1 - chance) * 2.718281828 ** (slope * excess)
        right = rng.random() < odds / (1 + odds)
        said = target if right else lure if rng.random() < 0.5 else rng.randrange(100, 120)
        cut = not right and rng.random() < 0.1
        answer = None if cut else str(said)
        classes.setdefault(answer, len(classes) - 1)
        candidates.append(
            {
                "text": write(rng, answer), "answer": answer, "finish": "length" if cut else "stop",
                "generated_tokens": max(20, int(1000 * (0.5 + 2 * hardness + excess))), "seed": i,
                "scores": {"prm": round(rng.betavariate(4, 2) if right else rng.betavariate(2, 4), 4)},
                "logprob_mean": -round(rng.random(), 3), "correct": right, "class": classes[answer],
            }
        )  # fmt: skip
    votes = [c["answer"] for c in candidates if c["answer"] is not None]
    answer = max(votes, key=votes.count) if votes else None
    generated = sum(c["generated_tokens"] for c in candidates)
    return {
        "run_id": "synthetic", "problem_id": f"q{index}", "attempt": 0, "status": "ok",
        "question": f"Question {index}: what is $\\frac{{{2 * target}}}{{2}}$, given $a^2 + b^2 = {index}$?",
        "solution": {"answer": answer, "candidates": candidates},
        "grade": {
            "correct": answer == str(target), "answer": answer, "target": str(target),
            "status": "ok" if answer else "no_answer",
        },
        "usage": {
            **USAGE, "generated_tokens": generated, "calls": n, "flops": 1e6 * generated, "seconds": generated / 1e3,
        },
        "error": None,
        "metadata": {"level": 1 + int(5 * hardness), "cluster": f"t{index // 4}", "subject": "Algebra"},
    }  # fmt: skip


def steps(chars: int) -> Write:
    """Sentences of at least `chars` characters and an end."""

    def write(rng: random.Random, answer: str | None) -> str:
        said: list[str] = []
        while sum(map(len, said)) < chars:
            said.append(rng.choice(STEPS) % tuple(rng.randrange(2, 400) for _ in range(3)))
        end = "so it goes on and" if answer is None else f"The answer is $\\boxed{{{answer}}}$."
        return "\n\n".join([*said, end])

    return write
