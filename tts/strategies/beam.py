"""Beam search against a process verifier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tts.session import Session
from tts.steps import Stepwise
from tts.strategies.groups import whole
from tts.tree import Path, Select, Tree, best, concluded, distinct, prune
from tts.types import Problem, Solution


def keep(paths: Sequence[Path], width: int) -> list[Path]:
    """The `width` best paths of a round, finished ones among them."""
    return best(paths, width)


@dataclass(frozen=True, kw_only=True)
class BeamSearch(Stepwise):
    """Grow n paths a step at a time, keep the n / width best, go on with width steps from each. Snell et al. 2024,
    arXiv:2408.03314, section 5.

    A path that the model has ended stays as it is: it competes with its score and is not grown. All that ended are
    candidates, also those that were given up; the answer is theirs with the largest sum of scores (`select`). With
    `lookahead` a step is scored by where it leads in so many more steps at temperature 0. `speculate` asks for the next
    steps of likely survivors before the slowest of the round is scored.
    """

    n: int = field(default=16, metadata={"help": "paths in a round", "min": 1})
    width: int = field(default=4, metadata={"help": "next steps of a path that is kept", "min": 1})
    lookahead: int = field(default=0, metadata={"help": "steps to look ahead", "min": 0})
    select: Select = field(default="weighted", metadata={"help": "what chooses among the candidates"})
    filter_duplicates: bool = field(default=False, metadata={"help": "keep equal paths only once"})
    speculate: bool = field(default=False, metadata={"help": "begin the next round before this one is scored"})

    def __post_init__(self) -> None:
        super().__post_init__()
        whole(self.n, "width", self.width)

    @property
    def aborts(self) -> bool:
        """Whether steps may be cut in mid-flight: what was foreseen and not kept."""
        return self.speculate

    async def solve(self, problem: Problem, session: Session) -> Solution:
        tree = Tree(session, session.ask(problem), self)
        kept = self.n // self.width
        paths = await self._grow(tree, [tree.root] * self.n)
        for depth in range(1, self.max_steps):
            survivors = keep(distinct(paths) if self.filter_duplicates else paths, kept)
            prune(paths, survivors, depth)
            grown = await self._grow(tree, [p for p in survivors if p.live for _ in range(self.width)])
            if not grown:
                break
            paths = [p for p in survivors if p.ended] + grown
        return await concluded(session, [tree], self.select)

    async def _grow(self, tree: Tree, parents: Sequence[Path]) -> list[Path]:
        """One round; with `speculate`, half of it scored, the best so far are gone on with."""
        seen: list[Path] = []

        def scored(path: Path) -> None:
            seen.append(path)
            if self.speculate and len(seen) == (len(parents) + 1) // 2:
                for likely in keep(seen, self.n // self.width):
                    tree.foresee(likely, self.width)

        return await tree.grow(parents, lookahead=self.lookahead, scored=scored)
