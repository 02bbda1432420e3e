"""Budget forcing: make the model think longer, or stop thinking."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from tts.attempts import Attempts
from tts.errors import InputError
from tts.session import Session
from tts.steps import THINK_END
from tts.tree import drawn
from tts.types import Completion, Problem, Prompt, Solution


@dataclass(frozen=True)
class BudgetForcing:
    """When the model would end its thinking, put "Wait" there instead, up to `waits` times; when it has thought for
    `thinking_tokens`, end the thinking and ask for the answer. Muennighoff et al. 2025, arXiv:2501.19393, section 3.

    Thinking ends at </think>; where a model has no such mark, at the end of its response.
    """

    waits: int = field(default=1, metadata={"help": "how often the end of thinking is put off", "min": 0})
    wait: str = field(default="Wait", metadata={"help": "what is put in its place"})
    thinking_tokens: int | None = field(
        default=None, metadata={"help": "most tokens of thinking (None: no limit)", "min": 1}
    )
    by_engine: bool = field(
        default=False,
        metadata={"help": "vLLM ends the thinking (-M reasoning_config=…); needs waits=0 and thinking_tokens"},
    )
    cue: str = field(
        default="\n\nFinal answer: \\boxed{", metadata={"help": "what asks for the answer when thinking was cut"}
    )

    def __post_init__(self) -> None:
        if self.by_engine and (self.waits or self.thinking_tokens is None):
            raise InputError("-o by_engine=true needs -o waits=0 and -o thinking_tokens=K", "or leave it out")

    async def solve(self, problem: Problem, session: Session) -> Solution:
        attempts = Attempts(session, problem)
        if self.by_engine:
            limited = replace(session.sampling, thinking_tokens=self.thinking_tokens)
            path = await attempts.write(attempts.question, None, "answer", limited)
            candidates = session.read([path.response] if path and path.response else [])
            return Solution(candidates[0].answer if candidates else None, candidates, {"tree": drawn(attempts.paths)})
        pieces, prompt, cut = await self._think(attempts)
        if cut:
            closing = THINK_END if _thinks(attempts.question, pieces) else ""
            pieces.append(closing + self.cue)
            prompt = session.extend(prompt, closing + self.cue)
        last = pieces[-1] if pieces else None
        if cut or (isinstance(last, Completion) and last.stop == THINK_END):
            answer = await self._write(attempts, prompt, pieces, (), "answer")
            pieces += [answer] if answer else []
        made = [p for p in pieces if isinstance(p, Completion)]
        if not made:
            return Solution(None)
        candidates = session.read([session.join(pieces)])
        return Solution(candidates[0].answer, candidates, {"tree": drawn(attempts.paths)})

    async def _think(self, attempts: Attempts) -> tuple[list[Completion | str], Prompt, bool]:
        """Pieces of thinking, the prompt that goes on after them, and whether they were cut at the limit."""
        session, prompt = attempts.session, attempts.question
        pieces: list[Completion | str] = []
        for turn in range(self.waits + 1):
            piece = await self._write(attempts, prompt, pieces, (THINK_END,), "thinking")
            if piece is None:
                return pieces, prompt, False
            spent = _generated(pieces) + piece.generated_tokens
            cut = piece.finish == "length" and self.thinking_tokens is not None and spent >= self.thinking_tokens
            if piece.finish == "stop" and turn < self.waits:
                piece = session.reopened(piece, piece.stop or "")
                pieces += [piece, self.wait]
                prompt = session.extend(session.extend(prompt, piece), self.wait)
                continue
            return [*pieces, piece], session.extend(prompt, piece), cut
        raise AssertionError("the last turn returns")

    async def _write(
        self, attempts: Attempts, prompt: Prompt, pieces: list[Completion | str], stop: tuple[str, ...], kind: str
    ) -> Completion | None:
        """The next piece, within what the response and the thinking may still have; None where that is nothing."""
        session, spent = attempts.session, _generated(pieces)
        limits = [session.sampling.max_tokens, self.thinking_tokens if kind == "thinking" else None]
        left = min((limit - spent for limit in limits if limit is not None), default=None)
        if session.room(prompt) < 1 or (left is not None and left < 1):
            return None
        before = attempts.paths[-1] if attempts.paths else None
        path = await attempts.write(prompt, before, kind, replace(session.sampling, max_tokens=left, stop=stop))
        return path.response if path else None


def _generated(pieces: list[Completion | str]) -> int:
    return sum(piece.generated_tokens for piece in pieces if isinstance(piece, Completion))


def _thinks(question: Prompt, pieces: list[Completion | str]) -> bool:
    """Whether thinking has been opened: by the prompt's end, or in the response."""
    written = "".join(piece if isinstance(piece, str) else piece.text for piece in pieces)
    return question.text.rstrip().endswith("<think>") or "<think>" in written
