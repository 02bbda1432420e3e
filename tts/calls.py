"""A problem's calls to an engine: admitted within its budget, seeded, journalled, metered and aborted."""

from __future__ import annotations

import asyncio
import copy
import hashlib
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

from tts.account import Account
from tts.clock import Clock
from tts.errors import RequestError
from tts.flops import Cost
from tts.journal import Entry, call_key, prompt_digest
from tts.setup import Setup
from tts.types import Budget, Completion, Engine, Prompt, Sampling, Usage, Verifier

Made = TypeVar("Made")
WAVE = 4
"""Siblings of a stream in flight where the engine does not serve by priority: there a waiting one would take a place
from another problem's first."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call: what was asked, and what it may have of that."""

    prompt: Prompt
    asked: Sampling
    wanted: int
    """Tokens asked for, as far as the model's context allows."""
    max_tokens: int
    """What the budget grants of them."""
    digest: bytes
    index: int
    """How many samples of this prompt, whose digest that is, come before it."""
    seed: int
    key: bytes
    request_id: str
    priority: int
    paid: bool
    """It was charged before a rewind, and costs nothing now."""


@dataclass(slots=True)
class Draws:
    """How often each prompt was sampled, and the calls and scores that were charged. Those that were so before a rewind
    come back for nothing.
    """

    drawn: Counter[bytes] = field(default_factory=Counter)
    paid: set[bytes] = field(default_factory=set)
    aborted: dict[bytes, Completion] = field(default_factory=dict)
    """What there is of calls that were aborted: no journal has it."""
    rewound: frozenset[bytes] = frozenset()

    def rewind(self) -> None:
        """Every prompt is sampled from its first sample again."""
        self.drawn.clear()
        self.rewound = frozenset(self.paid)


class Calls:
    """The calls of one problem, or of a part of one, to one engine."""

    def __init__(self, setup: Setup, name: str, problem_name: str, clock: Clock, account: Account) -> None:
        """`name` makes the seeds, `problem_name` is whose calls the journal notes."""
        self.account = account
        self.draws = Draws()
        self.in_flight: set[str] = set()
        self._setup, self._name, self._problem_name, self._clock = setup, name, problem_name, clock
        self._withdrawn: set[str] = set()

    def on(self, engine: Engine) -> Calls:
        """The same problem's calls to another engine."""
        other = copy.copy(self)
        other._setup = replace(self._setup, engine=engine)
        other.in_flight = set()
        return other

    def branch(self, name: str, account: Account) -> Calls:
        """Calls of a part that draws samples of its own."""
        part = copy.copy(self)
        part._name, part.account = name, account
        part.draws = replace(self.draws, drawn=Counter())
        return part

    def room(self, prompt: Prompt) -> int:
        """How many tokens the model's context has for a response."""
        return self._setup.engine.max_model_len - len(prompt.token_ids)

    def admit(
        self,
        prompts: Sequence[Prompt],
        sampling: Sampling | Sequence[Sampling] | None,
        priority: int,
        *,
        in_turn: bool = False,
    ) -> list[Call | None]:
        """A call for each prompt, None where the budget does not reach it. What was paid for before a rewind comes
        before every limit; the others share what is left in equal parts, fewer of them where that is less than a token
        each. `in_turn`: each is served after the one before it, also across problems.

        Raises:
            RequestError: a prompt leaves no room for a response.
        """
        asked = [sampling or self._setup.sampling] * len(prompts) if not isinstance(sampling, Sequence) else sampling
        ahead: Counter[bytes] = Counter()
        calls: list[Call] = []
        digests = {id(prompt): prompt_digest(prompt) for prompt in {id(p): p for p in prompts}.values()}
        for place, (prompt, wish) in enumerate(zip(prompts, asked, strict=True)):
            digest = digests[id(prompt)]
            index = self.draws.drawn[digest] + ahead[digest]
            ahead[digest] += 1
            calls.append(self._call(prompt, wish, digest, index, priority + (place if in_turn else 0)))
        return [self._enter(call) for call in self._granted(calls)]

    def _call(self, prompt: Prompt, asked: Sampling, digest: bytes, index: int, priority: int) -> Call:
        setup, room = self._setup, self.room(prompt)
        if room < 1:
            length, most = len(prompt.token_ids), setup.engine.max_model_len
            raise RequestError(f"the prompt has {length} tokens, the model takes {most} with the answer")
        seed = derive_seed(setup.seed, self._name, digest, index)
        key = call_key(setup.engine.kind, setup.engine.model, digest, asked, seed)
        request_id = f"{self._name}/{digest[:4].hex()}/{index}"
        wanted, paid = min(asked.max_tokens or room, room), key in self.draws.rewound
        return Call(prompt, asked, wanted, wanted, digest, index, seed, key, request_id, priority, paid)

    def _granted(self, calls: Sequence[Call]) -> list[Call | None]:
        """The calls that may be made, each with what it may have; None in place of the others."""
        new = [] if self._clock.expired else [call for call in calls if not call.paid]
        reached, share = self.account.shares([self._price(call, 1) for call in new])
        limits = {call.request_id: self._limit(call, share) for call, may in zip(new, reached, strict=True) if may}
        found = [
            call
            if call.paid or (limit := limits.get(call.request_id)) == call.max_tokens
            else None
            if limit is None
            else replace(call, max_tokens=limit)
            for call in calls
        ]
        if None in found:
            self.account.overdraw()
        return found

    def _limit(self, call: Call, share: Budget) -> int:
        """How many tokens a call may have for its share of the budget."""
        limit = call.wanted if share.tokens is None else min(call.wanted, share.tokens)
        if share.flops is None:
            return limit
        return bisect_right(range(1, limit + 1), share.flops, key=partial(self._price, call))

    def _enter(self, call: Call | None) -> Call | None:
        """Note an admitted call as under way."""
        if call is not None:
            self.draws.drawn[call.digest] = call.index + 1
            self.in_flight.add(call.request_id)
            if not call.paid:
                self.account.reserve(1, call.max_tokens, self._price(call, call.max_tokens))
        return call

    def release(self, call: Call) -> None:
        """Give back what was reserved for a call that has ended, or will not be made."""
        self.in_flight.discard(call.request_id)
        if not call.paid:
            self.account.reserve(-1, -call.max_tokens, -self._price(call, call.max_tokens))

    def known(self, call: Call) -> Entry | None:
        """What the call would bring, where that is known: it was made before a rewind, or the journal has it. What a
        reused journal has counts only if it came as early as this run's budget allows.
        """
        if call.paid and (cut := self.draws.aborted.get(call.key)) is not None:
            return Entry(cut, 0.0)
        entry = self._journalled(call)
        return entry if entry is not None and (call.paid or _serves(entry.completion, call)) else None

    def _journalled(self, call: Call) -> Entry | None:
        """What the journal has of a call. Where no log-probability is asked for, a call with the chosen tokens' serves
        as well, without them, so that a run has them for all of its calls or for none.
        """
        setup = self._setup
        entry = setup.journal.lookup(call.key, setup.budget.seconds)
        if entry is not None or call.asked.top_logprobs is not None:
            return entry
        more = replace(call.asked, top_logprobs=0)
        key = call_key(setup.engine.kind, setup.engine.model, call.digest, more, call.seed)
        entry = setup.journal.lookup(key, setup.budget.seconds)
        return None if entry is None else Entry(entry.completion.without_logprobs, entry.elapsed)

    async def run(self, call: Call) -> Completion | None:
        """One call, from the journal or the engine; None when the deadline came before it was sent."""
        return await self._bring(call, self.known(call))

    async def _bring(self, call: Call, entry: Entry | None) -> Completion | None:
        """One call, `entry` being what is known of it."""
        try:
            if entry is not None:
                if not call.paid:
                    self._clock.advance(entry.elapsed)
                    self._meter(call.key, entry.completion)
                if learn := getattr(self._setup.engine, "learn", None):
                    learn(entry.completion.text)  # an engine whose vocabulary is what it has read
                return self._noting_truncation(call, entry.completion)
            if call.request_id in self._withdrawn:
                return None
            if self._clock.expired:
                self.account.overdraw()
                return None
            return await self._generate(call)
        finally:
            self.release(call)

    async def _generate(self, call: Call) -> Completion:
        journal = self._setup.journal
        journal.begin(call.key, self._problem_name)
        sampling = call.asked
        if sampling.max_tokens != call.max_tokens:
            sampling = replace(sampling, max_tokens=call.max_tokens)
        try:
            completion = await self._setup.engine.generate(
                call.prompt, sampling, call.seed, call.request_id, priority=call.priority
            )
        except RequestError:
            await journal.give_up(call.key, self._problem_name, None)
            self.account.charge(Usage(calls=1))
            raise
        if completion.finish == "abort" and not completion.doubted:
            self._meter(call.key, completion)
            await journal.give_up(call.key, self._problem_name, completion)
            return completion
        await journal.finish(call.key, completion, self._clock.elapsed)
        self._meter(call.key, completion)
        return self._noting_truncation(call, completion)

    def _noting_truncation(self, call: Call, completion: Completion) -> Completion:
        """A completion cut where the budget, not the caller, said so makes the problem over budget."""
        if completion.finish == "length" and call.max_tokens < call.wanted:
            self.account.overdraw()
        return completion

    async def stream(
        self, calls: Sequence[Call], then: Callable[[Completion], Awaitable[Made]]
    ) -> AsyncGenerator[Made, None]:
        """What `then` makes of completions as they finish, those in the journal first; closing it aborts the rest."""
        entries = [(call, self.known(call)) for call in calls]
        waiting = deque(sorted(entries, key=lambda pair: pair[1] is None))
        width = len(calls) if self._setup.engine.by_priority else WAVE
        tasks: dict[asyncio.Future[Made | None], tuple[asyncio.Future[Completion | None], Call]] = {}
        left = False

        async def made(brought: asyncio.Future[Completion | None]) -> Made | None:
            completion = await brought
            return None if completion is None or left else await then(completion)

        try:
            while waiting and waiting[0][1] is not None:
                if (completion := await self._bring(*waiting.popleft())) is not None:
                    yield await then(completion)
            while waiting or tasks:
                running = [brought for brought, _ in tasks.values() if not brought.done()]
                while waiting and len(running) < width:
                    call, _ = waiting.popleft()
                    running.append(asyncio.ensure_future(self._bring(call, None)))
                    tasks[asyncio.ensure_future(made(running[-1]))] = running[-1], call
                changing: set[asyncio.Future[Any]] = {*tasks, *running}
                await asyncio.wait(changing, return_when=asyncio.FIRST_COMPLETED)
                for task in sorted(filter(asyncio.Future.done, tasks), key=lambda t: tasks[t][1].priority):
                    del tasks[task]
                    if (result := task.result()) is not None:
                        yield result
        except asyncio.CancelledError:
            for task, (brought, _) in tasks.items():
                if brought.done():
                    task.cancel()
            raise
        finally:
            left = True
            for call, _ in waiting:
                self.release(call)
            try:
                await self.withdraw(dict(tasks.values()))
            finally:
                await asyncio.gather(*tasks, return_exceptions=True)

    async def withdraw(self, tasks: Mapping[asyncio.Future[Completion | None], Call]) -> None:
        """Nobody wants these any more: abort them, or keep them from being sent, and charge what they generated,
        finished or not, as wasted.
        """
        unfinished = [call.request_id for task, call in tasks.items() if not task.done()]
        self._withdrawn.update(unfinished)
        if unfinished:
            await self._setup.engine.abort(*unfinished)
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        self._withdrawn.difference_update(unfinished)
        late = [made.generated_tokens for made in outcomes if isinstance(made, Completion) and made.finish != "abort"]
        self.account.charge(Usage(wasted_tokens=sum(late)))

    async def abort(self) -> None:
        """End all in flight: each returns what there is."""
        if self.in_flight:
            await self._setup.engine.abort(*self.in_flight)

    def _meter(self, key: bytes, c: Completion) -> None:
        self.draws.paid.add(key)
        if c.finish == "abort" and not c.doubted:
            self.draws.aborted[key] = c
        self.account.charge(
            Usage(
                c.prompt_tokens,
                c.cached_tokens,
                c.generated_tokens,
                wasted_tokens=c.generated_tokens if c.finish == "abort" else 0,
                calls=1,
                flops=cost(self._setup.engine, c.prompt_tokens, c.cached_tokens, c.generated_tokens),
                queue_seconds=c.queue_seconds or 0.0,
            )
        )

    def _price(self, call: Call, generated: int) -> float:
        """The most FLOPs that a call may cost, and the reading of its response by the verifier: nothing is cached. 0
        where no budget limits them.
        """
        if not self.account.priced:
            return 0.0
        length = len(call.prompt.token_ids)
        reading = reading_cost(self._setup.verifier, length + generated, 0) if self._setup.verifier else 0.0
        return (cost(self._setup.engine, length, 0, generated) or 0.0) + (reading or 0.0)


class Running:
    """A call under way. Awaiting it gives the completion, or None where time was up before it was sent.

    Raises (when awaited): as `Session.sample`.
    """

    def __init__(self, calls: Calls, call: Call) -> None:
        self._calls, self._call = calls, call
        self._task = asyncio.ensure_future(calls.run(call))

    def __await__(self) -> Generator[Any, None, Completion | None]:
        return self._task.__await__()

    async def drop(self) -> None:
        """Nobody wants it any more, finished or not."""
        await self._calls.withdraw({self._task: self._call})


def cost(engine: Engine, prompt: int, cached: int | None, generated: int) -> float | None:
    """FLOPs of a call; prompt tokens count as computed where the engine does not say they were cached."""
    return None if engine.cost is None else engine.cost.call(prompt, cached or 0, generated)


def reading_cost(verifier: Verifier, tokens: int, cached: int) -> float | None:
    """FLOPs of a verifier that reads so many tokens; what a judge generates is no reading."""
    if not tokens or verifier.flops_per_token is None:
        return None if tokens else 0.0
    of_model: Cost | None = getattr(verifier, "cost", None)
    return (of_model or Cost(verifier.flops_per_token)).call(tokens, cached, 0)


def _serves(found: Completion, call: Call) -> bool:
    """Whether a journalled completion is what this call would bring: made under another budget it may be cut where
    this one is not, or longer than this one may be.
    """
    if found.generated_tokens > call.max_tokens:
        return False
    if found.doubted:  # its floor is part of the key
        return True
    return found.finish == "stop" or found.generated_tokens == call.max_tokens


def derive_seed(run_seed: int, problem: str, prompt: bytes, index: int) -> int:
    """A 31-bit seed for the `index`-th sample of a prompt; siblings' seeds have no pattern to overlap."""
    digest = hashlib.blake2b(f"{run_seed}\0{problem}\0{index}\0".encode() + prompt, digest_size=4).digest()
    return int.from_bytes(digest) & 0x7FFFFFFF
