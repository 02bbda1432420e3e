"""Step-level best-of-N: the best of n next steps, again and again."""

from __future__ import annotations

from dataclasses import dataclass, field

from tts.session import Session
from tts.steps import Stepwise
from tts.tree import Select, Tree, best, concluded, prune
from tts.types import Problem, Solution


@dataclass(frozen=True, kw_only=True)
class StepBestOfN(Stepwise):
    """Try n next steps, take the best, go on from there: one path, chosen step by step. Liu et al. 2025,
    arXiv:2502.07191 ("step-level best-of-N").

    What ended on the way is a candidate too.
    """

    n: int = field(default=8, metadata={"help": "steps tried at each point", "min": 1})
    select: Select = field(default="highest", metadata={"help": "what chooses among the candidates"})

    async def solve(self, problem: Problem, session: Session) -> Solution:
        tree = Tree(session, session.ask(problem), self)
        await climb(tree, self.n)
        return await concluded(session, [tree], self.select)


async def climb(tree: Tree, width: int) -> None:
    """From the root, go on with the best of `width` next steps until the path ends, or the budget does."""
    path, depth = tree.root, 0
    while path.live:
        steps = await tree.grow([path] * width)
        if not steps:
            break
        (path,), depth = best(steps, 1), depth + 1
        prune(steps, [path], depth)
