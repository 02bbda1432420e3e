"""InftyThink training data: long chains of thought as rounds that hand on a summary (arXiv:2503.06692, 2602.06960)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tts import catalog
from tts.errors import DataError, InputError, RequestError
from tts.rows import FILE_SUFFIXES, read_rows
from tts.session import Session, Setup
from tts.synth.output import KEPT, Output
from tts.synth.segments import parse, rows, segments
from tts.types import Message, Problem
from tts.waiting import workers

if TYPE_CHECKING:
    from tts.evaluate import Stop

DEFAULT_SOURCE = "open-r1/OpenR1-Math-220k"
QUESTION_FIELDS = ("question", "problem", "prompt", "instruction")
RESPONSE_FIELDS = ("response", "completion", "output", "generation", "solution")
ID_FIELDS = ("id", "uuid", "unique_id")


@dataclass(frozen=True)
class Recipe:
    """How rows are made. `window`: tokens of a segment at most; `summary`: of a summary. A summary that is cut, empty
    or has tags in it is drawn again, `resamples` times at most; then the case is dropped. `condition`: what a summary
    is written from: the question with `all` reasoning so far (the paper), or with the `last` summary and its segment,
    which is what a round sees (the follow-up).
    """

    window: int = 4096
    summary: int = 1024
    condition: Literal["last", "all"] = "last"
    resamples: int = 10
    tags: tuple[str, str, str] = ("history", "think", "summary")
    prompt: str = "cot"


@dataclass(frozen=True, slots=True)
class Case:
    """A question with a long response to it."""

    id: str
    question: str
    response: str


def from_hub(source: str, config: str | None, split: str, revision: str | None) -> Iterator[tuple[int, dict[str, Any]]]:
    """Numbered rows of a hub data set, streamed.

    Raises:
        InputError: it cannot be had.
    """
    import datasets

    try:
        data = datasets.load_dataset(source, config, split=split, revision=revision, streaming=True)
    except Exception as error:
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"cannot load {source} from the Hugging Face hub: {said}", "a local JSONL works too"
        ) from error
    return ((number, dict(row)) for number, row in enumerate(data, 1))


def read_cases(
    source: str,
    question: str | None = None,
    response: str | None = None,
    *,
    config: str | None = None,
    split: str = "train",
    revision: str | None = None,
) -> Iterator[Case]:
    """Cases of a local file (JSONL, CSV, Parquet) or a hub data set, one at a time. Columns: a chat in `messages`, or a
    question and a response, found by the usual names or given. An id that was there before gets the row's number.

    Raises:
        InputError: no such source, no such columns, or a malformed line.
    """
    path = Path(source).expanduser()
    if not path.exists() and (path.suffix in FILE_SUFFIXES or source.count("/") != 1):
        raise DataError(f"no such file: {source}", "a path from here, or a hub id")
    local, seen = path.exists(), set[str]()
    for number, row in read_rows(path) if local else from_hub(source, config, split, revision):
        where = f"{source}:{number}"
        name = next((str(row[f]) for f in ID_FIELDS if row.get(f) not in (None, "")), str(number))
        name = f"{name}#{number}" if name in seen else name
        seen.add(name)
        if isinstance(row.get("messages"), list) and question is None and response is None:
            said = {role: _content(row["messages"], role) for role in ("user", "assistant")}
            yield Case(name, said["user"], said["assistant"])
        else:
            asked = _column(row, question, QUESTION_FIELDS, where, "--question-field")
            yield Case(name, asked, _column(row, response, RESPONSE_FIELDS, where, "--response-field"))


def _content(messages: list[Any], role: str) -> str:
    """The first message of a role; empty where there is none, which drops the case."""
    found = (m.get("content") for m in messages if isinstance(m, Mapping) and m.get("role") == role)
    return str(next(found, None) or "")


def _column(row: Mapping[str, Any], given: str | None, usual: tuple[str, ...], where: str, option: str) -> str:
    name = given or next((f for f in usual if f in row), None)
    if name is None or name not in row:
        what = f"no column {given!r}" if given else f"none of the columns messages, {', '.join(usual)}"
        raise DataError(f"{where}: {what}; it has {', '.join(row)}", f"{option} names the column")
    return str(row[name] or "")


async def make(case: Case, recipe: Recipe, session: Session, setup: Setup, count: Callable[[str], int]) -> Any:
    """The rows of one case, or the reason why it has none.

    Raises:
        EngineDead: the engine is gone.
    """
    if not case.question.strip():
        return "no question"
    read = parse(case.response, recipe.tags[1] or "think")
    if read is None:
        return "no thinking and conclusion"
    reasoning, conclusion = read
    parts = segments(reasoning, recipe.window, count)
    if parts is None:
        return "a paragraph longer than the window"
    summaries: list[str] = []
    for index in range(len(parts) - 1):
        try:
            summary = await _summary(case.question, parts[: index + 1], summaries, recipe, session, setup)
        except RequestError:
            return "the summary's prompt does not fit the model"
        if summary is None:
            return "no good summary"
        summaries.append(summary)
    return rows(case.id, case.question, parts, summaries, conclusion, recipe.tags, recipe.prompt)


async def _summary(
    question: str, parts: list[str], summaries: list[str], recipe: Recipe, session: Session, setup: Setup
) -> str | None:
    """The summary of the last of `parts`; None when no try is good."""
    if recipe.condition == "all":
        written = "\n\n".join(parts)
    else:
        history = catalog.render("infty-history", summary=summaries[-1], tag=recipe.tags[0]) if summaries else ""
        written = f"{history}\n\n{parts[-1]}" if history else parts[-1]
    turns = [Message("user", question), Message("assistant", written), Message("user", catalog.render("infty-summary"))]
    prompt = setup.engine.render(turns)
    marks = tuple(f"<{slash}{tag}>" for tag in recipe.tags if tag for slash in ("", "/"))
    for _ in range(1 + recipe.resamples):
        made = await session.sample(prompt)
        if not made or made[0].finish == "abort":
            return None
        text = made[0].text.strip()
        if made[0].complete and text and not any(mark in text for mark in marks):
            return text
    return None


async def work_through(
    cases: Iterator[Case],
    recipe: Recipe,
    setup: Setup,
    output: Output,
    count: Callable[[str], int],
    *,
    concurrency: int,
    stop: Stop,
) -> None:
    """Make rows of every case that has none yet, `concurrency` cases at once; each is on disk when it ends.

    Raises:
        RunStopped: the engine or the disk failed; what was written stays.
    """

    async def work() -> None:
        for case in cases:
            if stop.draining:
                return
            if case.id in output.done:
                continue
            session = Session(Problem(case.id, case.question), setup)
            stop.sessions.add(session)
            try:
                made = await make(case, recipe, session, setup, count)
            finally:
                stop.sessions.discard(session)
                session.close()
            if stop.stopped:
                return
            if isinstance(made, str):
                output.add(case.id, made)
            else:
                output.add(case.id, KEPT, made)

    await workers(concurrency, work)
