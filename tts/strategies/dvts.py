"""Diverse verifier tree search: several small searches instead of one large."""

from __future__ import annotations

from dataclasses import dataclass, field

from tts.session import Session
from tts.steps import Stepwise
from tts.strategies.groups import whole
from tts.strategies.step_best_of_n import climb
from tts.tree import Select, Tree, concluded
from tts.types import Problem, Solution
from tts.waiting import together


@dataclass(frozen=True, kw_only=True)
class DVTS(Stepwise):
    """n / width independent subtrees, each of which tries width steps and goes on with the best. Beeching et al. 2024,
    huggingface.co/spaces/HuggingFaceH4/blogpost-scaling-test-time-compute; after Snell et al. 2024, arXiv:2408.03314.

    Subtrees do not wait for each other and do not compete, so that one early favourite cannot take all the beams. Each
    has an equal share of a budget.
    """

    n: int = field(default=16, metadata={"help": "paths in a round, over all subtrees", "min": 1})
    width: int = field(default=4, metadata={"help": "steps tried at each point of a subtree", "min": 1})
    select: Select = field(default="weighted", metadata={"help": "what chooses among the candidates"})

    def __post_init__(self) -> None:
        super().__post_init__()
        whole(self.n, "width", self.width)

    async def solve(self, problem: Problem, session: Session) -> Solution:
        prompt = session.ask(problem)
        trees = [Tree(part, prompt, self) for part in session.branches(self.n // self.width)]
        await together(climb(tree, self.width) for tree in trees)
        return await concluded(session, trees, self.select)
