"""Runs in, sections out: what `tts report` was asked to show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tts.amortise import LATENCY_FACTOR
from tts.report import rounds, sleep, tables
from tts.report.confidence import confidence
from tts.report.curves import Result, by_benchmark, curves, read_result
from tts.report.difficulty import bins, default_how
from tts.report.length import length
from tts.report.questions import Question, read_questions, samples
from tts.report.sections import Section


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to show. With nothing named: accuracy against compute, and what rounds and notes cost where runs have them.

    `t` and `prefill` are those of `tts.amortise`.
    """

    difficulty: bool = False
    length: bool = False
    confidence: bool = False
    bins: str | None = None
    t: float = LATENCY_FACTOR
    prefill: float = 0.0

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
        return compute(results, wanted)
    found: list[Section] = []
    plain: dict[str, Any] = {}
    for result in results:
        parts, values = analyse(result, read_questions(result.path), wanted)
        found += parts
        plain[str(result.path)] = values
    return found, plain


def compute(results: Sequence[Result], wanted: Wanted) -> tuple[list[Section], dict[str, Any]]:
    """Accuracy against compute; the rounds of runs that have any; what answering from notes costs."""
    found: list[Section] = []
    plain: dict[str, Any] = {}
    for benchmark, runs in by_benchmark(results).items():
        drawn = curves(runs)
        found.append(tables.compute(benchmark, runs, drawn))
        plain[benchmark] = [asdict(curve) for curve in drawn]
    for title, paths in sleep.grouped(results).items():
        spent = sleep.read_sleep(paths, wanted.t, wanted.prefill)
        found.append(sleep.section(f"{title}: sleep-time, with notes and without", spent))
        plain.setdefault("sleep", {})[title] = sleep.as_json(spent)
    for result in results:
        if taken := rounds.read_rounds(result):
            found.append(rounds.section(str(result.path), taken))
            plain.setdefault("rounds", {})[str(result.path)] = rounds.as_json(taken)
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
