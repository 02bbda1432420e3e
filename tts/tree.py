"""The paths of a search: grown step by step through a session, each scored as soon as its step ends."""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from tts.errors import RequestError
from tts.selection import by_verifier, choose, majority
from tts.session import Running, Session
from tts.steps import Stepwise
from tts.types import Candidate, Completion, Finish, Prompt, Solution, StepScores
from tts.waiting import together

Select = Literal["weighted", "highest", "majority"]
UNSCORED = StepScores((), None)


@dataclass(slots=True, eq=False)
class Path:
    """A response as far as it has been written, and its last step.

    `prompt` is what its next step is asked with; `response` is all that was written, `text` and `tokens` the last step.
    `finish` is the engine's word for why that ended; `ended`: the model has ended the response, which then stays as it
    is and keeps its score. `cut`: a limit of the path is reached. `pruned` is the depth of the search at which it was
    given up. `ahead` are the steps that were written only to see where it leads.
    """

    parent: Path | None
    prompt: Prompt
    kind: str = "step"
    response: Completion | None = None
    steps: int = 0
    text: str = ""
    tokens: int = 0
    finish: Finish = "stop"
    ended: bool = False
    cut: bool = False
    scores: StepScores = UNSCORED
    score: float | None = None
    pruned: int | None = None
    ahead: list[Path] = field(default_factory=list)

    @property
    def live(self) -> bool:
        """Whether it can go on."""
        return not (self.ended or self.cut or self.finish == "abort")

    @property
    def rank(self) -> float:
        """Its score for comparisons: a path that could not be scored comes last."""
        return -math.inf if self.score is None else self.score


def best(paths: Sequence[Path], count: int) -> list[Path]:
    """The `count` highest-scored paths; among equals those that came first."""
    return sorted(paths, key=lambda path: -path.rank)[:count]


def distinct(paths: Sequence[Path]) -> list[Path]:
    """Paths that say different things: of equal ones the first."""
    different: dict[str, Path] = {}
    for path in paths:
        different.setdefault(path.response.text if path.response else "", path)
    return list(different.values())


def prune(paths: Iterable[Path], kept: Iterable[Path], depth: int) -> None:
    """Mark what is not kept as given up at this depth of the search."""
    keep = {id(path) for path in kept}
    for path in paths:
        if id(path) not in keep:
            path.pruned = depth


def demand_scores(session: Session, paths: Sequence[Path]) -> None:
    """Raises RequestError where the verifier has a score for none of the paths, time and budget not being up."""
    if paths and not session.ended and all(path.score is None for path in paths):
        raise RequestError(f"verifier {session.verifier!r}: {paths[0].scores.error or 'no score'}")


class Tree:
    """All paths of a search for one problem, or of an independent part of one."""

    def __init__(self, session: Session, prompt: Prompt, options: Stepwise) -> None:
        self.root = Path(None, prompt)
        self.paths: list[Path] = []
        self._session, self._options = session, options
        self._early: defaultdict[tuple[int, ...], list[Running]] = defaultdict(list)

    async def grow(
        self,
        parents: Sequence[Path],
        *,
        kind: str = "step",
        lookahead: int = 0,
        scored: Callable[[Path], None] | None = None,
    ) -> list[Path]:
        """A next step for each of `parents` (one named m times gets m), in their order; fewer where the budget ends,
        and none where the verifier has no score for any of them: there is nothing to go on by. All are asked for at
        once; each is scored as soon as it ends, and `scored` is told. With `lookahead`, the score is that of the path
        gone on for so many steps at temperature 0.

        Raises:
            RequestError: a call failed.
            EngineDead: an engine is gone.
        """
        parents = [p for p in parents if p.live]
        pairs = [(Path(p, p.prompt, kind), call) for p, call in zip(parents, self._ask(parents), strict=True) if call]

        async def follow(path: Path, call: Running) -> bool:
            if (completion := await call) is None:
                return False
            self._write(path, completion)
            await self._rate(path, lookahead)
            if scored is not None:
                scored(path)
            return True

        try:
            leftover = self.abandon()
            *there, _ = await together([*(follow(path, call) for path, call in pairs), leftover])
        except Exception:
            await self.abandon()
            raise
        grown = [path for (path, _), written in zip(pairs, there, strict=True) if written]
        self.paths += grown
        return grown if self._session.ended or any(path.score is not None for path in grown) else []

    def foresee(self, path: Path, count: int) -> None:
        """Ask for `count` next steps of a path that will probably be kept, behind all that is surely wanted."""
        if path.live:
            asked = [self._sampling(path)] * count
            calls = self._session.submit([path.prompt] * count, asked, priority=1)
            self._early[path.prompt.token_ids] += [call for call in calls if call is not None]

    async def abandon(self) -> bool:
        """Give up what was foreseen and not asked for."""
        calls = [call for early in self._early.values() for call in early]
        self._early.clear()
        await asyncio.gather(*(call.drop() for call in calls))
        return False

    def _ask(self, parents: Sequence[Path]) -> list[Running | None]:
        """A call for each parent, one that was foreseen or a new one; None where the budget ends."""
        early: list[Running | None] = [None] * len(parents)
        if self._early:
            early = [calls.pop(0) if (calls := self._early.get(p.prompt.token_ids)) else None for p in parents]
        missing = [p for p, call in zip(parents, early, strict=True) if call is None]
        sampling = {id(p): self._sampling(p) for p in {id(p): p for p in missing}.values()}
        fresh = iter(self._session.submit([p.prompt for p in missing], [sampling[id(p)] for p in missing]))
        return [call or next(fresh) for call in early]

    def _sampling(self, path: Path) -> Any:
        written, generated = (path.response.text, path.response.generated_tokens) if path.response else ("", 0)
        return self._options.piece(self._session.sampling, written, generated, self._session.step_end)

    def _write(self, path: Path, completion: Completion) -> None:
        session, parent = self._session, path.parent
        assert parent is not None
        path.response = session.join([parent.response, completion]) if parent.response else completion
        path.prompt = session.extend(parent.prompt, completion)
        path.text, path.tokens = completion.text, completion.generated_tokens
        path.finish, path.ended = completion.finish, completion.complete
        path.steps = parent.steps + 1
        most = session.sampling.max_tokens
        path.cut = not path.ended and (
            path.steps >= self._options.max_steps
            or (most is not None and path.response.generated_tokens >= most)
            or session.room(path.prompt) < 1
        )

    async def _rate(self, path: Path, lookahead: int) -> None:
        """Score a path by what it says, or by what it comes to a few steps on."""
        seen = path
        for _ in range(lookahead):
            if not seen.live:
                break
            greedy = replace(self._sampling(seen), temperature=0.0)
            (call,) = self._session.submit([seen.prompt], [greedy])
            if call is None or (completion := await call) is None:
                break
            seen = Path(seen, seen.prompt, "lookahead")
            self._write(seen, completion)
            path.ahead.append(seen)
        assert seen.response is not None
        path.scores = await self._session.rate(self.root.prompt, seen.response)
        path.score = self._options.value(path.scores)

    def candidates(self) -> list[Candidate]:
        """The paths that ended, and those that were still wanted when the search did; the latter count as cut short."""
        parents = {id(path.parent) for path in self.paths}
        leaves = [p for p in self.paths if p.ended or (p.pruned is None and id(p) not in parents)]
        found = []
        for path in leaves:
            assert path.response is not None
            response = path.response
            if not path.ended:
                response = replace(response, finish="abort" if path.finish == "abort" else "length", stop=None)
            (candidate,) = self._session.read([response])
            found.append(self._session.with_scores(candidate, replace(path.scores, value=path.score)))
        return found


async def concluded(session: Session, trees: Sequence[Tree], select: Select) -> Solution:
    """The answer that a search comes to, its candidates, and its tree.

    Raises:
        RequestError: the verifier has no score for any path of any tree.
    """
    for tree in trees:
        await tree.abandon()
    demand_scores(session, [path for tree in trees for path in tree.paths])
    candidates = [c for tree in trees for c in tree.candidates()]
    winner = await elected(session, candidates, select)
    paths = [path for tree in trees for path in tree.paths]
    return Solution(winner.answer if winner else None, candidates, {"tree": drawn(paths)})


async def elected(session: Session, candidates: Sequence[Candidate], select: Select) -> Candidate | None:
    """The candidate with the highest score of the verifier, with the answer of the largest sum of scores, or of the
    most common answer. None where there is no answer.
    """
    classes = await session.classes(candidates)
    if select == "majority":
        return majority(candidates, classes)
    return choose(select, candidates, classes, by_verifier(session.verifier or ""))


def drawn(paths: Iterable[Path]) -> list[dict[str, Any]]:
    """The nodes of a search as plain values: `parent` is the id of another, or None for a first step."""
    paths = [node for path in paths for node in (path, *path.ahead)]
    ids = {id(path): index for index, path in enumerate(paths)}
    return [
        {
            "id": ids[id(path)],
            "parent": ids.get(id(path.parent)),
            "kind": path.kind,
            "text": path.text,
            "score": None if path.score is None else round(path.score, 6),
            "tokens": path.tokens,
            "finish": path.finish,
            "ended": path.ended,
            "pruned": path.pruned,
            **({"error": path.scores.error} if path.scores.error else {}),
        }
        for path in paths
    ]
