"""Runs in, sections out: what `tts report` was asked to show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tts.report import tables
from tts.report.confidence import confidence
from tts.report.curves import Result, by_benchmark, curves, read_result
from tts.report.difficulty import bins, default_how
from tts.report.length import length
from tts.report.questions import Question, read_questions, samples
from tts.report.sections import Section


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to show. With nothing named: accuracy against compute."""

    difficulty: bool = False
    length: bool = False
    confidence: bool = False
    bins: str | None = None

    @property
    def compute(self) -> bool:
        return not (self.difficulty or self.length or self.confidence)


def build(paths: Sequence[Path], wanted: Wanted) -> tuple[list[Section], dict[str, Any]]:
    """The sections, and the same as plain values for `--json`.

    Raises:
        RunDirectoryError: a run that is missing or damaged.
        InputError: nothing scored, too few samples, unknown bins.
    """
    results = [read_result(path) for path in paths]
    if wanted.compute:
        return _compute(results)
    found: list[Section] = []
    plain: dict[str, Any] = {}
    for result in results:
        parts, values = analyse(result, read_questions(result.path), wanted)
        found += parts
        plain[str(result.path)] = values
    return found, plain


def _compute(results: Sequence[Result]) -> tuple[list[Section], dict[str, Any]]:
    found, plain = [], {}
    for benchmark, runs in by_benchmark(results).items():
        drawn = curves(runs)
        found.append(tables.compute(benchmark, runs, drawn))
        plain[benchmark] = [asdict(curve) for curve in drawn]
    return found, plain


def analyse(result: Result, questions: Sequence[Question], wanted: Wanted) -> tuple[list[Section], dict[str, Any]]:
    """One run's difficulty, length and confidence, as wanted."""
    name, found, plain = str(result.path), [], {}
    if wanted.difficulty:
        how = wanted.bins or default_how(questions)
        by_bin = bins(questions, how)
        found.append(tables.difficulty(name, how, by_bin))
        plain["difficulty"] = {"how": how, "bins": [asdict(b) for b in by_bin]}
    if wanted.length:
        lengths = length(questions, wanted.bins)
        found.append(tables.length(name, lengths))
        plain["length"] = asdict(lengths)
    if wanted.confidence:
        sure = confidence(questions)
        found.append(tables.confidence(name, sure))
        plain["confidence"] = asdict(sure)
    return found, plain


def everything(result: Result, questions: Sequence[Question], how: str | None) -> list[Section]:
    """Every analysis that a run's data allow: for a page that shows all there is."""
    several, levels = samples(questions) > 1, default_how(questions) == "levels"
    wanted = Wanted(several or levels, any(q.tokens for q in questions), several, how)
    return analyse(result, questions, wanted)[0]
