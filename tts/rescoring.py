"""A verifier's scores for the candidates of a run that is there already: no new generation by the policy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tts import catalog
from tts.errors import RequestError, RunDirectoryError
from tts.evaluate import Stop, usage_columns
from tts.export import rows, write_table
from tts.journal import Journal
from tts.results import summary
from tts.session import Session, Setup
from tts.store import pretty, read_manifest, read_records, replace_file, rewriting
from tts.types import (
    Budget,
    Candidate,
    Completion,
    Engine,
    Example,
    Message,
    Problem,
    Prompt,
    Sampling,
    Usage,
    Verifier,
)  # fmt: skip
from tts.verify.pool import CheckerPool
from tts.waiting import workers

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many records got scores, had them already, could not be scored, or were left when it was stopped."""

    scored: int
    known: int
    failed: int
    left: int
    first_error: str | None


async def score_run(
    run: Path,
    examples: Mapping[str, Example],
    engine: Engine,
    verifier: Verifier,
    *,
    prompt: str,
    seed: int,
    concurrency: int,
    stop: Stop,
    mark: str = "",
    own: bool = False,
    vary: Callable[[Example, int], Example] | None = None,
    told: Callable[[int], None] = lambda _: None,
) -> Outcome:
    """Score every candidate of a run under the verifier's name; records and results are written again.

    Scores are journalled as they come, under the same key as in an evaluation with this verifier: what was scored
    before, there or here, is not scored again. `engine` is asked by a verifier that generates, and by no other.
    `mark` says which weights and card the name stands for, so that the scores of two are never mixed: where some
    problems get new ones, those of another under this name go from the rest. `own`: the run was made with this very
    verifier. `vary` makes of an example what an attempt saw of it.

    Raises:
        RunDirectoryError: no such run, it is in use, or its problems are others than those given.
        RunStopped: an engine or the disk failed; what is scored is kept.
    """
    with rewriting(run) as replace_records, Journal(run / "journal.sqlite") as journal:
        records = list(read_records(run))
        if missing := sorted({r["problem_id"] for r in records} - examples.keys()):
            raise RunDirectoryError(
                f"{run} has a problem {missing[0]!r} that its benchmark has not", "has the file changed?"
            )
        manifest = read_manifest(run)
        mark = mark or str(verifier.key or verifier.name)
        marks = manifest.setdefault("scored", {})
        same = marks[verifier.name] == mark if verifier.name in marks else own
        todo = [r for r in records if r["solution"]["candidates"] and not (same and _has(r, verifier.name))]
        made = {(c.seed, c.text): c for c in journal.completions()}
        async with CheckerPool(workers=1) as checker:
            setup = Setup(engine, journal, checker, verifier, Sampling(), Budget(), seed, prompt)
            work = _Work(setup, examples, vary, made, stop, told)
            try:
                await work.all(todo, concurrency)
            finally:
                if work.scored:
                    marks[verifier.name] = mark
                for record in todo if work.scored and not same else ():
                    if id(record) not in work.done:
                        _forget(record, verifier.name)
                replace_records(records)
                replace_file(run / "manifest.json", pretty(manifest))
                replace_file(run / "results.json", pretty(summary(run)))
                write_table(rows(run, "results"), "results", "csv", run / "results.csv")
        left = len(todo) - work.scored - work.failed
        return Outcome(work.scored, len(records) - len(todo), work.failed, left, work.first_error)


class _Work:
    def __init__(
        self,
        setup: Setup,
        examples: Mapping[str, Example],
        vary: Callable[[Example, int], Example] | None,
        made: Mapping[tuple[int, str], Completion],
        stop: Stop,
        told: Callable[[int], None],
    ) -> None:
        self.failed = 0
        self.done: set[int] = set()
        self.first_error: str | None = None
        self._setup, self._examples, self._vary, self._made = setup, examples, vary, made
        self._stop, self._told = stop, told

    @property
    def scored(self) -> int:
        return len(self.done)

    async def all(self, records: Sequence[Record], concurrency: int) -> None:
        jobs = iter(records)

        async def work() -> None:
            for record in jobs:
                if self._stop.draining:
                    return
                await self._one(record)
                self._told(self.scored + self.failed)

        await workers(concurrency, work)

    async def _one(self, record: Record) -> None:
        """Put scores into a record; it stays as it was where that fails or is stopped."""
        example = self._examples[record["problem_id"]]
        problem = (self._vary(example, record["attempt"]) if self._vary else example).problem
        session = Session(problem, self._setup, record["attempt"])
        session.usage = Usage()  # what earlier lives lost is in the record already
        self._stop.sessions.add(session)
        stored = record["solution"]["candidates"]
        name = str(session.verifier)
        try:
            candidates = [Candidate(self._completion(c), c["answer"]) for c in stored]
            scored = await session.scored(self._prompt(problem), candidates)
        except RequestError as error:
            self.failed += 1
            self.first_error = self.first_error or error.message
            return
        finally:
            self._stop.sessions.discard(session)
            usage = session.close()
        if self._stop.stopped:
            return
        for into, candidate in zip(stored, scored, strict=True):
            into["scores"] = {**_without(into["scores"], name), **candidate.scores}
            into.pop("unscored", None)
            if candidate.unscored is not None:
                into["unscored"] = candidate.unscored
        usage.seconds = 0.0
        for spent in filter(None, (record, record.get("phases"))):  # what is scored belongs to the question
            where = "usage" if spent is record else "test"
            total = Usage(**spent[where])
            total.add(usage)
            spent[where] = usage_columns(total)
        self.done.add(id(record))

    def _prompt(self, problem: Problem) -> Prompt:
        """The run's prompt as messages: a verifier reads those, and tokenises for itself."""
        text = catalog.render(self._setup.prompt, **problem.variables)
        return Prompt(text, (), (Message("user", text),))

    def _completion(self, stored: Record) -> Completion:
        """The engine call that made a candidate; of one that was put together, what its record says."""
        mean, tokens = stored["logprob_mean"], stored["generated_tokens"]
        return self._made.get((stored["seed"], stored["text"])) or Completion(
            stored["text"],
            stored["finish"],
            generated_tokens=tokens,
            logprob_sum=None if mean is None else mean * tokens,
            seed=stored["seed"],
        )


def _has(record: Record, name: str) -> bool:
    return all(name in c["scores"] or "unscored" in c for c in record["solution"]["candidates"])


def _without(scores: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Scores less those of one verifier, the ones of its steps too."""
    return {k: v for k, v in scores.items() if k.partition(":")[0] != name}


def _forget(record: Record, name: str) -> None:
    for candidate in record["solution"]["candidates"]:
        candidate["scores"] = _without(candidate["scores"], name)
        candidate.pop("unscored", None)
