"""Sleep-time compute: think about a context before the question comes, then answer from the notes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from tts import catalog
from tts.errors import RequestError
from tts.notes import Notes, NotesStore, Recipe, context_hash
from tts.session import Session
from tts.strategies.single import Single
from tts.types import Completion, Problem, Prompt, Solution, Strategy

TEMPLATES = ("sleep-notes", "sleep-rethink")


@dataclass(frozen=True)
class TakeNotes:
    """Write notes about a context that has no question yet. Lin et al. 2025, arXiv:2504.13171, section 2.

    `notes` independent ones are joined; each of `rethinks` passes sees the context and replaces the notes it read.
    """

    notes: int = field(default=1, metadata={"help": "independent notes, joined", "min": 1})
    rethinks: int = field(default=0, metadata={"help": "passes that write the notes anew", "min": 0})
    examples: tuple[str, ...] = field(default=(), metadata={"help": "questions of the kind that will come"})
    store: str = field(default="", metadata={"help": "a notes store to look in, and to keep new notes in"})

    async def solve(self, problem: Problem, session: Session) -> Solution:
        context = problem.context or ""
        return Solution(None, (), {"sleep": _record(context, await self.about(context, session))})

    async def about(self, context: str, session: Session) -> Notes:
        """The notes about a context: from the store, or made now by a session that knows no question."""
        if not self.store:
            return await session.asleep(context, self.think)
        recipe = self.recipe(session)
        with NotesStore(Path(self.store).expanduser()) as store:
            notes = await session.asleep(context, self.think, store.get(recipe.key(context)))
            if store.get(recipe.key(context)) is None:
                store.put(recipe, context, notes)
            return notes

    async def think(self, context: str, session: Session) -> Notes:
        """Notes about `context`. The session's problem has no question: there is none to see.

        Raises:
            RequestError: the budget or the run ended before the notes were whole.
        """
        asked = session.render("sleep-notes", context=context, examples=self.examples)
        written = await self._written(asked, self.notes, session)
        for _ in range(self.rethinks):
            prompts = [
                session.render("sleep-rethink", context=context, examples=self.examples, notes=c.text.strip())
                for c in written
            ]
            written = [c for p in prompts for c in await self._written(p, 1, session)]
        usage = session.usage
        text = "\n\n".join(dict.fromkeys(c.text.strip() for c in written))
        cut = sum(c.finish == "length" for c in written)
        return Notes(text, usage.calls, usage.prompt_tokens, usage.generated_tokens, cut, session.elapsed)

    async def _written(self, prompt: Prompt, n: int, session: Session) -> Sequence[Completion]:
        completions = await session.sample(prompt, n)
        if len(completions) < n or any(c.finish == "abort" for c in completions):
            raise RequestError("the notes about its context were not finished")
        return completions

    def recipe(self, session: Session) -> Recipe:
        """What these notes depend on."""
        used = [catalog.find("prompts", name).sha256 for name in TEMPLATES]
        prompts = json.dumps([*used, *self.examples])
        kept = ("temperature", "top_p", "top_k", "min_p")
        sampling = json.dumps([getattr(session.sampling, name) for name in kept])
        return Recipe(session.model, prompts, sampling, self.notes, self.rethinks, session.seed)


@dataclass(frozen=True)
class SleepTime:
    """Answer from notes that were made of the context before any question. Lin et al. 2025, arXiv:2504.13171.

    Notes that no store has are made on the way, once a context, however many questions wait for them; what they cost is
    the record's sleep phase. Context and notes come first in the prompt, so that all questions and samples on a context
    share their prefix. With `-o notes=0` there are none: the baseline under the same prompts.
    """

    wraps: ClassVar[str] = "inner"
    templates: ClassVar[tuple[str, ...]] = (*TEMPLATES, "sleep-answer")

    inner: Strategy = field(default=Single(), metadata={"help": "the strategy that answers; its options go along"})
    notes: int = field(default=1, metadata={"help": "independent notes a context, joined; 0 is the baseline", "min": 0})
    rethinks: int = field(default=0, metadata={"help": "passes that write the notes anew", "min": 0})
    verbosity: Literal[0, 1, 2, 3, 4] = field(
        default=1, metadata={"help": "0 the bare answer … 4 reasoning that checks the notes"}
    )
    context: bool = field(default=True, metadata={"help": "whether the context itself is in the prompt too"})
    ablate: Literal["nothing", "question", "context"] = field(
        default="nothing", metadata={"help": "leave the question out, or the context and with it the notes"}
    )
    store: str = field(default="", metadata={"help": "a notes store to look in, and to keep new notes in"})

    @property
    def inside(self) -> tuple[Strategy, ...]:
        """The strategy that does the work: what it declares is passed on."""
        return (self.inner,)

    async def solve(self, problem: Problem, session: Session) -> Solution:
        context = "" if self.ablate == "context" else (problem.context or "")
        taker = TakeNotes(self.notes, self.rethinks, store=self.store)
        notes = await taker.about(context, session) if context and self.notes else Notes("")
        shown = replace(
            problem,
            context=context if self.context else None,
            question="" if self.ablate == "question" else problem.question,
        )
        session.use("sleep-answer", notes=notes.text, verbosity=self.verbosity)
        solution = await self.inner.solve(shown, session)
        return replace(solution, details={**solution.details, "sleep": _record(context, notes)})


def _record(context: str, notes: Notes) -> dict[str, Any] | None:
    """What a record keeps of notes: which context they are about, the text, and what it cost whoever made it."""
    return {"context": context_hash(context), **asdict(notes)} if notes.text else None
