"""The nouns and protocols of the project. Standard library only.

A *problem* is what a strategy may see; an *example* adds the target, which only checkers see.
A *completion* is what the engine said; a *candidate* is a completion read as an answer; a *solution* is
a strategy's answer with all its candidates.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:
    from tts.flops import Cost
    from tts.session import Session

Finish = Literal["stop", "length", "abort"]
"""Why generation ended, in the engine's word: end of text or stop string; token limit; aborted."""
Status = Literal["ok", "over_budget", "error"]
GradeStatus = Literal["ok", "target_unparsed", "no_answer", "answer_unparsed", "timeout", "too_large"]
Phase = Literal["sleep", "test"]
Count = TypeVar("Count", int, float)


@dataclass(frozen=True, slots=True)
class Problem:
    """What a strategy sees. `choices` are the options of a multiple-choice question, in order."""

    id: str
    question: str
    context: str | None = None
    choices: tuple[str, ...] | None = None

    @property
    def variables(self) -> dict[str, Any]:
        """What a prompt template may say of it."""
        return {"question": self.question, "context": self.context, "choices": self.choices}


@dataclass(frozen=True, slots=True)
class Example:
    """A problem with its target; `target` is None where there is nothing to grade against.

    `metadata` goes into the record: cluster, level and subject where the benchmark has them, choices as shown and their
    permutation. `checker` grades this problem in place of the symbolic one.
    """

    problem: Problem
    target: str | None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    checker: Checker | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """A rendered prompt: the text, its token ids, and the messages it was rendered from.

    `token_ids` is empty only where no tokenizer is known (a remote server that is reached by messages).
    """

    text: str
    token_ids: tuple[int, ...] = ()
    messages: tuple[Message, ...] = ()

    def followed_by(self, text: str, token_ids: tuple[int, ...]) -> Prompt:
        """The prompt that goes on after a piece of the response: its tokens appended, nothing rendered anew."""
        return Prompt(self.text + text, self.token_ids + token_ids, self.messages)


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to sample. None means the model's own default (its generation_config.json), then vLLM's.

    `max_tokens` None: as much as fits. A `stop` string ends generation and stays part of the completion, so that a
    next piece can be appended to its tokens. `top_logprobs` asks for the k most likely tokens at each position, from
    which self-certainty is computed (0: the chosen one alone, -1: the whole vocabulary, None: no log-probability at
    all), and with a `confidence_window` (in tokens) the confidence of groups of so many. Where a group's falls below
    `confidence_floor`, the completion is cut. `thinking_tokens` asks the engine itself to end a model's thinking there;
    engines that cannot refuse the request.
    """

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    top_logprobs: int | None = 0
    ignore_eos: bool = False
    thinking_tokens: int | None = None
    confidence_window: int = 0
    confidence_floor: float | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """One engine call's outcome.

    Tokens are counted by the engine; `cached_tokens` is None where the engine does not tell. `logprob_sum` is
    the sum of the chosen tokens' log-probabilities in nats; `self_certainty` the mean over positions of
    KL(uniform || p) estimated on the top-k (Kang et al. 2025, arXiv:2502.18581); `entropy` the mean over positions of
    the next token's entropy in nats, estimated likewise. `first` lists the likeliest first tokens as (text,
    log-probability), where a single token was asked for with its alternatives. Times are in seconds. `stop` is the stop
    string that ended it, None at the end of text. `group_confidence` is the lowest of any window of tokens,
    `tail_confidence` that of the last one, in nats (Fu et al. 2025, arXiv:2508.15260); `doubted`: it was cut, with
    finish `abort`, because a group's fell below the floor.
    """

    text: str
    finish: Finish
    token_ids: tuple[int, ...] = ()
    prompt_tokens: int = 0
    cached_tokens: int | None = None
    generated_tokens: int = 0
    logprob_sum: float | None = None
    self_certainty: float | None = None
    seed: int = 0
    queue_seconds: float | None = None
    seconds: float = 0.0
    stop: str | None = None
    entropy: float | None = None
    first: tuple[tuple[str, float], ...] = ()
    group_confidence: float | None = None
    tail_confidence: float | None = None
    doubted: bool = False

    @property
    def complete(self) -> bool:
        """Whether the model ended its response here: neither a stop string, nor a limit, nor an abort did."""
        return self.finish == "stop" and self.stop is None

    @property
    def without_logprobs(self) -> Completion:
        """As it would have come had no log-probability been asked for."""
        return replace(self, logprob_sum=None, self_certainty=None, entropy=None, first=())

    @property
    def logprob_mean(self) -> float | None:
        """Mean log-probability per generated token, in nats; None where unknown or nothing was generated."""
        if self.logprob_sum is None or not self.generated_tokens:
            return None
        return self.logprob_sum / self.generated_tokens


@dataclass(frozen=True, slots=True)
class Candidate:
    """A completion read as an answer. `answer` None: no answer could be read, which is not a wrong answer.

    `scores` maps a scorer's name to its score (higher is better); step scores stay lists. `unscored` says why the
    verifier gave none.
    """

    completion: Completion
    answer: str | None
    scores: Mapping[str, float | Sequence[float]] = field(default_factory=dict)
    unscored: str | None = None


@dataclass(frozen=True, slots=True)
class Solution:
    """A strategy's answer (None: it has none) and every candidate it drew, kept or not.

    `details` is what else the strategy wants on record, as plain values for JSON: the `tree` of a search, the `rounds`
    of a chain. It stands beside answer and candidates in the record's solution.
    """

    answer: str | None
    candidates: Sequence[Candidate] = ()
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Grade:
    """A checker's verdict. `correct` None means unscored: the *target* did not parse, or there is none.

    `method` says how the verdict was reached: text, number, structure, symbolic, numeric, choice …
    """

    correct: bool | None
    status: GradeStatus
    answer: str | None = None
    target: str | None = None
    method: str | None = None


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits per problem; None is unlimited. Tokens are generated tokens, aborted ones included."""

    tokens: int | None = None
    seconds: float | None = None
    calls: int | None = None
    flops: float | None = None

    def __str__(self) -> str:
        return " ".join(f"{f.name}={v:g}" for f in fields(self) if (v := getattr(self, f.name)) is not None)


@dataclass(slots=True)
class Usage:
    """What was spent, metered at the engine boundary.

    `prompt_tokens` were submitted and processed, of which `cached_tokens` came from the prefix cache (None:
    the engine does not tell); `generated_tokens` include `wasted_tokens`, those of aborted calls.
    `seconds` is wall time, `queue_seconds` the sum over calls of the wait for a place in the batch.
    """

    prompt_tokens: int = 0
    cached_tokens: int | None = 0
    generated_tokens: int = 0
    wasted_tokens: int = 0
    verifier_tokens: int = 0
    verifier_cached_tokens: int = 0
    calls: int = 0
    unaccounted_calls: int = 0
    flops: float | None = 0.0
    queue_seconds: float = 0.0
    seconds: float = 0.0

    def add(self, other: Usage) -> None:
        """Add `other` in place; an unknown (None) summand makes the sum unknown."""
        self.prompt_tokens += other.prompt_tokens
        self.cached_tokens = _sum(self.cached_tokens, other.cached_tokens)
        self.generated_tokens += other.generated_tokens
        self.wasted_tokens += other.wasted_tokens
        self.verifier_tokens += other.verifier_tokens
        self.verifier_cached_tokens += other.verifier_cached_tokens
        self.calls += other.calls
        self.unaccounted_calls += other.unaccounted_calls
        self.flops = _sum(self.flops, other.flops)
        self.queue_seconds += other.queue_seconds
        self.seconds += other.seconds

    @classmethod
    def sum(cls, parts: Iterable[Usage]) -> Usage:
        """All of them together."""
        whole = cls()
        for part in parts:
            whole.add(part)
        return whole


def _sum(one: Count | None, other: Count | None) -> Count | None:
    return None if one is None or other is None else one + other


class Engine(Protocol):
    """Something that completes prompts, one request at a time from here; batching is its own affair."""

    kind: str
    """vllm, server or scripted: part of the journal's key."""
    model: str
    max_sequences: int
    """How many requests it runs at once: enough problems are kept in flight to fill them."""
    by_priority: bool
    """Whether waiting requests are served in the order of their priority, and cost nothing while they wait."""
    max_model_len: int
    """Prompt and generated tokens together."""
    cost: Cost | None
    """FLOPs of a call by its token counts; None where the model's configuration is not understood."""
    flops_per_token: float | None
    """Forward-pass FLOPs a computed token costs; None where the model's configuration is unknown."""
    kv_bytes_per_token: int | None
    """Bytes of key-value cache a token of context takes; None where the model's configuration is unknown."""
    notes: list[str]
    """What the user should be told once: the model's own sampling defaults, a missing chat template."""

    def render(self, messages: Sequence[Message], prefill: str = "") -> Prompt:
        """Apply the chat template; `prefill` begins the assistant's turn."""
        ...

    def encode(self, text: str) -> tuple[int, ...]:
        """Token ids of a text in the middle of a prompt: special tokens are read, none is added.

        Raises:
            InputError: the engine knows no tokenizer.
        """
        ...

    def decode(self, token_ids: Sequence[int]) -> str:
        """The text of generated tokens, special tokens left out.

        Raises:
            InputError: the engine knows no tokenizer.
        """
        ...

    async def generate(
        self, prompt: Prompt, sampling: Sampling, seed: int, request_id: str, *, priority: int = 0
    ) -> Completion:
        """Complete `prompt`. Lower `priority` is served first. After `abort`, returns what there was.

        Raises:
            RequestError: this request failed, the engine lives.
            EngineDead: the engine is gone.
        """
        ...

    async def logprobs(self, prompt: Prompt, start: int, request_id: str) -> list[float]:
        """Log-probability in nats of each prompt token from position `start` (at least 1) on, given those before it.

        Raises:
            RequestError: this request failed, or the engine cannot tell.
            EngineDead: the engine is gone.
        """
        ...

    async def abort(self, *request_ids: str) -> None:
        """End requests now; each one's `generate` returns with finish `abort`. Unknown ids are ignored."""
        ...

    def counters(self) -> Mapping[str, int]:
        """The engine's own totals since it started: prompt_tokens, cached_tokens, generated_tokens, steps, and running
        (the sum over steps of sequences in the batch), as far as it has them.
        """
        ...

    def describe(self) -> Mapping[str, Any]:
        """Versions, arguments and hardware for the manifest."""
        ...

    async def close(self) -> None:
        """Stop, leaving no process behind. Safe to call twice."""
        ...


@dataclass(frozen=True, slots=True)
class StepScores:
    """A verifier's view of one completion: a score in [0, 1] for each step, and what they come to together.

    `value` None: it has no score, and `error` says why. `tokens` is what the verifier read for it, of which
    `cached_tokens` came from its prefix cache. `unread` steps were cut off because it takes no more.
    """

    steps: tuple[float, ...]
    value: float | None
    tokens: int = 0
    cached_tokens: int = 0
    error: str | None = None
    unread: int = 0


class Verifier(Protocol):
    """Scores completions without the target."""

    name: str
    key: str | None
    """What its scores depend on besides the messages and the response: name, card and model; part of the journal's
    key. None: they cost nothing, or come of calls that are journalled themselves."""
    flops_per_token: float | None
    notes: list[str]
    """What the user should be told once."""

    async def score(self, prompt: Prompt, completion: Completion, session: Session, request_id: str) -> StepScores:
        """The scores of one completion of `prompt`, finished or not. A verifier that asks a model by generation
        (a judge) does so through the session.

        Raises:
            RequestError: this one cannot be scored, the verifier lives.
            EngineDead: its engine is gone.
        """
        ...

    async def abort(self, request_id: str) -> None:
        """End a scoring now: its `score` raises RequestError. Unknown ids are ignored."""
        ...

    async def close(self) -> None:
        """Stop, leaving no process behind. Safe to call twice."""
        ...


@runtime_checkable
class Comparer(Protocol):
    """A verifier whose scores depend on the other candidates: it is given all at once."""

    async def compare(self, completions: Sequence[Completion], session: Session) -> list[StepScores]:
        """The scores of candidates beside each other, asked for through the session."""
        ...


class Strategy(Protocol):
    """A frozen dataclass whose fields are its options."""

    async def solve(self, problem: Problem, session: Session) -> Solution: ...


class Checker(Protocol):
    """Compares an answer with a target: pure, hashable, and run in a worker that can be killed."""

    def __call__(self, answer: str, target: str) -> Grade: ...
