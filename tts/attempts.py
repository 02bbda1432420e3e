"""Whole responses that lead to each other: drafts, critiques, revisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tts.session import Session
from tts.tree import Path
from tts.types import Candidate, Completion, Problem, Prompt, Sampling

DRAFT = "draft"


class Attempts:
    """What was written for one problem, in order. Only drafts are read as answers."""

    def __init__(self, session: Session, problem: Problem) -> None:
        self.paths: list[Path] = []
        self.session = session
        self.question = session.ask(problem)
        self._problem = problem

    async def write(
        self, prompt: Prompt, parent: Path | None = None, kind: str = DRAFT, sampling: Sampling | None = None
    ) -> Path | None:
        """One response to `prompt`, made in view of `parent`; None where the budget has ended.

        Raises:
            RequestError, EngineDead: as `Session.sample`.
        """
        made = await self.session.sample(prompt, 1, sampling)
        return self.add(prompt, made[0], parent, kind) if made else None

    def add(self, prompt: Prompt, response: Completion, parent: Path | None = None, kind: str = DRAFT) -> Path:
        """Note a response."""
        path = Path(
            parent, prompt, kind, response, 1, response.text, response.generated_tokens,
            response.finish, response.complete,
        )  # fmt: skip
        self.paths.append(path)
        return path

    async def rate(self, path: Path) -> None:
        """Ask the verifier about a draft, as an answer to the question itself."""
        assert path.response is not None
        path.scores = await self.session.rate(self.question, path.response)
        path.score = path.scores.value

    def ask(self, template: str, attempts: Sequence[Path], **more: object) -> Prompt:
        """The question again, with earlier attempts; the oldest are left out as far as the response needs the room.
        The plain question where none fits.
        """
        session, problem = self.session, self._problem
        for begin in range(len(attempts)):
            shown = [p.response.text.strip() for p in attempts[begin:] if p.response]
            prompt = session.render(template, "", attempts=shown, **problem.variables, **more)
            if session.room(prompt) >= min(session.sampling.max_tokens or 1, session.room(self.question) // 2):
                return prompt
        return self.question

    def candidates(self) -> list[Candidate]:
        """The drafts, read as answers."""
        found = []
        for path in self.paths:
            if path.kind == DRAFT and path.response is not None:
                (candidate,) = self.session.read([path.response])
                found.append(self.session.with_scores(candidate, replace(path.scores, value=path.score)))
        return found
