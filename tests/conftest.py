"""What tests share: the command line as a user has it, and sessions on the scripted engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tts.engines.scripted import Script, ScriptedEngine
from tts.journal import Journal
from tts.session import Session, Setup
from tts.types import Budget, Problem, Sampling, Verifier
from tts.verify.pool import CheckerPool

ROOT = Path(__file__).resolve().parent.parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Beside each other run files at most, and one engine: it goes first, for it takes longest."""
    if config.pluginmanager.hasplugin("xdist"):
        for item in items:
            engine = item.get_closest_marker("vllm") is not None
            item.add_marker(pytest.mark.xdist_group("vllm" if engine else item.path.name))
        items.sort(key=lambda item: item.get_closest_marker("vllm") is None)


def tts(*arguments: object, cwd: Path | None = None, stdin: str | None = None, **environment: str) -> Any:
    """Run the command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "tts", *map(str, arguments)],
        capture_output=True,
        text=True,
        input=stdin,
        cwd=cwd,
        env={**os.environ, "NO_COLOR": "1", **environment},
        timeout=300,
        check=False,
    )


def write_lines(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """A JSONL file."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def records(run: Path) -> list[dict[str, Any]]:
    """A run's records in the order of their problems."""
    lines = [json.loads(line) for line in (run / "records.jsonl").read_text().splitlines()]
    return sorted(lines, key=lambda r: (r["problem_id"], r["attempt"]))


@pytest.fixture
def sums(tmp_path: Path) -> Path:
    """Twelve problems that the built-in script half knows."""
    rows = [{"question": f"What is {a} + {a + 3}?", "answer": str(2 * a + 3)} for a in range(2, 14)]
    return write_lines(tmp_path / "sums.jsonl", rows)


Sessions = Callable[..., Any]


@pytest.fixture
def sessions() -> Sessions:
    """`async with sessions(script, …) as session`: a session on a scripted engine with a journal in memory."""

    @asynccontextmanager
    async def make(
        script: Script | None = None,
        *,
        budget: Budget = Budget(),  # noqa: B008, RUF100 - a frozen value
        sampling: Sampling = Sampling(max_tokens=100),  # noqa: B008, RUF100 - a frozen value
        journal: Path | None = None,
        seed: int = 0,
        problem: Problem | None = None,
        verifier: Verifier | None = None,
        **engine: Any,
    ) -> AsyncIterator[Session]:
        problem = problem or Problem("p", "What is 2 + 3?")
        with Journal(journal) as calls:
            async with CheckerPool(workers=1) as checker:
                setup = Setup(ScriptedEngine(script, **engine), calls, checker, verifier, sampling, budget, seed)
                session = Session(problem, setup)
                try:
                    yield session
                finally:
                    session.close()

    return make
