"""A deterministic engine without a model: replies from a file, a function or a built-in rule.

Part of the product: `--engine scripted` rehearses a batch, a prompt or a plot in seconds, and the tests run
on it. Latencies, failures and death come on demand, so that everything around a model can be shown to work.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import heapq
import importlib.util
import itertools
import json
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tts.engines.confidence import groups_of
from tts.errors import EngineDead, EngineUnavailable, RequestError
from tts.flops import Cost
from tts.types import Completion, Finish, Message, Prompt, Sampling

_TOKEN = re.compile(r"\s*\S+|\s+$")


@dataclass(frozen=True, slots=True)
class Reply:
    """What the engine says, and how.

    `error`: "request" fails this call, "dead" kills the engine. `latency` is seconds for the whole reply.
    `logprob` is the mean log-probability per token it claims, `confidences` those of its tokens (the last goes on to
    the end), by default 1 + `logprob`.
    """

    text: str = ""
    latency: float = 0.0
    error: str | None = None
    logprob: float = -0.5
    confidences: Sequence[float] = ()


Script = Callable[[str, int], Reply]
"""(prompt text, seed) → reply."""


class ScriptedEngine:
    """Replies by a script; a token is a word with the blanks before it."""

    kind = "scripted"
    by_priority = True
    cost: Cost | None = Cost(2e6)
    flops_per_token: float | None = 2e6
    kv_bytes_per_token: int | None = 1024

    def __init__(
        self,
        script: Script | None = None,
        model: str = "scripted",
        max_sequences: int = 64,
        max_model_len: int = 32768,
    ) -> None:
        self.notes: list[str] = []
        self.model = model
        self.max_sequences = max_sequences
        self.max_model_len = max_model_len
        self._script = script or arithmetic
        self._free = max_sequences
        self._queue: list[tuple[int, int, asyncio.Event, asyncio.Event]] = []
        self._arrivals = itertools.count()
        self._running: dict[str, asyncio.Event] = {}
        self._totals = {"prompt_tokens": 0, "cached_tokens": 0, "generated_tokens": 0}
        self._words: dict[int, str] = {}
        self._dead: str | None = None

    def render(self, messages: Sequence[Message], prefill: str = "") -> Prompt:
        text = "".join(f"{m.role}: {m.content}\n" for m in messages) + f"assistant: {prefill}"
        return Prompt(text, self.encode(text), tuple(messages))

    def encode(self, text: str) -> tuple[int, ...]:
        words = _TOKEN.findall(text)
        ids = tuple(int.from_bytes(hashlib.blake2b(w.encode(), digest_size=4).digest()) & 0x7FFFFFFF for w in words)
        self._words.update(zip(ids, words, strict=True))
        return ids

    def learn(self, text: str) -> None:
        """Take in the words of a text that another life of the engine said, so that its tokens can be read."""
        self.encode(text)

    def decode(self, token_ids: Sequence[int]) -> str:
        return "".join(self._words[i] for i in token_ids)

    async def generate(
        self, prompt: Prompt, sampling: Sampling, seed: int, request_id: str, *, priority: int = 0
    ) -> Completion:
        loop = asyncio.get_running_loop()
        submitted = loop.time()
        aborted = self._running[request_id] = asyncio.Event()
        try:
            if not await self._place(priority, aborted):
                queued = loop.time() - submitted
                return Completion("", "abort", seed=seed, queue_seconds=queued)
            try:
                return await self._reply(prompt, sampling, seed, aborted, loop.time() - submitted)
            finally:
                self._leave()
        finally:
            del self._running[request_id]

    async def logprobs(self, prompt: Prompt, start: int, request_id: str) -> list[float]:
        """A word that was there before is likely, another is not."""
        self._check_alive()
        ids = prompt.token_ids
        return [-1.0 if ids[i] in ids[:i] else -4.0 for i in range(start, len(ids))]

    async def _place(self, priority: int, aborted: asyncio.Event) -> bool:
        """Wait for a place; False when the request was aborted before it had one."""
        if self._free:
            self._free -= 1
            return True
        turn = asyncio.Event()
        heapq.heappush(self._queue, (priority, next(self._arrivals), turn, aborted))
        waits = [asyncio.ensure_future(event.wait()) for event in (turn, aborted)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            aborted.set()
            if turn.is_set():
                self._leave()
            raise
        finally:
            for wait in waits:
                wait.cancel()
        return turn.is_set()

    def _leave(self) -> None:
        """Give the place to whoever waits with the lowest priority and has not been aborted."""
        while self._queue:
            _, _, turn, aborted = heapq.heappop(self._queue)
            if not aborted.is_set():
                turn.set()
                return
        self._free += 1

    async def _reply(
        self, prompt: Prompt, sampling: Sampling, seed: int, aborted: asyncio.Event, queued: float
    ) -> Completion:
        self._check_alive()
        if sampling.thinking_tokens is not None:
            raise RequestError("the scripted engine has no thinking budget of its own")
        reply = self._script(prompt.text, seed)
        started = asyncio.get_running_loop().time()
        if reply.latency and not aborted.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(aborted.wait(), reply.latency)
        elapsed = asyncio.get_running_loop().time() - started
        if reply.error == "dead":
            self._dead = "the script said so"
        self._check_alive()
        if reply.error:
            raise RequestError(f"the script failed this request ({reply.error})")
        text, stop = _cut(reply.text, sampling.stop)
        words = _TOKEN.findall(text)
        finish: Finish = "stop"
        if aborted.is_set():
            finish, words = (
                "abort",
                words[: int(len(words) * min(1.0, elapsed / reply.latency))] if reply.latency else [],
            )
        elif sampling.max_tokens is not None and len(words) >= sampling.max_tokens:
            finish, words = (
                ("stop" if len(words) == sampling.max_tokens else "length"),
                words[: sampling.max_tokens],
            )
        given = tuple(reply.confidences) or (1.0 + reply.logprob,)
        claimed = [given[min(i, len(given) - 1)] for i in range(len(words))]
        groups = groups_of([[-c] for c in claimed], sampling.confidence_window, sampling.confidence_floor)
        doubted = groups is not None and groups.below
        if groups is not None and doubted:
            finish, words = "abort", words[: groups.tokens]
        text, ids = "".join(words), self.encode("".join(words))
        told = sampling.top_logprobs is not None
        self._totals["prompt_tokens"] += len(prompt.token_ids)
        self._totals["generated_tokens"] += len(ids)
        return Completion(
            text, finish, ids, len(prompt.token_ids), 0, len(ids),
            logprob_sum=reply.logprob * len(ids) if told else None,
            self_certainty=1.0 + reply.logprob if told else None, entropy=-reply.logprob if told else None,
            first=((words[0], reply.logprob),) if told and words and sampling.max_tokens == 1 else (),
            seed=seed, queue_seconds=queued, seconds=elapsed,
            stop=stop if finish == "stop" else None,
            group_confidence=groups.lowest if groups else None, tail_confidence=groups.tail if groups else None,
            doubted=doubted,
        )  # fmt: skip

    def _check_alive(self) -> None:
        if self._dead:
            raise EngineDead(f"the scripted engine died: {self._dead}")

    async def abort(self, *request_ids: str) -> None:
        for request_id in request_ids:
            if event := self._running.get(request_id):
                event.set()

    def counters(self) -> Mapping[str, int]:
        return dict(self._totals)

    def describe(self) -> Mapping[str, Any]:
        return {"engine": self.kind, "replay": "exact"}

    async def close(self) -> None:
        self._dead = self._dead or "it was closed"


def _cut(text: str, stops: Sequence[str]) -> tuple[str, str | None]:
    """The text up to the end of the first stop string in it, and which that is."""
    found = [(text.find(stop) + len(stop), stop) for stop in stops if stop in text]
    if not found:
        return text, None
    end, stop = min(found)
    return text[:end], stop


def arithmetic(prompt: str, seed: int) -> Reply:
    """The built-in script: combines the question's numbers, more often rightly than not, as a weak model might.

    It goes on with a response that has been begun.
    """
    asked, _, written = prompt.rpartition("assistant: ")
    numbers = [int(n) for n in re.findall(r"(?<![\w.])\d{1,9}(?![\w.]*\d)", asked.rsplit("Reason step by step", 1)[0])]
    if not numbers:
        numbers = [len(asked) % 10]
    a, b = numbers[0], numbers[-1]
    guesses = (a + b, a + b, a + b, abs(a - b), a * b, sum(numbers))
    made = re.search(r"Together they make (\d+)", written)
    value = int(made[1]) if made else random.Random(f"{prompt}\0{seed}").choice(guesses)
    given = ", ".join(map(str, numbers))
    steps = (f"The numbers given are {given}.", f"Together they make {value}.", f"The answer is \\boxed{{{value}}}.")
    whole = "\n\n".join(steps)
    rest = whole.removeprefix(written) if whole.startswith(written) else "\n\n".join(steps[written.count("\n\n") :])
    return Reply(rest or steps[-1])


def load_script(where: str) -> Script:
    """A script from `FILE.jsonl` or `FILE.py:FUNCTION`.

    A JSONL line is {"match": regular expression (absent: any), "reply": text or list of texts, "latency",
    "error", "logprob"}; the first line that matches the prompt answers; the seed picks among several texts.
    A function takes (prompt text, seed) and returns a text or a `Reply`.

    Raises:
        EngineUnavailable: it cannot be read, or says nothing.
    """
    path, colon, function = where.partition(":")
    try:
        return _from_function(Path(path), function) if colon else _from_lines(Path(path))
    except (OSError, ValueError, KeyError, TypeError, re.error, AttributeError, SyntaxError) as error:
        raise EngineUnavailable(
            f"cannot read script {where!r}: {error}",
            'FILE.jsonl with lines {"reply": …}, or FILE.py:FUNCTION',
        ) from error


def load_function(where: str) -> Callable[..., Any]:
    """The function at `FILE.py:FUNCTION`.

    Raises:
        EngineUnavailable: there is none.
    """
    path, _, function = where.partition(":")
    try:
        found = _function(Path(path), function)
    except (OSError, ImportError, AttributeError, SyntaxError, ValueError) as error:
        raise EngineUnavailable(f"cannot read {where!r}: {error}", "FILE.py:FUNCTION is expected") from error
    if not callable(found):
        raise EngineUnavailable(f"{where!r} is no function", "FILE.py:FUNCTION")
    return found  # type: ignore[no-any-return]


def _function(path: Path, name: str) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise OSError(f"no such Python file: {path}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, name)


def _from_function(path: Path, function: str) -> Script:
    call = _function(path, function)

    def script(prompt: str, seed: int) -> Reply:
        reply = call(prompt, seed)
        return reply if isinstance(reply, Reply) else Reply(str(reply))

    return script


def _from_lines(path: Path) -> Script:
    rules: list[tuple[re.Pattern[str], list[str], dict[str, Any]]] = []
    for line in filter(str.strip, path.read_text(encoding="utf-8").splitlines()):
        rule = json.loads(line)
        match, reply = rule.pop("match", ""), rule.pop("reply", "")
        rules.append((re.compile(match), reply if isinstance(reply, list) else [reply], rule))
        Reply("", **rule)  # an unknown key is an error now, not in mid-run

    def script(prompt: str, seed: int) -> Reply:
        for pattern, texts, how in rules:
            if pattern.search(prompt):
                return Reply(texts[random.Random(seed).randrange(len(texts))], **how)
        return Reply("The script has no line for this prompt.")

    return script
