"""One problem's metered view of an engine: it renders, seeds, journals, counts, and stops at the budget."""

from __future__ import annotations

import asyncio
import copy
import hashlib
import json
import math
import random
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

from tts import catalog
from tts.errors import RequestError
from tts.flops import Cost
from tts.journal import Entry, Journal, call_key, prompt_digest, score_key
from tts.notes import Notes, context_hash
from tts.types import (
    Budget,
    Candidate,
    Comparer,
    Completion,
    Engine,
    Message,
    Phase,
    Problem,
    Prompt,
    Sampling,
    StepScores,
    Usage,
    Verifier,
)
from tts.verify.extract import DEFAULT, extract
from tts.verify.pool import CheckerPool
from tts.waiting import together

WAVE = 4
"""Siblings of a stream in flight where the engine does not serve by priority: there a waiting one would take a place
from another problem's first."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What all problems of a run share."""

    engine: Engine
    journal: Journal
    checker: CheckerPool
    verifier: Verifier | None
    sampling: Sampling
    budget: Budget
    seed: int = 0
    prompt: str = "cot"
    extract: tuple[str, ...] = DEFAULT
    in_turn: bool = False
    """Siblings are served in their order across problems: the first samples of all before the second of any."""
    asleep: dict[str, asyncio.Task[Notes]] = field(default_factory=dict)
    """Notes made in this run, or in the making, by their context's hash."""


@dataclass(frozen=True, slots=True)
class _Call:
    prompt: Prompt
    asked: Sampling
    wanted: int
    """Tokens asked for, as far as the model's context allows."""
    max_tokens: int
    """What the budget grants of them."""
    seed: int
    key: bytes
    request_id: str
    priority: int


class Running:
    """A call under way. Awaiting it gives the completion, or None where time was up before it was sent.

    Raises (when awaited): as `Session.sample`.
    """

    def __init__(self, session: Session, call: _Call) -> None:
        self._session, self._call = session, call
        self._task = asyncio.ensure_future(session._run(call))

    def __await__(self) -> Generator[Any, None, Completion | None]:
        return self._task.__await__()

    async def drop(self) -> None:
        """Nobody wants it any more: abort it, and charge what it generated, finished or not, as wasted."""
        if not self._task.done():
            await self._session._setup.engine.abort(self._call.request_id)
        (outcome,) = await asyncio.gather(self._task, return_exceptions=True)
        if isinstance(outcome, Completion) and outcome.finish != "abort":
            self._session.usage.wasted_tokens += outcome.generated_tokens


class Session:
    """Everything a strategy may do for one problem. Strategies count nothing themselves.

    Seeds depend on the run's seed, the problem, the attempt, the prompt and how often this prompt was sampled
    before: a larger n keeps the samples of a smaller one, and order in time does not matter.
    """

    def __init__(self, problem: Problem, setup: Setup, attempt: int = 0) -> None:
        self.problem = problem
        self.name = f"{problem.id}#{attempt}" if attempt else problem.id
        self.over_budget = False
        self._trunk: Session | None = None
        self._setup = setup
        self._stopped = False
        lost = setup.journal.lost(self.name)
        if lost.calls:  # by the mean call, as the journal keeps their sums
            sizes = (lost.prompt_tokens, lost.cached_tokens or 0, lost.generated_tokens)
            each = self._cost(*(size // lost.calls for size in sizes))
            lost.flops = None if each is None else each * lost.calls
        self.usage = lost
        self._made = Usage()
        self._drawn: Counter[bytes] = Counter()
        self._budget = setup.budget
        self._reserved_calls = 0
        self._reserved_tokens = 0
        self._reserved_flops = 0.0
        self._prompt = setup.prompt
        self._given: dict[str, object] = {}
        self._sleeper: Session | None = None
        self._in_flight: set[str] = set()
        self._withdrawn: set[str] = set()
        self._beside: list[tuple[Session, Session]] = []
        self._scoring: set[str] = set()
        self._scorings = 0
        self._paid: set[bytes] = set()
        self._rewound: frozenset[bytes] = frozenset()
        self._loop = asyncio.get_running_loop()
        self._started = self._loop.time()
        self._alarm: asyncio.TimerHandle | None = None
        self._set_alarm()

    # -- prompts and answers ------------------------------------------------------------------------------

    def ask(self, problem: Problem, prefill: str = "") -> Prompt:
        """The run's prompt for `problem`, through the model's chat template."""
        return self.render(self._prompt, prefill, **problem.variables, **self._given)

    def use(self, template: str, **variables: object) -> None:
        """From now on, `ask` fills this template, with these variables besides the problem's."""
        self._prompt, self._given = template, variables

    def render(self, template: str, prefill: str = "", **variables: object) -> Prompt:
        """Any template of `prompts/` as one user turn; `prefill` begins the assistant's."""
        text = catalog.render(template, **variables)
        return self._setup.engine.render([Message("user", text)], prefill)

    def chat(self, messages: Sequence[Message]) -> Prompt:
        """A conversation as a prompt."""
        return self._setup.engine.render(messages)

    def read(self, completions: Sequence[Completion]) -> list[Candidate]:
        """Completions with their answers. From one that the model has not ended only a closed box or tag counts."""
        methods = self._setup.extract
        closed = tuple(m for m in methods if m in ("boxed", "tag"))
        return [Candidate(c, extract(c.text, methods if c.complete else closed)) for c in completions]

    async def classes(self, candidates: Sequence[Candidate]) -> list[int]:
        """The equivalence class of each answer (1/2 and 0.5 are one), numbered as they come; -1 for none."""
        return await self._setup.checker.classes([c.answer for c in candidates])

    # -- scores ---------------------------------------------------------------------------------------------

    @property
    def verifier(self) -> str | None:
        """The name of the run's verifier, under which `scored` leaves its scores."""
        return self._setup.verifier.name if self._setup.verifier else None

    async def score(self, prompt: Prompt, completions: Sequence[Completion]) -> list[StepScores]:
        """The verifier's view of each completion of `prompt`, finished or not. One that cannot be scored (the verifier
        refused it, or gave something that is no number, or time was up) has no value but an error.

        Raises:
            RequestError: there is no verifier, or none of the completions can be scored.
        """
        verifier = self._setup.verifier
        if verifier is None:
            raise RequestError("no verifier was given (--verifier NAME)")
        if isinstance(verifier, Comparer):
            found = await verifier.compare(completions, self)
        else:
            found = await asyncio.gather(*(self.rate(prompt, c) for c in completions))
        if found and not self._expired() and all(s.value is None for s in found):
            raise RequestError(f"verifier {verifier.name!r}: {found[0].error}")
        return found

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
        verifier = self._setup.verifier
        if verifier is None:
            raise RequestError("no verifier was given (--verifier NAME)")
        key = score_key(verifier.key, self.problem, prompt, completion.text) if verifier.key is not None else None
        if key and (known := self._setup.journal.lookup_score(key)) is not None:
            scores, elapsed = known
            if key not in self._rewound:
                self._advance_clock(elapsed)
                self._meter_scores(verifier, key, scores)
            return scores
        if self._expired():
            self._overdraw()
            return StepScores((), None, error="time was up")
        trunk = self._trunk or self
        trunk._scorings += 1
        request_id = f"{trunk.name}/score/{trunk._scorings}"
        self._scoring.add(request_id)
        try:
            scores = await verifier.score(prompt, completion, self, request_id)
        except RequestError as error:
            return StepScores((), None, error=error.message)
        finally:
            self._scoring.discard(request_id)
        self._meter_scores(verifier, key, scores)
        if scores.value is None or not all(map(math.isfinite, (scores.value, *scores.steps))):
            return replace(scores, steps=(), value=None, error=scores.error or "a score that is not a number")
        if key:
            await self._setup.journal.scored(key, scores, self.elapsed)
        return scores

    def _meter_scores(self, verifier: Verifier, key: bytes | None, s: StepScores) -> None:
        if key:
            self._paid.add(key)
        rate, cost = verifier.flops_per_token, getattr(verifier, "cost", None) or Cost(verifier.flops_per_token or 0.0)
        self._charge(
            Usage(
                verifier_tokens=s.tokens,
                verifier_cached_tokens=s.cached_tokens,
                flops=0.0 if not s.tokens else None if rate is None else cost.call(s.tokens, s.cached_tokens, 0),
            )
        )

    # -- going on with a response -----------------------------------------------------------------------------

    def extend(self, prompt: Prompt, piece: Completion | str) -> Prompt:
        """The prompt with a piece of the response after it: a completion's own tokens, or a text that is put there.

        Raises:
            InputError: a text, and the engine knows no tokenizer.
        """
        if isinstance(piece, str):
            return prompt.followed_by(piece, self._setup.engine.encode(piece))
        if piece.token_ids or not piece.generated_tokens:
            return prompt.followed_by(piece.text, piece.token_ids)
        return prompt.followed_by(piece.text, self._setup.engine.encode(piece.text))

    def reopened(self, piece: Completion, tail: str = "") -> Completion:
        """A piece without the token that ended the response and without `tail`, so that it can be gone on with. What
        was generated stays counted.

        Raises:
            InputError: the engine knows no tokenizer.
        """
        engine, text, ids = self._setup.engine, piece.text.removesuffix(tail), list(piece.token_ids)
        while ids and len(engine.decode(ids[:-1])) >= len(text):
            ids.pop()
        if ids and engine.decode(ids) != text:  # one token spells the end of the text and the beginning of the tail
            ids.pop()
            ids += engine.encode(text[len(engine.decode(ids)) :])
        return replace(piece, text=text, token_ids=tuple(ids))

    def join(self, pieces: Sequence[Completion | str]) -> Completion:
        """One response of pieces that follow each other. It ended as the last generated piece did; texts that were put
        in between are part of it, and were not generated. Prompt tokens are those of the first piece.

        Raises:
            ValueError: no generated piece.
        """
        engine = self._setup.engine
        made = [p for p in pieces if isinstance(p, Completion)]
        if not made:
            raise ValueError("a response needs a generated piece")
        ids = tuple(i for p in pieces for i in (engine.encode(p) if isinstance(p, str) else p.token_ids))
        sums = [p.logprob_sum for p in made]
        return replace(
            made[-1],
            text=engine.decode(ids) if ids else "".join(p if isinstance(p, str) else p.text for p in pieces),
            token_ids=ids,
            prompt_tokens=made[0].prompt_tokens,
            cached_tokens=made[0].cached_tokens,
            generated_tokens=sum(p.generated_tokens for p in made),
            logprob_sum=None if None in sums else math.fsum(s for s in sums if s is not None),
            self_certainty=_mean([(p.self_certainty, p.generated_tokens) for p in made]),
            entropy=_mean([(p.entropy, p.generated_tokens) for p in made]),
            first=made[0].first,
            group_confidence=made[0].group_confidence if len(pieces) == 1 else None,
            tail_confidence=made[0].tail_confidence if len(pieces) == 1 else None,
            queue_seconds=math.fsum(p.queue_seconds or 0.0 for p in made),
            seconds=math.fsum(p.seconds for p in made),
        )

    # -- another model ----------------------------------------------------------------------------------------

    def beside(self, engine: Engine) -> Session:
        """This session on another engine than the policy's, for a judge to ask: the same problem, account, journal,
        clock and budget, calls of the policy in flight left out.
        """
        for owner, part in self._beside:
            if owner is self and part._setup.engine is engine:
                return part
        part = copy.copy(self)
        part._trunk = self._trunk or self
        part._setup = replace(self._setup, engine=engine)
        part._in_flight, part._scoring, part._beside, part._alarm = set(), set(), [], None
        part._reserved_tokens, part._reserved_flops, part._reserved_calls = 0, 0.0, 0
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

    def encode(self, text: str) -> tuple[int, ...]:
        """Token ids of a text in the middle of a prompt: special tokens are read, none is added.

        Raises:
            InputError: the engine knows no tokenizer.
        """
        return self._setup.engine.encode(text)

    def decode(self, token_ids: Sequence[int]) -> str:
        """The text of token ids, special tokens left out.

        Raises:
            InputError: the engine knows no tokenizer.
        """
        return self._setup.engine.decode(token_ids)

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
        calls = self._reserve([prompt] * n, sampling, priority, in_turn=self._setup.in_turn)
        return [made for made in await together(map(self._run, calls)) if made is not None]

    def submit(
        self, prompts: Sequence[Prompt], sampling: Sequence[Sampling] | None = None, *, priority: int = 0
    ) -> list[Running]:
        """One call for each prompt, all admitted at once, so that they share what is left of the budget; fewer when
        it ends. Each is awaited by itself: what follows a call need not wait for its siblings.

        Raises:
            RequestError: a prompt leaves no room for a response.
        """
        return [Running(self, call) for call in self._reserve(prompts, sampling, priority)]

    def room(self, prompt: Prompt) -> int:
        """How many tokens the model's context has for a response."""
        return self._setup.engine.max_model_len - len(prompt.token_ids)

    def random(self, purpose: str) -> random.Random:
        """Random numbers of this problem for one purpose: the same in every life of the run."""
        return random.Random(f"{self._setup.seed}\0{self.name}\0{purpose}")

    def branches(self, n: int) -> list[Session]:
        """`n` sessions for parts of a search that go on independently: each draws samples of its own and has an equal
        share of what is left of the budget, so that their order in time changes nothing. All are charged to this one.
        """
        left = self._left()
        parts = []
        for index in range(n):
            part = copy.copy(self)
            part._trunk = self._trunk or self
            part.name = f"{self.name}/{index}"
            part._drawn, part._made = Counter(), Usage()
            part._reserved_tokens, part._reserved_flops, part._reserved_calls = 0, 0.0, 0
            part._budget = replace(
                left,
                tokens=None if left.tokens is None else left.tokens // n,
                calls=None if left.calls is None else (left.calls + n - 1 - index) // n,
                flops=None if left.flops is None else left.flops / n,
            )
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
        return aclosing(self._stream(prompt, n, sampling, priority))

    async def _stream(
        self, prompt: Prompt, n: int, sampling: Sampling | None, priority: int
    ) -> AsyncGenerator[Completion, None]:
        engine = self._setup.engine
        waiting = deque(self._reserve([prompt] * n, sampling, priority, in_turn=True))
        width = n if engine.by_priority else WAVE
        tasks: dict[asyncio.Task[Completion | None], _Call] = {}
        try:
            for call in [c for c in waiting if self._known(c) is not None]:
                waiting.remove(call)
                if (completion := await self._run(call)) is not None:
                    yield completion
            while waiting or tasks:
                while waiting and len(tasks) < width:
                    call = waiting.popleft()
                    tasks[asyncio.ensure_future(self._run(call))] = call
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in sorted(done, key=lambda t: tasks[t].priority):
                    del tasks[task]
                    if (completion := task.result()) is not None:
                        yield completion
        finally:
            for call in waiting:
                self._release(call)
            unfinished = [call.request_id for task, call in tasks.items() if not task.done()]
            self._withdrawn.update(unfinished)
            if unfinished:
                await engine.abort(*unfinished)
            await asyncio.gather(*tasks, return_exceptions=True)
            self._withdrawn.difference_update(unfinished)

    def rewind(self) -> None:
        """From now on every prompt is sampled from its first sample again: those that were drawn come back from the
        journal, with their scores, and are charged once. So one strategy goes on where another began.
        """
        self._drawn.clear()
        self._rewound = frozenset(self._paid)

    def _left(self) -> Budget:
        """What is left of the budget, calls in flight taken off at what they were granted.

        What an earlier life of the run spent on calls that it aborted is reported, and not charged here: a resumed
        problem gets the samples it would have had.
        """
        budget, made = self._budget, self._made
        return replace(
            budget,
            tokens=None if budget.tokens is None else budget.tokens - made.generated_tokens - self._reserved_tokens,
            calls=None if budget.calls is None else budget.calls - made.calls - self._reserved_calls,
            flops=None if budget.flops is None else budget.flops - (made.flops or 0.0) - self._reserved_flops,
        )

    def _reserve(
        self,
        prompts: Sequence[Prompt],
        sampling: Sampling | Sequence[Sampling] | None,
        priority: int,
        *,
        in_turn: bool = False,
    ) -> list[_Call]:
        """Admit calls in the order of their prompts: what is left of the budget is shared among them in equal parts.
        `in_turn`: each is served after the one before it, also across problems.
        """
        engine, left = self._setup.engine, self._left()
        asked = [sampling or self._setup.sampling] * len(prompts) if not isinstance(sampling, Sequence) else sampling
        admitted = len(prompts) if left.calls is None else max(0, min(len(prompts), left.calls))
        if self._expired():
            admitted = 0
        for prompt in prompts:
            if self.room(prompt) < 1:
                length = len(prompt.token_ids)
                raise RequestError(
                    f"the prompt has {length} tokens, the model takes {engine.max_model_len} with the answer"
                )
        calls: list[_Call] = []
        for prompt, wish in list(zip(prompts, asked, strict=True))[:admitted]:
            length, room = len(prompt.token_ids), self.room(prompt)
            wanted = limit = min(wish.max_tokens or room, room)
            if left.tokens is not None:
                limit = min(limit, left.tokens // admitted)
            if left.flops is not None and engine.cost:
                each = left.flops / admitted
                limit = bisect_right(range(1, limit + 1), each, key=partial(self._flops, length))
            if limit >= 1:
                calls.append(self._call(prompt, wish, wanted, limit, priority + (len(calls) if in_turn else 0)))
        if len(calls) < len(prompts):
            self._overdraw()
        return calls

    def _call(self, prompt: Prompt, asked: Sampling, wanted: int, limit: int, priority: int) -> _Call:
        setup, digest = self._setup, prompt_digest(prompt)
        index = self._drawn[digest]
        self._drawn[digest] += 1
        seed = derive_seed(setup.seed, self.name, digest, index)
        key = call_key(setup.engine.kind, setup.engine.model, digest, asked, seed)
        request_id = f"{self.name}/{digest[:4].hex()}/{index}"
        self._in_flight.add(request_id)
        self._reserved_calls += 1
        self._reserved_tokens += limit
        self._reserved_flops += self._flops(len(prompt.token_ids), limit)
        return _Call(prompt, asked, wanted, limit, seed, key, request_id, priority)

    def _known(self, call: _Call) -> Entry | None:
        """The call's entry in the journal, if it is what the call would bring."""
        entry = self._setup.journal.lookup(call.key)
        if entry is None or not (call.key in self._rewound or _serves(entry.completion, call)):
            return None
        return entry

    async def _run(self, call: _Call) -> Completion | None:
        """One call, from the journal or the engine; None when the deadline came before it was sent."""
        try:
            if (entry := self._known(call)) is not None:
                if call.key not in self._rewound:
                    self._advance_clock(entry.elapsed)
                    self._meter(call.key, entry.completion)
                if learn := getattr(self._setup.engine, "learn", None):
                    learn(entry.completion.text)  # an engine whose vocabulary is what it has read
                return self._noting_truncation(call, entry.completion)
            if call.request_id in self._withdrawn:
                return None
            if self._expired():
                self._overdraw()
                return None
            return await self._generate(call)
        finally:
            self._release(call)

    def _release(self, call: _Call) -> None:
        """Give back what was reserved for a call that has ended, or will not be made."""
        self._in_flight.discard(call.request_id)
        self._reserved_calls -= 1
        self._reserved_tokens -= call.max_tokens
        self._reserved_flops -= self._flops(len(call.prompt.token_ids), call.max_tokens)

    async def _generate(self, call: _Call) -> Completion:
        journal = self._setup.journal
        journal.begin(call.key, self._problem_name)
        sampling = replace(call.asked, max_tokens=call.max_tokens)
        try:
            completion = await self._setup.engine.generate(
                call.prompt, sampling, call.seed, call.request_id, priority=call.priority
            )
        except RequestError:
            await journal.give_up(call.key, self._problem_name, None)
            self._charge(Usage(calls=1))
            raise
        if completion.finish == "abort" and not completion.doubted:
            self._meter(call.key, completion)
            await journal.give_up(call.key, self._problem_name, completion)
            return completion
        await journal.finish(call.key, completion, self.elapsed)
        self._meter(call.key, completion)
        return self._noting_truncation(call, completion)

    def _noting_truncation(self, call: _Call, completion: Completion) -> Completion:
        """A completion cut where the budget, not the caller, said so makes the problem over budget."""
        if completion.finish == "length" and call.max_tokens < call.wanted:
            self._overdraw()
        return completion

    # -- sleep ----------------------------------------------------------------------------------------------

    async def asleep(self, context: str, think: Callable[[str, Session], Awaitable[Notes]]) -> Notes:
        """What `think` makes of a context: once a run, however many problems wait for it.

        It gets a session of its own, whose problem has the context and no question, and no budget. What that spends is
        the sleep phase of the problem that came first, also when the run is resumed. A problem's clock stands still
        meanwhile.

        Raises:
            RequestError: `think` failed, or the run is being stopped.
        """
        name, before = context_hash(context), self.elapsed
        kept = self._setup.journal.lookup_notes(name)
        if kept is not None and kept[0] != self.name:
            return Notes(**json.loads(kept[1]))
        if name not in self._setup.asleep:
            unlimited = replace(self._setup, budget=Budget())
            self._sleeper = Session(Problem(f"sleep/{name}", "", context), unlimited)
            self._setup.asleep[name] = asyncio.ensure_future(self._sleep(name, context, think, self._sleeper))
        if self._alarm is not None:
            self._alarm.cancel()
        try:
            return await asyncio.shield(self._setup.asleep[name])
        finally:
            self._started = self._loop.time() - before
            self._set_alarm()

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
    def _problem_name(self) -> str:
        return (self._trunk or self).name

    def _overdraw(self) -> None:
        self.over_budget = True
        if self._trunk is not None:
            self._trunk.over_budget = True

    def _charge(self, usage: Usage) -> None:
        """Account for `usage` of this session and, where it is a branch, of the whole problem."""
        self.usage.add(usage)
        self._made.add(usage)
        if self._trunk is not None and self._trunk._made is not self._made:
            self._trunk._made.add(usage)

    def _meter(self, key: bytes, c: Completion) -> None:
        self._paid.add(key)
        self._charge(
            Usage(
                c.prompt_tokens,
                c.cached_tokens,
                c.generated_tokens,
                wasted_tokens=c.generated_tokens if c.finish == "abort" else 0,
                calls=1,
                flops=self._cost(c.prompt_tokens, c.cached_tokens, c.generated_tokens),
                queue_seconds=c.queue_seconds or 0.0,
            )
        )

    def _cost(self, prompt: int, cached: int | None, generated: int) -> float | None:
        """FLOPs of a call; prompt tokens count as computed where the engine does not say they were cached."""
        cost = self._setup.engine.cost
        return None if cost is None else cost.call(prompt, cached or 0, generated)

    def _flops(self, prompt: int, generated: int) -> float:
        """The most that a call may cost: nothing of its prompt cached."""
        return self._cost(prompt, 0, generated) or 0.0

    @property
    def elapsed(self) -> float:
        """Seconds spent on this problem, in this life of the run and those before."""
        return self._loop.time() - (self._trunk or self)._started

    def _advance_clock(self, elapsed: float) -> None:
        """A replayed call brings back the time it took: a resumed problem does not get its seconds anew."""
        if self._trunk is not None:
            self._trunk._advance_clock(elapsed)
        elif elapsed > self.elapsed:
            self._started = self._loop.time() - elapsed
            self._set_alarm()

    def _expired(self) -> bool:
        if self._trunk is not None:
            return self._trunk._expired()
        seconds = self._setup.budget.seconds
        return self._stopped or (seconds is not None and self.elapsed >= seconds)

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        if (seconds := self._setup.budget.seconds) is not None:
            self._alarm = self._loop.call_at(self._started + seconds, self._expire)

    def _expire(self) -> None:
        if self._in_flight or self._scoring or any(part._in_flight for _, part in self._beside):
            self.over_budget = True
            self._aborting = asyncio.ensure_future(self._abort())

    async def _abort(self) -> None:
        if self._in_flight:
            await self._setup.engine.abort(*self._in_flight)
        for _, part in self._beside:
            await part._abort()
        for request_id in list(self._scoring):
            if self._setup.verifier is not None:
                await self._setup.verifier.abort(request_id)

    async def expire(self) -> None:
        """The run's time is up: as at the problem's own deadline, whatever has finished is what there is."""
        self.over_budget = True
        await self.stop()

    async def stop(self) -> None:
        """Abort everything in flight and admit nothing more; the strategy gets what was generated so far."""
        self._stopped = True
        if self._sleeper is not None:
            await self._sleeper.stop()
        await self._abort()

    @property
    def phases(self) -> dict[Phase, Usage]:
        """What was spent asleep, where this problem is the one that paid for it, and on the question."""
        return {"sleep": self._sleeper.usage, "test": self.usage} if self._sleeper else {"test": self.usage}

    def close(self) -> Usage:
        """Stop the clock and hand over the account of all phases."""
        if self._alarm is not None:
            self._alarm.cancel()
        self.usage.seconds = self.elapsed
        whole = Usage()
        for usage in self.phases.values():
            whole.add(usage)
        return whole


def _mean(weighted: Sequence[tuple[float | None, int]]) -> float | None:
    """The mean of the values that are known, by their weights; None where there is none."""
    known = [(value, weight) for value, weight in weighted if value is not None]
    total = sum(weight for _, weight in known)
    return math.fsum(value * weight for value, weight in known) / total if total else None


def _serves(found: Completion, call: _Call) -> bool:
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
