"""Particle filtering: paths as particles, weighted by the verifier and drawn again when few carry the weight."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from tts.session import Session
from tts.steps import Stepwise
from tts.tree import Path, Select, Tree, concluded, prune
from tts.types import Problem, Solution

CLOSEST = 1e-6
"""Scores are kept this far from 0 and 1, where the logit has no end."""


def weights(paths: Sequence[Path], temperature: float) -> list[float]:
    """Softmax of the scores' logits: the odds that the verifier gives, to the power 1 / temperature, adding up to 1.
    Paths without a score weigh nothing; if none has one, all weigh the same.
    """
    scores = [None if p.score is None else min(max(p.score, CLOSEST), 1 - CLOSEST) for p in paths]
    logits = [-math.inf if s is None else (math.log(s) - math.log1p(-s)) / temperature for s in scores]
    top = max(logits, default=-math.inf)
    odds = [1.0 if top == -math.inf else math.exp(logit - top) for logit in logits]
    return [w / math.fsum(odds) for w in odds]


def effective(weights: Sequence[float]) -> float:
    """The effective sample size: how many equal weights would be as uneven, 1 to the number of weights."""
    return 1.0 / math.fsum(w * w for w in weights)


def keep(paths: Sequence[Path], weights: Sequence[float], width: int, rng: random.Random) -> list[Path]:
    """`width` draws with replacement, systematic (one random number, evenly spaced), so that a path of weight w is
    drawn ⌊w·width⌋ or ⌈w·width⌉ times.
    """
    start, total, drawn = rng.random(), 0.0, list[Path]()
    for path, weight in zip(paths, weights, strict=True):
        total += weight * width
        while len(drawn) < width and start + len(drawn) < total - 1e-12:
            drawn.append(path)
    return drawn + [paths[-1]] * (width - len(drawn))


@dataclass(frozen=True, kw_only=True)
class ParticleFilter(Stepwise):
    """n particles take a step each, are weighted by the verifier, and are drawn anew in proportion to their weights.
    Puri et al. 2025, arXiv:2502.01618, algorithm 1.

    Weights are the softmax of the scores' logits. A particle that has ended stays in the game with its score. The paper
    draws anew after every step (`ess=1`); by default that waits until the effective sample size is below half of n.
    The answer is the one with the largest sum of scores among all that ended.
    """

    n: int = field(default=16, metadata={"help": "particles", "min": 1})
    ess: float = field(
        default=0.5, metadata={"help": "draw anew below this share of n effective particles", "min": 0.0}
    )
    softness: float = field(default=1.0, metadata={"help": "temperature of the softmax over logits", "min": 1e-6})
    select: Select = field(default="weighted", metadata={"help": "what chooses among the candidates"})

    async def solve(self, problem: Problem, session: Session) -> Solution:
        tree = Tree(session, session.ask(problem), self)
        rng = session.random("resampling")
        particles = await tree.grow([tree.root] * self.n)
        for depth in range(1, self.max_steps):
            if not any(path.live for path in particles):
                break
            heavy = weights(particles, self.softness)
            if effective(heavy) < self.ess * self.n or self.ess >= 1:
                drawn = keep(particles, heavy, self.n, rng)
                prune(particles, drawn, depth)
                particles = drawn
            grown = await tree.grow([path for path in particles if path.live])
            if not grown:
                break
            particles = [path for path in particles if not path.live] + grown
        return await concluded(session, [tree], self.select)
