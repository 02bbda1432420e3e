"""What n samples and a verifier make of a set of problems: the rows that training and tests/perf print.

Plain counting on answer strings; `tts.metrics` has the estimators that `tts eval` uses.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean


@dataclass(frozen=True, slots=True)
class Sampled:
    """One problem's samples: answers (None: there was none), the verifier's score of each, and the target."""

    target: str
    answers: Sequence[str | None]
    scores: Sequence[float]

    def outcome(self) -> dict[str, float]:
        """pass@1, maj@n, best@n and weighted@n by the verifier, and pass@n: 1 right, 0 wrong."""
        right = [answer == self.target for answer in self.answers]
        best = max(range(len(right)), key=lambda i: (self.answers[i] is not None, self.scores[i]))
        return {
            "pass@1": fmean(right),
            "maj": float(chosen(self.answers, [1.0] * len(right)) == self.target),
            "best": float(right[best]),
            "weighted": float(chosen(self.answers, self.scores) == self.target),
            "pass@n": float(any(right)),
        }


def chosen(answers: Sequence[str | None], weights: Sequence[float]) -> str | None:
    """The answer with the largest total weight; the earliest of equals."""
    total: dict[str, float] = defaultdict(float)
    for answer, weight in zip(answers, weights, strict=True):
        if answer is not None:
            total[answer] += weight
    return max(total, key=lambda answer: total[answer]) if total else None


def measure(problems: Sequence[Sampled]) -> dict[str, float]:
    """The outcomes' means in percent."""
    outcomes = [problem.outcome() for problem in problems]
    return {name: 100 * fmean(outcome[name] for outcome in outcomes) for name in outcomes[0]}


def line(name: str, problems: Sequence[Sampled]) -> str:
    """A row of the table."""
    cells = "  ".join(f"{key} {value:5.1f}" for key, value in measure(problems).items())
    return f"{name:14} {len(problems):5} problems  {cells}"
