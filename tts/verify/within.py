"""A checker for targets that come with a tolerance."""

from __future__ import annotations

from dataclasses import dataclass

from tts.types import Grade
from tts.verify.evaluate import evaluate
from tts.verify.forms import items
from tts.verify.numeric import Point, Undefined, is_real
from tts.verify.relations import unlabelled
from tts.verify.symbolic import check, read
from tts.verify.terms import NeedsSymbolic, TooLarge


@dataclass(frozen=True, slots=True)
class Within:
    """The symbolic checker, and beyond it numbers that are off by no more than `tolerances`: absolute, one for all
    answers or one for each, as OlympiadBench has them (He et al. 2024, arXiv:2402.14008, section 3.3).
    """

    tolerances: tuple[float, ...]

    def __call__(self, answer: str, target: str) -> Grade:
        grade = check(answer, target)
        if grade.correct is not False or grade.status != "ok":
            return grade
        given, wanted = _values(answer), _values(target)
        if not given or not wanted or len(given) != len(wanted):
            return grade
        allowed = self.tolerances if len(self.tolerances) == len(wanted) else self.tolerances[:1] * len(wanted)
        pairs = zip(sorted(given), sorted(zip(wanted, allowed, strict=True)), strict=True)
        # A hundredth more, so that the edge itself is inside however it is rounded.
        if all(abs(value - right) <= 1.01 * slack for value, (right, slack) in pairs):
            return Grade(True, "ok", answer, target, "tolerance")
        return grade


def _values(text: str) -> list[float] | None:
    """The real numbers that a text lists, or None if it lists anything else."""
    try:
        term = read(text)
        if term is None or term.symbols():
            return None
        values = [evaluate(unlabelled(item), Point(0)) for item in items(unlabelled(term))]
    except (NeedsSymbolic, TooLarge, Undefined, ArithmeticError, ValueError, RecursionError):
        return None
    return [float(v.real) for v in values] if all(map(is_real, values)) else None
