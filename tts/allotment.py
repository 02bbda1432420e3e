"""One budget of tokens for a whole set of problems, given sample by sample to where it is worth most.

There are no rounds to wait for: whenever a place in the engine is free, the problem that is worth most then gets the
next sample. In the end each problem is solved by its strategy over the samples that it got, which come back from the
journal.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from tts.account import Account, Ledger
from tts.allocate import FIRST, SETTLED, worth
from tts.collector import undisturbed
from tts.errors import RequestError
from tts.evaluate import Record, Stop, Watch, solve, unbegun
from tts.session import Session, Setup
from tts.types import Budget, Candidate, Example, Prompt, Usage
from tts.waiting import workers

Policy = Literal["adaptive", "uniform"]
SOLVERS = 32


@dataclass(eq=False)
class _Share:
    """One problem's part so far."""

    example: Example
    attempt: int
    session: Session | None = None
    prompt: Prompt | None = None
    candidates: list[Candidate] = field(default_factory=list)
    drawn: int = 0
    pending: int = 0
    votes: tuple[float, ...] = ()
    weight: float = 1.0
    version: int = 0
    full: bool = False


class Allotment:
    """`tokens` generated tokens for all `examples`, a judge's included. A sample is begun only where there is room for
    one of full length and for its judgement, so that none is cut and the sum never exceeds them.

    `most` samples a problem at most, `by_score`: votes are weighted by the verifier's scores. `spent` is what records
    that are there already have cost.
    """

    def __init__(
        self,
        strategy: Any,
        setup: Setup,
        *,
        tokens: int,
        most: int,
        policy: Policy = "adaptive",
        by_score: bool = False,
        spent: int = 0,
    ) -> None:
        self._strategy = strategy
        self._tokens = tokens - spent
        self._total = Account(Budget(tokens=self._tokens), Ledger(Usage()))
        self._setup = replace(setup, total=self._total)
        self._most = most
        self._policy = policy
        self._by_score = by_score
        self._judging: int = getattr(setup.verifier, "most_tokens", 0)
        self._queue: list[tuple[float, int, int, _Share]] = []
        self._order = itertools.count()

    async def run(
        self,
        examples: Iterable[Example],
        *,
        write: Callable[[Record], None],
        watch: Watch,
        stop: Stop,
        repeats: int = 1,
        vary: Callable[[Example, int], Example] | None = None,
        done: Collection[tuple[str, int]] = (),
        run_id: str = "",
        errors_log: Path | None = None,
        seconds: float | None = None,
    ) -> None:
        """Give out the budget, then solve and write each problem. A run that is drained or stopped in between writes
        nothing: its samples are in the journal, and a resumed one goes on.

        Raises:
            RunStopped: the engine or the disk failed.
        """
        jobs = ((e, a) for e in examples for a in range(repeats) if (e.problem.id, a) not in done)
        shares = [_Share(vary(e, a) if vary else e, a) for e, a in jobs]
        for share in shares:
            self._enqueue(share)
        try:
            async with stop.after(seconds):
                with undisturbed():
                    await self._give_out(watch, stop)
                if not stop.draining:
                    await self._conclude(shares, write, watch, stop, run_id, errors_log)
        finally:
            for share in shares:
                if share.session is not None:
                    stop.sessions.discard(share.session)
                    share.session.close()

    async def _give_out(self, watch: Watch, stop: Stop) -> None:
        engine = self._setup.engine
        longest = min(self._setup.sampling.max_tokens or engine.max_model_len, engine.max_model_len) + self._judging
        tasks: dict[asyncio.Task[None], _Share] = {}
        try:
            while True:
                while (
                    not (stop.draining or stop.expired)
                    and len(tasks) < engine.max_sequences
                    and self._total.made.generated_tokens + (len(tasks) + 1) * longest <= self._tokens
                    and (share := self._best()) is not None
                ):
                    share.pending += 1
                    tasks[asyncio.ensure_future(self._sample(share, watch, stop))] = share
                    self._enqueue(share)
                if not tasks:
                    return
                finished, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in finished:
                    share = tasks.pop(task)
                    share.pending -= 1
                    task.result()
                    self._enqueue(share)
        except BaseException:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise

    def _enqueue(self, share: _Share) -> None:
        """Put a problem back with what it is worth now. Where it has a budget of its own in tokens or FLOPs, its
        samples come one by one: one under way has all of that set aside.
        """
        share.version += 1
        alone = self._setup.budget.tokens is not None or self._setup.budget.flops is not None
        if not share.full and not (alone and share.pending) and share.drawn + share.pending < self._most:
            heapq.heappush(self._queue, (-self._worth(share), next(self._order), share.version, share))

    def _best(self) -> _Share | None:
        """The problem that is worth another sample most; None when none is worth any."""
        while self._queue:
            value, _, version, share = heapq.heappop(self._queue)
            if version == share.version:
                return share if -value > SETTLED or self._policy == "uniform" else None
        return None

    def _worth(self, share: _Share) -> float:
        began = share.drawn + share.pending
        if self._policy == "uniform":
            return -float(began)
        return worth(share.votes, share.drawn, share.pending, share.weight) if began >= FIRST else 2.0 - began

    async def _sample(self, share: _Share, watch: Watch, stop: Stop) -> None:
        if share.session is None or share.prompt is None:
            watch.began(share.example.problem.id)
            share.session = Session(share.example.problem, self._setup, share.attempt)
            stop.sessions.add(share.session)
            share.prompt = share.session.ask(share.example.problem)
        session, prompt = share.session, share.prompt
        try:
            found = await session.sample(prompt, 1, priority=share.drawn + share.pending)
            candidates = session.read(found)
            if (self._by_score or self._judging) and candidates:
                candidates = await session.scored(prompt, candidates)
        except RequestError:  # the strategy meets it again when the problem is solved, and it is recorded then
            share.full = True
            return
        share.full |= not found
        share.drawn += len(found)
        share.candidates += candidates
        if self._policy == "adaptive":
            await self._appraise(share, session)

    async def _appraise(self, share: _Share, session: Session) -> None:
        sums: dict[int, float] = {}
        weights = [self._weight(c, session) for c in share.candidates]
        for group, weight in zip(await session.classes(share.candidates), weights, strict=True):
            if group >= 0:
                sums[group] = sums.get(group, 0.0) + weight
        share.votes = tuple(sorted(sums.values(), reverse=True))
        share.weight = max(sum(weights) / len(weights), 1e-6) if weights else 1.0

    def _weight(self, candidate: Candidate, session: Session) -> float:
        if not self._by_score:
            return 1.0
        score = candidate.scores.get(session.verifier or "")
        return score if isinstance(score, int | float) else 0.0

    async def _conclude(
        self,
        shares: list[_Share],
        write: Callable[[Record], None],
        watch: Watch,
        stop: Stop,
        run_id: str,
        errors_log: Path | None,
    ) -> None:
        """Solve each problem over its samples: nothing is generated, and nothing is charged twice."""
        left = iter(shares)

        async def work() -> None:
            for share in left:
                if stop.stopped:
                    return
                if share.session is None:
                    record = await unbegun(share.example, share.attempt, self._setup, run_id)
                else:
                    share.session.rewind()
                    strategy = replace(self._strategy, n=max(1, share.drawn))
                    record = await solve(
                        share.example, share.attempt, strategy, self._setup, stop, run_id, errors_log, share.session
                    )
                write(record)
                watch.ended(record)

        await workers(SOLVERS, work)
