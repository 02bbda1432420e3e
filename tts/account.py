"""What a problem may spend, what it has spent, and what is reserved for calls under way."""

from __future__ import annotations

from dataclasses import replace

from tts.types import Budget, Usage


class Account:
    """The budget and the ledger of a problem, or of a part of one that has a share of its budget (its `parent`'s)."""

    def __init__(self, budget: Budget, usage: Usage, parent: Account | None = None) -> None:
        """`usage` is the whole problem's, earlier lives of the run included; a budget counts this life's."""
        self.usage = usage
        self._budget, self._parent = budget, parent
        self._made = Usage()
        self._over = False
        self.reserved_calls = 0
        self.reserved_tokens = 0
        self.reserved_flops = 0.0

    @property
    def over(self) -> bool:
        """Whether the problem came to an end of its budget."""
        return self._parent.over if self._parent else self._over

    def overdraw(self) -> None:
        """Something was wanted that the budget does not allow."""
        if self._parent:
            self._parent.overdraw()
        self._over = True

    def charge(self, usage: Usage) -> None:
        """Account for `usage` of this part and of the whole problem."""
        self.usage.add(usage)
        account: Account | None = self
        while account:
            account._made.add(usage)
            account = account._parent

    def left(self) -> Budget:
        """What is left of the budget, calls in flight taken off at what they were granted.

        What an earlier life of the run spent on calls that it aborted is reported, and not charged here: a resumed
        problem gets the samples it would have had.
        """
        budget, made = self._budget, self._made
        return replace(
            budget,
            tokens=None if budget.tokens is None else budget.tokens - made.generated_tokens - self.reserved_tokens,
            calls=None if budget.calls is None else budget.calls - made.calls - self.reserved_calls,
            flops=None if budget.flops is None else budget.flops - (made.flops or 0.0) - self.reserved_flops,
        )

    def reserve(self, calls: int, tokens: int, flops: float) -> None:
        """Set aside what calls may cost; negative numbers give it back."""
        self.reserved_calls += calls
        self.reserved_tokens += tokens
        self.reserved_flops += flops

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
        return [Account(share, self.usage, self) for share in shares]
