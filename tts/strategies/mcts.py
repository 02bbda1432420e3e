"""Monte Carlo tree search over steps, with the verifier's score as the value."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tts.session import Session
from tts.steps import Stepwise
from tts.tree import Path, Select, Tree, best, concluded, prune
from tts.types import Problem, Solution


@dataclass(slots=True, eq=False)
class Node:
    """A path with what the search knows of it: how often it was passed, and the sum of the values found below."""

    path: Path
    parent: Node | None = None
    children: list[Node] = field(default_factory=list)
    visits: int = 0
    total: float = 0.0

    @property
    def open(self) -> bool:
        """Whether anything below can still be grown."""
        return any(child.open for child in self.children) if self.children else self.path.live

    def lineage(self) -> Iterator[Node]:
        """The node and those above it."""
        node: Node | None = self
        while node is not None:
            yield node
            node = node.parent

    def learn(self, value: float) -> None:
        """Count a value found here for the node and those above it."""
        for node in self.lineage():
            node.visits += 1
            node.total += value


def keep(nodes: Sequence[Node], explore: float) -> Node:
    """The open node with the highest upper confidence bound: mean + explore · √(ln N / n)."""
    passed = math.log(sum(node.visits for node in nodes))
    return max(
        (node for node in nodes if node.open),
        key=lambda node: node.total / node.visits + explore * math.sqrt(passed / node.visits),
    )


@dataclass(frozen=True, kw_only=True)
class MCTS(Stepwise):
    """UCT: n times, walk down to a leaf by upper confidence bounds, try width next steps there, and carry their scores
    up. Kocsis and Szepesvári 2006 (10.1007/11871842_29); for reasoning steps e.g. Hao et al. 2023, arXiv:2305.14992.

    The value of a step is the verifier's score of the path so far; with `rollouts` that of the best new step gone on
    with to its end. The search ends early when all its paths have. If none has at the end, the best is finished.
    """

    n: int = field(default=16, metadata={"help": "simulations", "min": 1})
    width: int = field(default=3, metadata={"help": "next steps tried at a leaf", "min": 1})
    explore: float = field(default=0.5, metadata={"help": "weight of the confidence bound", "min": 0.0})
    rollouts: bool = field(default=False, metadata={"help": "value a step by finishing the response"})
    select: Select = field(default="weighted", metadata={"help": "what chooses among the candidates"})

    async def solve(self, problem: Problem, session: Session) -> Solution:
        tree = Tree(session, session.ask(problem), self)
        root = Node(tree.root)
        for _ in range(self.n):
            if not root.open:
                break
            leaf = root
            while leaf.children:
                leaf = keep(leaf.children, self.explore)
            steps = await tree.grow([leaf.path] * self.width)
            if not steps:
                break
            leaf.children = [Node(path, leaf) for path in steps]
            rolled = best(steps, 1)[0] if self.rollouts else None
            for node in leaf.children:
                end = await _finish(tree, node.path) if node.path is rolled else node.path
                node.learn(end.score or 0.0)
        await _conclude(tree)
        return await concluded(session, [tree], self.select)


async def _finish(tree: Tree, path: Path) -> Path:
    """Go on with a path until it ends, or the budget does."""
    while path.live:
        grown = await tree.grow([path], kind="rollout")
        if not grown:
            break
        (path,) = grown
    return path


async def _conclude(tree: Tree) -> None:
    """See to it that a path has ended, and give up those that have not."""
    if not any(path.ended for path in tree.paths):
        leaves = [path for path in best(tree.paths, len(tree.paths)) if path.live]
        if leaves:
            await _finish(tree, max(leaves, key=lambda path: path.steps))
    ended = [path for path in tree.paths if path.ended]
    if ended:
        prune(tree.paths, ended, len(tree.paths))
