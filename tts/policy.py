"""A compute-optimal policy: which strategy for which difficulty and budget. `tts calibrate` writes one."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from tts.errors import InputError

Measure = Literal["entropy", "score", "oracle"]
"""How a question is placed: by the entropy of its first samples' vote, by the verifier's mean score of them (turned
round, so that more is harder), or by its error rate over the pool, which only an analysis can know."""

BudgetOf = Literal["question", "set"]
"""What a budget of tokens holds for: every question, or the mean over a set of them."""


class Choice(BaseModel):
    """What to do with questions of one bin at one budget. `tokens` a problem, `accuracy` on the data it was chosen on,
    `held_out_*` by two-fold cross-validation.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    budget: float
    strategy: str
    options: dict[str, Any] = {}
    tokens: float = 0.0
    accuracy: float = 0.0
    held_out_accuracy: float = 0.0
    held_out_tokens: float = 0.0


class Bin(BaseModel):
    """Questions whose measure is at most `upper` (None: no limit), and above that of the bin before."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    upper: float | None
    problems: int = 0
    pass_at_1: float = 0.0
    choices: list[Choice]


class Policy(BaseModel):
    """`probe` samples place a question; `curves` and `diagnostics` are the evidence behind the choices."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    probe: int
    measure: Measure
    budget_of: BudgetOf = "question"
    verifier: str | None = None
    bins: list[Bin]
    curves: dict[str, list[dict[str, float]]] = {}
    diagnostics: dict[str, dict[str, float | None]] = {}
    runs: list[str] = []

    def place(self, value: float) -> int:
        """The number of the bin for a question of this difficulty."""
        for number, entry in enumerate(self.bins):
            if entry.upper is None or value <= entry.upper:
                return number
        return len(self.bins) - 1

    def choice(self, number: int, tokens: float) -> Choice:
        """The bin's choice at the largest budget within `tokens`, 0 for the largest there is."""
        choices = sorted(self.bins[number].choices, key=lambda c: c.budget)
        within = [c for c in choices if not tokens or c.budget <= tokens]
        return within[-1] if within else choices[0]


DEFAULT = Policy(
    probe=4,
    measure="entropy",
    bins=[
        Bin(upper=0.0, choices=[Choice(budget=4, strategy="self-consistency", options={"n": 4})]),
        Bin(upper=None, choices=[Choice(budget=16, strategy="self-consistency", options={"n": 16})]),
    ],
)
"""Without calibration: four samples that agree are enough, others get sixteen."""


def entropy(classes: Sequence[int]) -> float:
    """Entropy of a vote in nats; each candidate without an answer (-1) is an answer of its own."""
    counts = [*Counter(c for c in classes if c >= 0).values(), *([1] * sum(c < 0 for c in classes))]
    total = sum(counts)
    return -math.fsum(n / total * math.log(n / total) for n in counts) + 0.0 if total else 0.0


def doubt(scores: Sequence[float | None]) -> float:
    """One less the verifier's mean score; an unscored candidate counts as 0."""
    return 1.0 - fmean(s or 0.0 for s in scores) if scores else 1.0


def load(path: str) -> Policy:
    """A policy from its file.

    Raises:
        InputError: no such file, or not a policy.
    """
    try:
        return Policy.model_validate_json(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"cannot read policy {path}: {error.strerror}", "tts calibrate RUN… -o FILE") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(
            f"{path} is not a policy: {'.'.join(map(str, first['loc']))}: {first['msg']}",
            "`tts calibrate RUN… --output FILE` makes one",
        ) from error
