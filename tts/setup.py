"""What all problems of a run share."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from tts.account import Account
from tts.journal import Journal
from tts.notes import Notes
from tts.types import Budget, Engine, Sampling, Verifier
from tts.verify.extract import DEFAULT
from tts.verify.pool import CheckerPool


@dataclass(frozen=True, slots=True)
class Setup:
    """What all problems of a run share."""

    engine: Engine
    journal: Journal
    checker: CheckerPool
    verifier: Verifier | None
    sampling: Sampling
    budget: Budget
    seed: int = 0
    prompt: str = "cot"
    extract: tuple[str, ...] = DEFAULT
    in_turn: bool = False
    """Siblings are served in their order across problems: the first samples of all before the second of any."""
    total: Account | None = None
    """What the whole run may spend, where that is limited."""
    asleep: dict[str, asyncio.Task[Notes]] = field(default_factory=dict)
    """Notes made in this run, or in the making, by their context's hash."""
