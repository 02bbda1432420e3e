"""InftyThink: reasoning in rounds that hand on a summary, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

from tts import nano
from tts.errors import InputError
from tts.selection import Aggregation, aggregate
from tts.session import Session
from tts.strategies.best_of_n import BestOfN, Selector
from tts.strategies.infty_record import Chain, Round, details
from tts.strategies.infty_round import Rounds, Shape
from tts.types import Candidate, Finish, Problem, Sampling, Solution, StepScores
from tts.waiting import together


@dataclass(frozen=True)
class InftyThink:
    """Reason in rounds of a fixed window: each sees the question and the last summary only. Yan et al. 2025,
    arXiv:2503.06692; external and chosen summaries after InftyThink+, Yan et al. 2026, arXiv:2602.06960.

    A round ends with a summary, and the next one begins, or with a conclusion. A model that was fine-tuned to the
    format (`trained`) writes the summary itself; any other (`prompted`) is stopped at its window and asked for one.
    With n chains the answer is chosen as in best-of-n, by the majority where there is no verifier. With `--verifier`
    every round is scored behind its history, and a chain's score is what its rounds' come to.
    """

    takes_verifier: ClassVar[bool] = True
    piecewise: ClassVar[bool] = True
    templates: ClassVar[tuple[str, ...]] = ("infty-round", "infty-history", "infty-prompted", "infty-sum-up")

    n: int = field(default=1, metadata={"help": "chains", "min": 1})
    window: int = field(default=4096, metadata={"help": "tokens of a round, its summary included", "min": 2})
    summary: int = field(default=1024, metadata={"help": "tokens of a summary at most", "min": 1})
    rounds: int = field(default=10, metadata={"help": "rounds of a chain at most", "min": 1})
    mode: Literal["auto", "trained", "prompted"] = field(
        default="auto", metadata={"help": "whether the model knows the format; auto: nano does"}
    )
    tags: str = field(default="history,think,summary", metadata={"help": "names of the format's three tags"})
    select: Selector = field(default="auto", metadata={"help": "what chooses among the chains' answers"})
    top: int = field(default=20, metadata={"help": "log-probabilities a position for self-certainty", "min": 1})
    aggregate: Aggregation = field(default="min", metadata={"help": "what the scores of a chain's rounds come to"})
    summaries: int = field(default=1, metadata={"help": "summaries a round, of which the verifier keeps one", "min": 1})
    drop: float = field(default=0.0, metadata={"help": "a chain is dropped after a round scored below this", "min": 0})
    steps: int = field(default=4, metadata={"help": "steps a round that nano is asked for", "min": 1})

    def __post_init__(self) -> None:
        if self.summary >= self.window:
            raise InputError(
                f"-o summary={self.summary} leaves no room in -o window={self.window}", "a smaller -o summary"
            )
        names = self.tags.split(",")
        if len(names) != 3 or not (names[0].strip() and names[2].strip()):
            raise InputError(
                f"-o tags={self.tags}: three names are expected", "history,think,summary; think may be empty"
            )

    def check(self, verifier: str | None) -> None:
        """Raises InputError where an option needs a verifier and there is none."""
        self._selection(verifier).check(verifier)
        if verifier is None and (self.summaries > 1 or self.drop > 0):
            raise InputError("-o summaries and drop go by a verifier's scores", "--verifier NAME")

    def sampling(self, asked: Sampling, verifier: str | None) -> Sampling:
        """The run's sampling with what the selector needs to know of each token."""
        return self._selection(verifier).sampling(asked, verifier)

    async def solve(self, problem: Problem, session: Session) -> Solution:
        trained = self.mode == "trained" or (self.mode == "auto" and session.model == nano.NAME)
        history, think, summary = (name.strip() for name in self.tags.split(","))
        tags = (history, think, summary)
        shape = Shape(self.window, self.summary, tags, trained, self.summaries, self.steps)
        chains = [Chain(i) for i in range(self.n)]
        parts = session.branches(self.n) if self.n > 1 else [session]
        writers = [Rounds(shape, problem, part, index) for index, part in enumerate(parts)]
        await together(map(self._go, chains, writers))
        candidates = [self._candidate(c, session) for c in chains if c.rounds]
        winner, candidates = await self._selection(session.verifier).choose(candidates, session)
        found = details("trained" if trained else "prompted", chains, session.kv_bytes_per_token)
        return Solution(winner.answer if winner else None, candidates, found)

    def _selection(self, verifier: str | None) -> BestOfN:
        """Best-of-n over the chains; without a verifier `auto` is the majority."""
        auto: Selector = "weighted" if verifier else "majority"
        return BestOfN(self.n, auto if self.select == "auto" else self.select, self.top)

    async def _go(self, chain: Chain, writer: Rounds) -> None:
        """Round after round, at this chain's own pace."""
        history = ""
        for number in range(1, self.rounds + 1):
            done = await self._round(chain, number, history, writer)
            if done is None or done.finish in ("conclusion", "truncated") or chain.dropped:
                return
            history = done.summary

    async def _round(self, chain: Chain, number: int, history: str, writer: Rounds) -> Round | None:
        """A round that counts; one off the format is written once more, then forced."""
        done = await self._written(chain, number, history, writer, insist=False)
        if done is not None and done.finish == "malformed":
            done = await self._written(chain, number, history, writer, insist=True)
        if done is not None and done.score is not None and done.score < self.drop:
            chain.dropped = done.finish != "conclusion"
        return done

    async def _written(self, chain: Chain, number: int, history: str, writer: Rounds, *, insist: bool) -> Round | None:
        done = await writer.write(number, history, insist=insist)
        if done is None:
            return None
        if done.finish not in ("malformed", "truncated") and writer.session.verifier:
            done = replace(done, score=await writer.score(history, done))
        chain.rounds.append(done)
        return done

    def _candidate(self, chain: Chain, session: Session) -> Candidate:
        """The chain as a candidate: its last round's text, all its tokens. Only a conclusion counts as finished."""
        last = chain.rounds[-1]
        finish: Finish = "stop" if chain.concluded else "abort" if last.pieces[-1].finish == "abort" else "length"
        whole = session.join(chain.pieces)
        completion = replace(whole, text=last.text, token_ids=last.pieces[-1].token_ids, finish=finish, stop=None)
        candidate = Candidate(completion, chain.answer)
        scores = tuple(r.score for r in chain.rounds if r.score is not None)
        if not scores:
            return candidate
        return session.with_scores(candidate, StepScores(scores, aggregate(scores, self.aggregate)))
