"""Compute-optimal scaling: a few samples place the question, a calibrated policy says how to go on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from tts.errors import InputError
from tts.policy import DEFAULT, Choice, Policy, doubt, entropy, load
from tts.selection import by_verifier, majority
from tts.session import Session
from tts.strategies.best_of_n import BestOfN
from tts.strategies.self_consistency import SelfConsistency
from tts.types import Candidate, Problem, Solution, Strategy


@dataclass(frozen=True)
class ComputeOptimal:
    """Place the question by a few samples, then follow the policy for its difficulty. Snell et al. 2024,
    arXiv:2408.03314, section 3.

    `tts calibrate` fits the policy. The first samples are charged, and used again by a strategy that draws independent
    samples of the same prompt. Without a policy, four samples that agree are enough and others get sixteen.
    """

    takes_verifier: ClassVar[bool] = True

    policy: str = field(default="", metadata={"help": "file of `tts calibrate`"})
    tokens: float = field(
        default=0.0, metadata={"help": "budget a problem to look up; 0: the policy's largest", "min": 0}
    )

    @property
    def n(self) -> int:
        """The first samples; a strategy of the policy may draw more."""
        return self._policy().probe

    @property
    def width(self) -> int:
        """The first samples are in flight alone."""
        return self.n

    @property
    def inside(self) -> tuple[Strategy, ...]:
        """The policy's strategies at this budget: what any of them declares is passed on."""
        policy = self._policy()
        return tuple(_build(policy.choice(number, self.tokens)) for number in range(len(policy.bins)))

    def _policy(self) -> Policy:
        return load(self.policy) if self.policy else DEFAULT

    def check(self, verifier: str | None) -> None:
        """Raises InputError where the policy cannot be read, or needs what this run has not."""
        policy = self._policy()
        if policy.measure == "oracle":
            raise InputError(f"{self.policy} places questions by their targets: it is for analysis", "--measure score")
        if policy.verifier and policy.verifier != verifier:
            raise InputError(
                f"{self.policy} was calibrated with verifier {policy.verifier!r}", f"--verifier {policy.verifier}"
            )

    async def solve(self, problem: Problem, session: Session) -> Solution:
        policy, prompt = self._policy(), session.ask(problem)
        probe = session.read(await session.sample(prompt, policy.probe))
        if policy.measure == "score" and probe:
            probe = await session.scored(prompt, probe)
            score = by_verifier(session.verifier or "")
            value = doubt([score(c) for c in probe])
        else:
            value = entropy(await session.classes(probe))
        number = policy.place(value)
        choice = policy.choice(number, self.tokens)
        session.rewind()
        solution = await _build(choice, len(probe)).solve(problem, session)
        placed: dict[str, Any] = {"bin": number, "difficulty": value, "strategy": choice.strategy, **choice.options}
        return await _with_probe(solution, probe, {"placed": placed}, session)


def _build(choice: Choice, drawn: int = 0) -> Strategy:
    """The strategy of a choice; one that draws independent samples gets no fewer than are drawn already."""
    from tts.strategies import STRATEGIES

    kinds: Mapping[str, Any] = STRATEGIES
    if choice.strategy not in kinds or kinds[choice.strategy] is ComputeOptimal:
        raise InputError(
            f"the policy asks for strategy {choice.strategy!r}, which it cannot have", "make it again: tts calibrate"
        )
    try:
        built: Strategy = kinds[choice.strategy](**choice.options)
    except TypeError as error:
        raise InputError(
            f"the policy's options do not fit strategy {choice.strategy!r}: {error}", "make it again: tts calibrate"
        ) from error
    if isinstance(built, SelfConsistency | BestOfN):
        return replace(built, n=max(built.n, drawn))
    return built


async def _with_probe(
    solution: Solution, probe: list[Candidate], details: Mapping[str, Any], session: Session
) -> Solution:
    """The solution with the first samples among its candidates, and with their vote where it has no answer itself. A
    stop rule has not saved those of them that it left.
    """
    used = {c.completion for c in solution.candidates}
    unused = [c for c in probe if c.completion not in used]
    candidates = [*solution.candidates, *unused]
    if stopped := solution.details.get("stopped"):
        saved = stopped["saved_tokens"] - sum(c.completion.generated_tokens for c in unused)
        details = {**details, "stopped": {**stopped, "saved_tokens": max(0, saved)}}
    answer = solution.answer
    if answer is None:
        winner = majority(candidates, await session.classes(candidates))
        answer = winner.answer if winner else None
    return replace(solution, answer=answer, candidates=candidates, details={**solution.details, **details})
