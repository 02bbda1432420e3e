"""What a problem may spend, what it has spent, and what is reserved for what is under way."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from tts.types import Budget, Usage


@dataclass(slots=True)
class Ledger:
    """A problem's: what it has cost, earlier lives of the run included, and whether it came to an end of its budget."""

    usage: Usage
    over: bool = False


class Account:
    """The budget of a problem, of a part that has a share of it, or of a whole run, and what is charged to it."""

    def __init__(self, budget: Budget, ledger: Ledger, within: Account | None = None) -> None:
        """A budget counts this life's spending. What is left is never more than what is left `within`; what is charged
        and reserved here is so there too.
        """
        self.ledger = ledger
        self._budget, self._within = budget, within
        self.priced: bool = budget.flops is not None or (within is not None and within.priced)
        """Whether it matters what something may cost in FLOPs before it is made."""
        self.made = Usage()
        """What this life has spent."""
        self._calls = self._tokens = 0
        self._flops = 0.0

    def overdraw(self) -> None:
        """Something was wanted that the budget does not allow."""
        self.ledger.over = True

    def charge(self, usage: Usage) -> None:
        """Account for what was spent."""
        self.ledger.usage.add(usage)
        account: Account | None = self
        while account:
            account.made.add(usage)
            account = account._within

    def reserve(self, calls: int, tokens: int, flops: float) -> None:
        """Set aside what something may cost at most; negative numbers give it back."""
        self._calls, self._tokens, self._flops = self._calls + calls, self._tokens + tokens, self._flops + flops
        if self._within:
            self._within.reserve(calls, tokens, flops)

    def left(self) -> Budget:
        """What is left of the budget, what is reserved taken off.

        What an earlier life of the run spent on calls that it aborted is reported, and not charged here: a resumed
        problem gets the samples it would have had.
        """
        budget, made = self._budget, self.made
        left = Budget(
            None if budget.tokens is None else budget.tokens - made.generated_tokens - self._tokens,
            budget.seconds,
            None if budget.calls is None else budget.calls - made.calls - self._calls,
            None if budget.flops is None else budget.flops - (made.flops or 0.0) - self._flops,
        )
        return _least(left, self._within.left()) if self._within else left

    def shares(self, least: Sequence[float]) -> tuple[list[bool], Budget]:
        """Which of several calls what is left reaches, in their order, and the equal share that each of those gets.
        `least` are the FLOPs of each with one token. As many are reached as can have a token.
        """
        left, number = self.left(), len(least)
        for most in (left.calls, left.tokens):
            number = number if most is None else min(number, most)
        if left.flops is not None:
            dearest = sorted(least)
            number = bisect_right(range(1, number + 1), left.flops, key=lambda k: k * dearest[k - 1])
        if number < 1:
            return [False] * len(least), left
        share = replace(
            left,
            tokens=None if left.tokens is None else left.tokens // number,
            flops=None if left.flops is None else left.flops / number,
        )
        reached, free = [], number
        for flops in least:
            reached.append(free > 0 and (share.flops is None or flops <= share.flops))
            free -= reached[-1]
        return reached, share

    def parts(self, n: int) -> list[Account]:
        """`n` accounts with an equal share each of what is left."""
        left = self.left()
        shares = (
            replace(
                left,
                tokens=None if left.tokens is None else left.tokens // n,
                calls=None if left.calls is None else (left.calls + n - 1 - index) // n,
                flops=None if left.flops is None else left.flops / n,
            )
            for index in range(n)
        )
        return [Account(share, self.ledger, self) for share in shares]


def _least(one: Budget, other: Budget) -> Budget:
    """Limit by limit the tighter of two."""
    pairs = {f.name: (getattr(one, f.name), getattr(other, f.name)) for f in fields(Budget)}
    return Budget(**{name: min((v for v in pair if v is not None), default=None) for name, pair in pairs.items()})
