"""REBASE: next steps in proportion to how promising a path is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from tts.session import Session
from tts.steps import Stepwise
from tts.tree import Path, Select, Tree, best, concluded, prune
from tts.types import Problem, Solution


def keep(paths: Sequence[Path], width: int, balance: float) -> list[tuple[Path, int]]:
    """How many of `width` next steps each path gets: its softmax share of what is left, rounded up, the best first; so
    that the shares add up to `width` and the worst get none. Paths without a score get none.
    """
    ranked = [p for p in best(paths, len(paths)) if p.score is not None]
    if not ranked:
        return []
    weights = [math.exp((path.rank - ranked[0].rank) / balance) for path in ranked]
    shares = []
    for index, path in enumerate(ranked):
        share = math.ceil(width * weights[index] / math.fsum(weights[index:]) - 1e-9) if width > 0 else 0
        width -= share
        if share > 0:
            shares.append((path, share))
    return shares


@dataclass(frozen=True, kw_only=True)
class Rebase(Stepwise):
    """Reward-balanced search: each round has as many next steps as there are solutions still to find, shared among the
    paths by the softmax of their scores. Wu et al. 2024, arXiv:2408.00724, section 4.

    A path that ends takes one place for good; the search is over when n have ended. The answer is the one with the
    largest sum of scores.
    """

    n: int = field(default=16, metadata={"help": "solutions to find", "min": 1})
    balance: float = field(default=0.2, metadata={"help": "temperature of the softmax over scores", "min": 1e-6})
    select: Select = field(default="weighted", metadata={"help": "what chooses among the candidates"})

    async def solve(self, problem: Problem, session: Session) -> Solution:
        tree = Tree(session, session.ask(problem), self)
        width = self.n
        paths = await tree.grow([tree.root] * width)
        for depth in range(1, self.max_steps):
            width -= sum(not path.live for path in paths)
            live = [path for path in paths if path.live]
            shares = keep(live, width, self.balance)
            prune(live, [path for path, _ in shares], depth)
            paths = await tree.grow([path for path, share in shares for _ in range(share)])
            if not paths:
                break
        return await concluded(session, [tree], self.select)
