"""`kill -9` in mid-search: the tree is an uninterrupted run's, and no finished call or scoring is made again."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from processes import killed_until_done

DRIVER = """
import asyncio, json, random, sys
from pathlib import Path
from tts.engines.scripted import Reply, ScriptedEngine
from tts.evaluate import Stop, evaluate
from tts.journal import Journal
from tts.session import Setup
from tts.strategies import STRATEGIES
from tts.types import Budget, Example, Problem, Sampling, StepScores
from tts.verify.pool import CheckerPool

folder, strategy, tokens = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]) or None
log = (folder / "log").open("a", buffering=1)

def reply(prompt, seed):
    done = prompt.rpartition("assistant: ")[2].count("\\n\\n")
    steps = [f"{'abcd'[seed % 4]}{n}: some words about it." for n in range(3)] + ["\\\\boxed{5}"]
    return Reply("\\n\\n".join(steps[min(done, 3):]), latency=random.Random(seed).uniform(0, 0.06))

class Engine(ScriptedEngine):
    async def generate(self, prompt, sampling, seed, request_id, **how):
        log.write(f"call {seed}\\n")
        return await super().generate(prompt, sampling, seed, request_id, **how)

class Scores:
    name = key = "scores"
    flops_per_token = None
    async def score(self, prompt, completion, session, request_id):
        log.write(f"score {session.problem.id} {completion.text!r}\\n")
        await asyncio.sleep(random.Random(completion.text).uniform(0, 0.03))
        value = round((1 + completion.text.count("a")) / (3 + len(completion.text)), 6)
        return StepScores((value,), value, tokens=2)
    async def abort(self, request_id): ...
    async def close(self): ...

class Journalled(Journal):
    async def finish(self, key, completion, elapsed):
        await super().finish(key, completion, elapsed)
        log.write(f"kept call {completion.seed}\\n")

class Nobody:
    def began(self, problem_id): ...
    def ended(self, record): ...

async def main():
    done = folder / "records.jsonl"
    lines = [json.loads(line) for line in done.read_text().splitlines()] if done.exists() else []
    with Journalled(folder / "journal.sqlite") as journal, done.open("a", buffering=1) as out:
        async with CheckerPool(workers=1) as checker:
            setup = Setup(Engine(reply), journal, checker, Scores(), Sampling(max_tokens=80), Budget(tokens))
            examples = [Example(Problem(f"p{i}", f"Question {i}?"), "5") for i in range(4)]
            await evaluate(examples, STRATEGIES[strategy](), setup, concurrency=3,
                           write=lambda r: out.write(json.dumps(r) + "\\n"), watch=Nobody(), stop=Stop(),
                           done={(r["problem_id"], r["attempt"]) for r in lines})

asyncio.run(main())
"""


def _begin(folder: Path, strategy: str, tokens: int) -> subprocess.Popen[bytes]:
    folder.mkdir(exist_ok=True)
    driver = folder / "driver.py"
    driver.write_text(DRIVER)
    words = [sys.executable, driver, folder, strategy, str(tokens)]
    return subprocess.Popen(words, env={**os.environ, "PYTHONPATH": str(ROOT)})


def _outcome(folder: Path) -> list[dict[str, Any]]:
    found = []
    for line in (folder / "records.jsonl").read_text().splitlines():
        record = json.loads(line)
        usage = {k: v for k, v in record["usage"].items() if "seconds" not in k and k != "unaccounted_calls"}
        phases = dict.fromkeys(record.get("phases", ()))
        found.append({**record, "usage": usage, "phases": phases})
    return sorted(found, key=lambda r: r["problem_id"])


@pytest.mark.parametrize(
    ("strategy", "tokens"),
    [("beam-search", 0), ("beam-search", 250), ("dvts", 0), ("rebase", 0), ("particle-filter", 0), ("mcts", 0)],
)
def test_a_search_that_was_killed_ends_as_one_that_was_not(tmp_path: Path, strategy: str, tokens: int) -> None:
    assert _begin(tmp_path / "calm", strategy, tokens).wait(120) == 0
    calm, killed, rng = tmp_path / "calm", tmp_path / "killed", random.Random(3)
    log = killed / "log"
    kept: list[tuple[int, set[str]]] = []

    def pause(process: subprocess.Popen[bytes], kills: int) -> None:
        deadline = time.monotonic() + (rng.uniform(0.02, 0.25) if kills < 4 else 120.0)
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)

    def died() -> None:
        lines = log.read_text().splitlines()
        kept.append((len(lines), {line.removeprefix("kept ") for line in lines if line.startswith("kept ")}))

    killed_until_done(lambda: _begin(killed, strategy, tokens), log, pause, died)
    assert _outcome(killed) == _outcome(calm)
    lines = log.read_text().splitlines()
    for position, finished in kept:
        assert not finished & set(lines[position:]), "a call that had finished was made again"
    asked = {line for line in lines if line.startswith(("call", "score"))}
    assert asked == {line for line in (calm / "log").read_text().splitlines() if line.startswith(("call", "score"))}
