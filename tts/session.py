"""One problem's metered view of an engine: it renders, seeds, journals, counts, and stops at the budget."""

from __future__ import annotations

import asyncio
import copy
import json
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import asdict, replace

from tts.account import Account, Ledger
from tts.calls import WAVE, Calls, Made, Running, cost, derive_seed
from tts.clock import Clock
from tts.errors import NotBegun, RequestError
from tts.notes import Notes, context_hash
from tts.scoring import Scoring
from tts.setup import Setup
from tts.texts import Texts
from tts.types import (
    Budget,
    Candidate,
    Comparer,
    Completion,
    Engine,
    Phase,
    Problem,
    Prompt,
    Sampling,
    StepScores,
    Usage,
)
from tts.waiting import together

__all__ = ["WAVE", "Running", "Session", "Setup", "derive_seed"]


class Session(Texts):
    """Everything a strategy may do for one problem. Strategies count nothing themselves.

    Seeds depend on the run's seed, the problem, the attempt, the prompt and how often this prompt was sampled
    before: a larger n keeps the samples of a smaller one, and order in time does not matter.
    """

    def __init__(self, problem: Problem, setup: Setup, attempt: int = 0) -> None:
        self.problem = problem
        self.name = f"{problem.id}#{attempt}" if attempt else problem.id
        super().__init__(setup)
        lost = setup.journal.lost(self.name)
        if lost.calls:  # by the mean call, as the journal keeps their sums
            sizes = (lost.prompt_tokens, lost.cached_tokens or 0, lost.generated_tokens)
            each = cost(setup.engine, *(size // lost.calls for size in sizes))
            lost.flops = None if each is None else each * lost.calls
        self._account = Account(setup.budget, Ledger(lost), setup.total)
        self._clock = Clock(setup.budget.seconds, self._time_is_up)
        self._calls = Calls(setup, self.name, self.name, self._clock, self._account)
        self._scoring = Scoring(setup, self.name, self._clock)
        self._sleeper: Session | None = None
        self._beside: list[tuple[Session, Session]] = []

    # -- scores ---------------------------------------------------------------------------------------------

    @property
    def verifier(self) -> str | None:
        """The name of the run's verifier, under which `scored` leaves its scores."""
        return self._setup.verifier.name if self._setup.verifier else None

    @property
    def scores_singly(self) -> bool:
        """Whether there is a verifier that scores a completion by itself, not beside others."""
        return self._setup.verifier is not None and not isinstance(self._setup.verifier, Comparer)

    async def score(self, prompt: Prompt, completions: Sequence[Completion]) -> list[StepScores]:
        """The verifier's view of each completion of `prompt`, finished or not. One that cannot be scored (the verifier
        refused it, or gave something that is no number, or time was up) has no value but an error.

        Raises:
            RequestError: there is no verifier, or none of the completions can be scored.
        """
        verifier = self._scoring.verifier
        if isinstance(verifier, Comparer):
            found = await verifier.compare(completions, self)
        else:
            found = await asyncio.gather(*(self.rate(prompt, c) for c in completions))
        self._demand_one(found)
        return found

    def _demand_one(self, found: Sequence[StepScores]) -> None:
        if found and not self.ended and all(s.value is None for s in found):
            raise RequestError(f"verifier {self.verifier!r}: {found[0].error}")

    async def scored(self, prompt: Prompt, candidates: Sequence[Candidate]) -> list[Candidate]:
        """The candidates with the verifier's score under its name, those of their steps under NAME:steps, and how many
        steps it could not take under NAME:unread."""
        found = await self.score(prompt, [c.completion for c in candidates])
        return [self.with_scores(c, s) for c, s in zip(candidates, found, strict=True)]

    def with_scores(self, candidate: Candidate, scores: StepScores) -> Candidate:
        """The candidate with a verifier's scores, or the reason why it got none."""
        if scores.value is None:
            return replace(candidate, unscored=scores.error)
        name = str(self.verifier)
        more: dict[str, float | Sequence[float]] = {name: scores.value}
        if scores.steps:
            more[f"{name}:steps"] = list(scores.steps)
        if scores.unread:
            more[f"{name}:unread"] = [scores.unread]
        return replace(candidate, scores={**candidate.scores, **more}, unscored=None)

    async def rate(self, prompt: Prompt, completion: Completion) -> StepScores:
        """One completion's scores, from the journal or the verifier: as `score`, without a complaint of its own."""
        return await self._scoring.rate(prompt, completion, self, self._calls)

    # -- another model ----------------------------------------------------------------------------------------

    def on(self, engine: Engine) -> Session:
        """This session on another engine than the policy's, for a judge to ask: the same problem, account, journal,
        clock and budget, calls of the policy in flight left out.
        """
        for owner, part in self._beside:
            if owner is self and part._setup.engine is engine:
                return part
        part = copy.copy(self)
        part._setup = replace(self._setup, engine=engine)
        part._calls = self._calls.on(engine)
        self._beside.append((self, part))
        return part

    # -- generation -----------------------------------------------------------------------------------------

    @property
    def model(self) -> str:
        """The model that the engine runs."""
        return self._setup.engine.model

    @property
    def kv_bytes_per_token(self) -> int | None:
        """Bytes of key-value cache a token of context takes; None where the architecture is not understood."""
        return self._setup.engine.kv_bytes_per_token

    @property
    def seed(self) -> int:
        """The run's seed."""
        return self._setup.seed

    @property
    def step_end(self) -> str | None:
        """The string that ends a step, as the verifier's card has it; None where it says nothing."""
        return getattr(self._setup.verifier, "step", None)

    @property
    def sampling(self) -> Sampling:
        """The run's sampling, from which a strategy derives its own (shorter pieces, stop strings)."""
        return self._setup.sampling

    async def sample(
        self, prompt: Prompt, n: int = 1, sampling: Sampling | None = None, *, priority: int = 0
    ) -> list[Completion]:
        """`n` independent completions in a fixed order; fewer when the budget ends, aborted ones included. Lower
        `priority` is served first, where the engine schedules by it; siblings have the same.

        Raises:
            RequestError: a request failed; the others have finished and are in the journal.
            EngineDead: the engine is gone.
        """
        admitted = self._calls.admit([prompt] * n, sampling, priority, in_turn=self._setup.in_turn)
        made = await together(self._calls.run(call) for call in admitted if call is not None)
        return [completion for completion in made if completion is not None]

    def submit(
        self, prompts: Sequence[Prompt], sampling: Sequence[Sampling] | None = None, *, priority: int = 0
    ) -> list[Running | None]:
        """One call for each prompt, all admitted at once, so that they share what is left of the budget; None for those
        that it does not reach. Each is awaited by itself: what follows a call need not wait for its siblings.

        Raises:
            RequestError: a prompt leaves no room for a response.
        """
        admitted = self._calls.admit(prompts, sampling, priority)
        return [None if call is None else Running(self._calls, call) for call in admitted]

    def room(self, prompt: Prompt) -> int:
        """How many tokens the model's context has for a response."""
        return self._calls.room(prompt)

    def random(self, purpose: str) -> random.Random:
        """Random numbers of this problem for one purpose: the same in every life of the run."""
        return random.Random(f"{self._setup.seed}\0{self.name}\0{purpose}")

    def branches(self, n: int) -> list[Session]:
        """`n` sessions for parts of a search that go on independently: each draws samples of its own and has an equal
        share of what is left of the budget, so that their order in time changes nothing. All are charged to this one.
        """
        parts = []
        for index, account in enumerate(self._account.parts(n)):
            part = copy.copy(self)
            part.name = f"{self.name}/{index}"
            part._account = account
            part._calls = self._calls.branch(part.name, account)
            parts.append(part)
        return parts

    def stream(
        self, prompt: Prompt, n: int = 1, sampling: Sampling | None = None, *, priority: int = 0
    ) -> aclosing[AsyncGenerator[Completion, None]]:
        """Completions as they finish; leaving the `async with` aborts the rest and charges them as wasted.

        Those in the journal come first, in their order, and nothing is sent to the engine before they are taken: a
        resumed strategy that stops early may find that it has enough. The rest go to the engine at once, the first
        sibling with `priority`, the next with one more and so on, so that waiting ones cost nothing; an engine that
        does not serve by priority gets no more than `WAVE` at a time.
        """

        async def itself(completion: Completion) -> Completion:
            return completion

        return aclosing(self._stream(prompt, n, itself, sampling, priority))

    def candidates(self, prompt: Prompt, n: int, *, scored: bool) -> aclosing[AsyncGenerator[Candidate, None]]:
        """As `stream`, with their answers, and `scored`: with the verifier's scores, for which none waits that is still
        generated. Leaving the `async with` also aborts what a judge is writing; what a reward model is reading it
        reads to the end, since its cost is known only then.

        Raises:
            RequestError: there is no verifier, or none of the candidates can be scored.
        """
        return aclosing(self._candidates(prompt, n, scored))

    async def _candidates(self, prompt: Prompt, n: int, scored: bool) -> AsyncGenerator[Candidate, None]:
        found: list[StepScores] = []
        left = False

        async def read(completion: Completion) -> Candidate:
            candidate = self.read([completion])[0]
            if left or not scored:
                return candidate
            found.append(await self.rate(prompt, completion))
            return self.with_scores(candidate, found[-1])

        async with aclosing(self._stream(prompt, n, read)) as finished:
            try:
                async for candidate in finished:
                    yield candidate
            finally:
                left = True
                if scored:
                    await self._abort_calls()
        self._demand_one(found)

    async def _stream(
        self,
        prompt: Prompt,
        n: int,
        then: Callable[[Completion], Awaitable[Made]],
        sampling: Sampling | None = None,
        priority: int = 0,
    ) -> AsyncGenerator[Made, None]:
        admitted = self._calls.admit([prompt] * n, sampling, priority, in_turn=True)
        async with aclosing(self._calls.stream([call for call in admitted if call is not None], then)) as finished:
            async for made in finished:
                yield made

    def rewind(self) -> None:
        """From now on every prompt is sampled from its first sample again: those that were drawn come back from the
        journal, with their scores, and are charged once. So one strategy goes on where another began.
        """
        self._calls.draws.rewind()

    # -- sleep ----------------------------------------------------------------------------------------------

    async def asleep(
        self, context: str, think: Callable[[str, Session], Awaitable[Notes]], stored: Notes | None = None
    ) -> Notes:
        """What `think` makes of a context: once a run, however many problems wait for it; `stored`, where there are
        such notes and this run did not make them itself.

        It gets a session of its own, whose problem has the context and no question, and no budget. What that spends is
        the sleep phase of the problem that came first, also when the run is resumed. A problem's clock stands still
        meanwhile.

        Raises:
            RequestError: `think` failed.
            NotBegun: the run's time is up, or it is being stopped.
        """
        name = context_hash(context)
        kept = self._setup.journal.lookup_notes(name)
        if kept is not None and kept[0] != self.name:
            return Notes(**json.loads(kept[1]))
        if kept is None and stored is not None:
            return stored
        if name not in self._setup.asleep:
            unlimited = replace(self._setup, budget=Budget())
            self._sleeper = Session(Problem(f"sleep/{name}", "", context), unlimited)
            self._setup.asleep[name] = asyncio.ensure_future(self._sleep(name, context, think, self._sleeper))
        with self._clock.held():
            try:
                return await asyncio.shield(self._setup.asleep[name])
            except RequestError as failure:
                if self._clock.stopped:
                    raise NotBegun("time was up before the notes about its context were finished") from failure
                raise

    async def _sleep(
        self, name: str, context: str, think: Callable[[str, Session], Awaitable[Notes]], sleeper: Session
    ) -> Notes:
        try:
            notes = await think(context, sleeper)
        finally:
            sleeper.close()
        await self._setup.journal.noted(name, self.name, json.dumps(asdict(notes)))
        return notes

    # -- the ledger and the clock -----------------------------------------------------------------------------

    @property
    def usage(self) -> Usage:
        """What the question has cost so far, in this life of the run and those before."""
        return self._account.ledger.usage

    @usage.setter
    def usage(self, usage: Usage) -> None:
        self._account.ledger.usage = usage

    @property
    def over_budget(self) -> bool:
        """Whether the problem came to an end of its budget."""
        return self._account.ledger.over

    @property
    def ended(self) -> bool:
        """Whether the budget, the time or the run has come to its end: what there is then is the result, and what is
        missing is no failure.
        """
        return self.over_budget or self._clock.expired

    @property
    def elapsed(self) -> float:
        """Seconds spent on this problem, in this life of the run and those before."""
        return self._clock.elapsed

    def _time_is_up(self) -> None:
        if self._calls.in_flight or self._scoring.in_flight or any(p._calls.in_flight for _, p in self._beside):
            self._account.overdraw()
            self._aborting = asyncio.ensure_future(self._abort())

    async def _abort(self) -> None:
        await self._abort_calls()
        await self._scoring.abort()

    async def _abort_calls(self) -> None:
        await self._calls.abort()
        for _, part in self._beside:
            await part._calls.abort()

    async def expire(self) -> None:
        """The run's time is up: as at the problem's own deadline, whatever has finished is what there is."""
        self._account.overdraw()
        await self.stop()

    async def stop(self) -> None:
        """Abort everything in flight and admit nothing more; the strategy gets what was generated so far."""
        self._clock.stopped = True
        if self._sleeper is not None:
            await self._sleeper.stop()
        await self._abort()

    @property
    def phases(self) -> dict[Phase, Usage]:
        """What was spent asleep, where this problem is the one that paid for it, and on the question."""
        return {"sleep": self._sleeper.usage, "test": self.usage} if self._sleeper else {"test": self.usage}

    def close(self) -> Usage:
        """Stop the clock and hand over the account of all phases."""
        self._clock.close()
        self.usage.seconds = self.elapsed
        return Usage.sum(self.phases.values())
