"""One round of InftyThink: what it sees, how it is closed, and what it hands on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tts import catalog, nano
from tts.errors import RequestError
from tts.session import Session
from tts.strategies.infty_record import End, Round
from tts.types import Completion, Problem, Prompt


@dataclass(frozen=True, slots=True)
class Shape:
    """The shape of a round: tokens that it and its summary may have, the names of the tags, how many summaries the
    verifier chooses from. `steps` is what nano is told of its window.
    """

    window: int
    summary: int
    tags: tuple[str, str, str]
    trained: bool
    summaries: int
    steps: int


class Rounds:
    """Writes the rounds of one chain. All of them see the same question; each sees one summary."""

    def __init__(self, shape: Shape, problem: Problem, session: Session, priority: int = 0) -> None:
        self.shape, self.problem, self.session, self.priority = shape, problem, session, priority
        history, self._think, summary = shape.tags
        self._history, self._open, self._close = history, f"<{summary}>", f"</{summary}>"
        self._starts_thinking = bool(self._think) and self.prompt("").text.rstrip().endswith(f"<{self._think}>")
        lead = max(len(session.encode(self._lead(thinking))) for thinking in (False, bool(self._think)))
        self._frame = lead + len(self.prompt("x").token_ids) - len(self.prompt("").token_ids)

    def prompt(self, history: str) -> Prompt:
        """The question, and the last summary where the assistant's turn begins."""
        session, problem = self.session, self.problem
        prefill = catalog.render("infty-history", summary=history, tag=self._history) if history else ""
        if not self.shape.trained:
            asked = session.ask(problem).messages[0].content
            prefill += "\n\n" if prefill else ""
            return session.render("infty-prompted", prefill, prompt=asked, tag=self._history)
        if session.model == nano.NAME:
            words = {"question": problem.question, "context": problem.context, "steps": self.shape.steps}
            return session.render("infty-round", prefill, **words)
        return session.ask(problem, prefill)

    async def write(self, number: int, history: str, *, insist: bool) -> Round | None:
        """A round; None when the budget admits none. One that is off the format is `malformed`, and to be written
        again, unless we `insist`: then its summary is forced.

        Raises:
            RequestError: the window has no room for reasoning beside the summary.
        """
        prompt = self.prompt(history)
        limit = self._room(prompt)
        stop = self._open if self.shape.summaries > 1 else self._close
        made = await self._sample(prompt, limit, stop)
        if not made:
            return None
        piece = made[0]
        draft = _Draft(number, prompt, piece, *self._split(piece))
        if piece.finish == "abort" or (piece.finish == "length" and piece.generated_tokens < limit):
            return self._round(draft, "truncated", [piece])
        if piece.complete and draft.begun is None and not self._thinks(piece.text):
            return self._round(draft, "conclusion", [piece])
        if piece.stop == self._close and draft.begun is not None:
            summary = draft.begun.partition(self._close)[0].strip()
            if summary and (insist or len(self.session.encode(summary)) <= self.shape.summary):
                return self._sum(draft, [piece], summary, malformed=0)
        elif piece.finish == "length" or piece.stop == self._open:
            return await self._sum_up(draft, malformed=0)
        if not insist:
            return self._round(draft, "malformed", [piece], malformed=1)
        return await self._sum_up(draft, malformed=1)

    async def _sum_up(self, draft: _Draft, malformed: int) -> Round:
        """Go on with the round's own tokens: open the summary where the model has not, and let it be written."""
        session, shape, piece = self.session, self.shape, draft.piece
        # An end of text has no place in the middle, nor has what stands before a closing tag that was never opened, nor
        # a step that the window has cut: it would be summed up as if it were done.
        whole_steps = draft.body.rpartition("\n\n")[0] if piece.finish == "length" and draft.begun is None else ""
        start: Completion | str = piece if piece.finish == "length" or piece.stop == self._open else draft.body
        if whole_steps.strip():
            start = whole_steps
        opened = draft.begun is not None and not isinstance(start, str)
        begun = draft.begun or "" if opened else ""
        lead = "" if opened else self._lead(self._thinks(draft.body))
        base = session.extend(draft.prompt, start)
        if lead:
            base = session.extend(base, lead)
        left = min(shape.summary - len(session.encode(begun)), session.room(base))
        pieces, last = [piece], [""]
        for _ in range(2 if left > 0 else 0):
            made = await self._sample(base, left, self._close, shape.summaries)
            pieces += made
            cut = [c for c in made if c.finish == "abort" or (c.finish == "length" and c.generated_tokens < left)]
            if len(cut) == len(made):
                return self._round(draft, "truncated", pieces, malformed=malformed)
            good = [c for c in made if c.finish == "stop" and self._inside(begun, c)]
            if good:
                best = await self._best(draft, good) if len(good) > 1 else good[0]
                return self._sum(draft, pieces, self._inside(begun, best), malformed, [start, lead, best])
            malformed += 1
            last = [self._inside(begun, c) for c in made]
        forced = max(last, key=len) or begun.strip() or self._tail(draft.body)
        return self._sum(
            draft, pieces, forced, malformed, [start, lead, *pieces[-1:]] if pieces[1:] else None, "forced"
        )

    def _sum(
        self,
        draft: _Draft,
        pieces: Sequence[Completion],
        summary: str,
        malformed: int,
        parts: Sequence[Completion | str] | None = None,
        finish: End = "summary",
    ) -> Round:
        """A round that ends with a summary. A trained model that had to be told to sum up was forced."""
        tokens = len(self.session.encode(summary))
        if tokens > self.shape.summary:
            summary = self.session.decode(self.session.encode(summary)[: self.shape.summary]).strip()
            tokens, finish = self.shape.summary, "forced"
        if malformed and draft.piece.complete:
            finish = "forced"
        if self.shape.trained and parts is not None and parts[1]:
            finish = "forced"
        return self._round(draft, finish, pieces, parts, summary, tokens, malformed)

    def _round(
        self,
        draft: _Draft,
        finish: End,
        pieces: Sequence[Completion],
        parts: Sequence[Completion | str] | None = None,
        summary: str = "",
        summary_tokens: int = 0,
        malformed: int = 0,
    ) -> Round:
        session = self.session
        whole = session.join([p for p in parts or pieces[:1] if p])
        ended = replace(whole, finish="stop" if finish == "conclusion" else "length")
        reasoning = len(session.encode(draft.body)) if draft.begun is not None else draft.piece.generated_tokens
        return Round(
            draft.number,
            finish,
            tuple(pieces),
            whole.text,
            len(draft.prompt.token_ids),
            len(draft.prompt.token_ids) + len(whole.token_ids),
            reasoning,
            summary,
            summary_tokens,
            None if finish in ("truncated", "malformed") else session.read([ended])[0].answer,
            malformed,
        )

    async def score(self, history: str, done: Round) -> float | None:
        """The verifier's view of a piece of work after its history, as an answer to the run's own prompt; None where
        it has none.
        """
        text = f"{history}\n\n{done.text}" if history else done.text
        work = replace(self.session.join(done.pieces), text=text, finish="stop", stop=None)
        try:
            return (await self.session.score(self.session.ask(self.problem), [work]))[0].value
        except RequestError:
            return None

    async def _best(self, draft: _Draft, summaries: Sequence[Completion]) -> Completion:
        """The summary that the verifier likes best behind the reasoning it sums up; the first where it likes none."""
        works = [Completion(f"{draft.body.strip()}\n\n{self._inside('', s)}", "stop") for s in summaries]
        try:
            scores = await self.session.score(self.session.ask(self.problem), works)
        except RequestError:
            return summaries[0]
        return max(
            zip(summaries, scores, strict=True), key=lambda pair: -1.0 if pair[1].value is None else pair[1].value
        )[0]

    async def _sample(self, prompt: Prompt, limit: int, stop: str, n: int = 1) -> list[Completion]:
        sampling = replace(self.session.sampling, max_tokens=limit, stop=(stop,))
        return await self.session.sample(prompt, n, sampling, priority=self.priority)

    def _room(self, prompt: Prompt) -> int:
        """Tokens of reasoning that a round may have: its window without what the summary may need, and without the tags
        and words around this summary and the last, so that no context is more than question, summary and window.
        """
        window = min(self.shape.window, self.session.room(prompt))
        room = window - self.shape.summary - self._frame
        if room < 1:
            raise RequestError(
                f"a window of {window} tokens has no room for reasoning beside a summary of {self.shape.summary}",
                "a larger -o window, a smaller -o summary",
            )
        return room

    def _lead(self, thinking: bool) -> str:
        """What closes a round that has reached its window: the end of the thinking, and the summary's opening."""
        ending = f"\n</{self._think}>" if thinking else ""
        if self.shape.trained:
            return f"{ending or chr(10) * 2}{self._open}"
        return f"{ending}\n\n{catalog.render('infty-sum-up')}\n{self._open}"

    def _thinks(self, text: str) -> bool:
        """Whether the text ends in the middle of thinking."""
        if not self._think:
            return False
        begins, ends = text.rfind(f"<{self._think}>"), text.rfind(f"</{self._think}>")
        return begins > ends or (begins == ends == -1 and self._starts_thinking)

    def _split(self, piece: Completion) -> tuple[str, str | None]:
        """The text before the summary's opening tag and behind it; None if there is no tag. The tag may be a special
        token, which the text does not show.
        """
        tag = self.session.encode(self._open)
        if len(tag) == 1 and tag[0] in piece.token_ids:
            at = piece.token_ids.index(tag[0])
            return self.session.decode(piece.token_ids[:at]), self.session.decode(piece.token_ids[at + 1 :])
        body, found, behind = piece.text.partition(self._open)
        return body, behind if found else None

    def _inside(self, begun: str, piece: Completion) -> str:
        """The whole summary of which `begun` stood there before, without its closing tag."""
        return (begun + piece.text).partition(self._close)[0].strip()

    def _tail(self, body: str) -> str:
        """The end of the reasoning, for want of a summary."""
        return self.session.decode(self.session.encode(body)[-self.shape.summary :]).strip()


@dataclass(frozen=True, slots=True)
class _Draft:
    """A round as its first call left it: what stands before a summary, and how much of one is there."""

    number: int
    prompt: Prompt
    piece: Completion
    body: str
    begun: str | None
