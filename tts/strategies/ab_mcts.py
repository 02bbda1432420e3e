"""AB-MCTS: wider or deeper, decided by Thompson sampling."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from tts.attempts import Attempts
from tts.errors import InputError
from tts.session import Running, Session
from tts.tree import Path, Select, demand_scores, drawn, elected
from tts.types import Completion, Problem, Solution
from tts.waiting import together


@dataclass(frozen=True)
class ABMCTS:
    """Adaptive branching: at every point of a tree of whole answers, write a new one (wider) or revise one that is
    there (deeper), by Thompson sampling over the verifier's scores. Inoue et al. 2025, arXiv:2503.04412, variant A.

    The search is the treequest library's (`pip install 'tts-reasoning[abmcts]'`). Its model of scores is Gaussian or
    beta. `parallel` answers are asked for before the scores of the first are known.
    """

    takes_verifier: ClassVar[bool] = True
    needs_verifier: ClassVar[bool] = True

    n: int = field(default=16, metadata={"help": "answers in all", "min": 1})
    parallel: int = field(default=1, metadata={"help": "answers at once", "min": 1})
    prior: Literal["gaussian", "beta"] = field(default="gaussian", metadata={"help": "distribution of the scores"})
    select: Select = field(default="highest", metadata={"help": "what chooses among the candidates"})

    def __post_init__(self) -> None:
        if importlib.util.find_spec("treequest") is None:
            raise InputError("ab-mcts needs the treequest library", "pip install 'tts-reasoning[abmcts]'")

    @property
    def width(self) -> int:
        """Answers that are in flight at once."""
        return self.parallel

    async def solve(self, problem: Problem, session: Session) -> Solution:
        import treequest

        search: Any = treequest.ABMCTSA(dist_type=self.prior)
        state, attempts = search.init_tree(), Attempts(session, problem)
        for begin in range(0, self.n, self.parallel):
            with _numbers_of(session, begin):
                state, trials = search.ask_batch(state, min(self.parallel, self.n - begin), ["answer"])
            drafts = await self._write(attempts, [trial.parent_state for trial in trials])
            for trial, draft in zip(trials, drafts, strict=True):
                if draft is not None:
                    state = search.tell(state, trial.trial_id, (draft, draft.score or 0.0))
            if None in drafts or session.over_budget:
                break
        demand_scores(session, attempts.paths)
        candidates = attempts.candidates()
        winner = await elected(session, candidates, self.select)
        return Solution(winner.answer if winner else None, candidates, {"tree": drawn(attempts.paths)})

    async def _write(self, attempts: Attempts, parents: list[Path | None]) -> list[Path | None]:
        """A draft for each parent, in view of the parent; noted in this order."""
        session = attempts.session
        prompts = [attempts.ask("revise", [p] if p else []) for p in parents]
        completions = await together(_completion(call) for call in session.submit(prompts))
        drafts = [
            None if completion is None else attempts.add(prompt, completion, parent)
            for completion, prompt, parent in zip(completions, prompts, parents, strict=True)
        ]
        await together(attempts.rate(draft) for draft in drafts if draft is not None)
        return drafts


async def _completion(call: Running | None) -> Completion | None:
    return None if call is None else await call


@contextmanager
def _numbers_of(session: Session, turn: int) -> Iterator[None]:
    """treequest draws from numpy's global generator: let it draw this problem's own numbers, and leave that alone."""
    import numpy as np

    before = np.random.get_state()
    np.random.seed(session.random(f"ab-mcts {turn}").getrandbits(32))
    try:
        yield
    finally:
        np.random.set_state(before)
