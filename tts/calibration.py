"""Fitting a compute-optimal policy to stored runs (Snell et al. 2024, arXiv:2408.03314, section 3).

A *setting* is a strategy with its options. A run of independent samples gives many: every way of choosing among k of
them, for every k along the ladder, as expectations over the subsets. Any other run gives one. Costs are tokens a
problem, generated ones and those that the verifier computed (what it had cached costs nothing), those of the samples
that place a question included.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

from tts.errors import InputError
from tts.metrics import best_at_k, ladder, maj_at_k, weighted_at_k
from tts.policy import Bin, BudgetOf, Choice, Measure, Policy, doubt, entropy
from tts.stopping import stops_early
from tts.store import read_manifest, read_records

POOLED = ("self-consistency", "best-of-n", "single")


@dataclass(frozen=True)
class Sample:
    """One stored candidate; `spent` in verifier tokens is a problem's mean."""

    group: int
    correct: bool
    score: float | None
    tokens: int
    text: str


@dataclass(frozen=True)
class Pool:
    """One problem's independent samples, and the verifier tokens that are computed for one of them."""

    samples: tuple[Sample, ...]
    verifier_tokens: float

    @property
    def classes(self) -> tuple[int, ...]:
        return tuple(s.group for s in self.samples)

    @property
    def correct(self) -> tuple[bool, ...]:
        return tuple(s.correct for s in self.samples)

    @property
    def scores(self) -> tuple[float | None, ...]:
        return tuple(s.score for s in self.samples)

    @property
    def each(self) -> float:
        """Generated tokens of a sample."""
        return fmean(s.tokens for s in self.samples)


@dataclass(frozen=True)
class Setting:
    """Accuracy and tokens by problem of one way to solve; `label` names its curve."""

    label: str
    strategy: str
    options: Mapping[str, Any]
    accuracy: Mapping[str, float]
    tokens: Mapping[str, float]


Choose = Callable[[Sequence[Setting], Sequence[Sequence[str]], float], list[Setting]]
"""From settings, the problems of each bin and a budget to a setting for each bin."""
BUDGETS_AN_OCTAVE = 4


def calibrate(
    runs: Sequence[Path], bins: int, probe: int, measure: Measure | None, budget_of: BudgetOf = "question"
) -> Policy:
    """A policy from runs over the same problems, the first of them of independent samples.

    `measure` None: the verifier's score where the first run has one, else the vote's entropy. `budget_of`: whether a
    budget holds for every question, as in the paper, or for the mean over the set, so that hard questions get what easy
    ones leave.

    Raises:
        InputError: the runs do not fit together, or there is too little in them.
    """
    pools, verifier = read_pools(runs[0])
    if len(pools) < 2 * bins:
        raise InputError(f"{runs[0]} has {len(pools)} scored problems: too few for {bins} bins", "--bins fewer")
    n = min(len(p.samples) for p in pools.values())
    if n < probe:
        raise InputError(
            f"--probe {probe}: {runs[0]} has only {n} samples a problem",
            f"--probe {n} at most, or a run with more samples",
        )
    measure = measure or ("score" if verifier else "entropy")
    if measure == "score" and verifier is None:
        raise InputError(f"{runs[0]} has no verifier's scores to place questions by", "--measure entropy")
    extra = {name: probe * p.verifier_tokens if measure == "score" else 0.0 for name, p in pools.items()}
    settings = _pooled(pools, n, probe, extra, verifier)
    dearest = settings[-1].label
    for run in runs[1:]:
        settings += _single(run, pools, probe, extra)
    value = {name: difficulty(p, probe, measure) for name, p in pools.items()}
    budgets = sorted({fmean(s.tokens.values()) for s in settings if s.label == dearest})
    choose: Choose = _for_each
    if budget_of == "set":
        choose, budgets = _for_all, _finer(budgets)
    edges, members = _binned(value, bins)
    choices = [_chosen(choose, settings, members, budget) for budget in budgets]
    fitted = [
        Bin(
            upper=edge,
            problems=len(names),
            pass_at_1=fmean(fmean(pools[name].correct) for name in names),
            choices=[at_budget[number] for at_budget in choices],
        )
        for number, (edge, names) in enumerate(zip(edges, members, strict=True))
    ]
    curves = {
        label: _curve([s for s in settings if s.label == label]) for label in dict.fromkeys(s.label for s in settings)
    }
    curves[f"compute-optimal ({measure}, held out)"] = _held_out(choose, settings, members, budgets)
    oracle = _binned({name: difficulty(p, probe, "oracle") for name, p in pools.items()}, bins)[1]
    curves["compute-optimal (oracle, held out)"] = _held_out(choose, settings, oracle, budgets)
    used = verifier if measure == "score" or any(_needs(c) for b in fitted for c in b.choices) else None
    return Policy(
        probe=probe, measure=measure, budget_of=budget_of, verifier=used, bins=fitted, curves=curves,
        diagnostics=diagnostics(pools, n) if verifier else {}, runs=[str(r) for r in runs],
    )  # fmt: skip


def read_pools(run: Path) -> tuple[dict[str, Pool], str | None]:
    """A run's samples by problem, and the verifier that scored them.

    Raises:
        InputError: its samples are not independent.
    """
    identity = read_manifest(run)["identity"]
    if identity["strategy"] not in POOLED or stops_early(identity):
        raise InputError(f"{run} is no pool of independent samples", "the first RUN is of -s best-of-n, all n drawn")
    verifier = identity["verifier"]
    pools: dict[str, Pool] = {}
    for record in read_records(run):
        candidates = record["solution"]["candidates"]
        if record["grade"]["correct"] is None or record["status"] == "error" or not candidates or record["attempt"]:
            continue
        samples = tuple(
            Sample(c["class"], bool(c["correct"]), (c["scores"] or {}).get(verifier), c["generated_tokens"], c["text"])
            for c in candidates
        )
        pools[record["problem_id"]] = Pool(samples, _read(record["usage"]) / len(samples))
    return pools, verifier


def _read(usage: Mapping[str, int]) -> int:
    """Tokens that the verifier computed."""
    return usage["verifier_tokens"] - usage["verifier_cached_tokens"]


def difficulty(pool: Pool, probe: int, measure: Measure) -> float:
    """More is harder: see `Measure`."""
    if measure == "oracle":
        return 1.0 - fmean(pool.correct)
    first = pool.samples[:probe]
    return entropy([s.group for s in first]) if measure == "entropy" else doubt([s.score for s in first])


Choosing = Callable[[Pool, int], float]


def _pooled(
    pools: Mapping[str, Pool], n: int, probe: int, extra: Mapping[str, float], verifier: str | None
) -> list[Setting]:
    """Every way of choosing among k samples. Samples that placed the question are among the k; their scores are among
    those that a choice by scores needs.
    """
    ways: list[tuple[str, str, dict[str, Any], Choosing, bool]] = [
        ("self-consistency", "self-consistency", {}, lambda p, k: maj_at_k(p.classes, p.correct, k), False)
    ]
    if verifier is not None:
        weighted: Choosing = lambda p, k: weighted_at_k(p.scores, p.classes, p.correct, k)  # noqa: E731
        highest: Choosing = lambda p, k: best_at_k(p.scores, p.correct, p.classes, k)  # noqa: E731
        ways.append(("best-of-n weighted", "best-of-n", {"select": "weighted"}, weighted, True))
        ways.append(("best-of-n highest", "best-of-n", {"select": "highest"}, highest, True))
    found = []
    for label, strategy, options, choosing, scored in ways:
        for k in (k for k in ladder(n) if k >= probe):
            costs = {
                name: k * (p.each + (p.verifier_tokens if scored else 0.0)) + (0.0 if scored else extra[name])
                for name, p in pools.items()
            }
            accuracy = {name: choosing(p, k) for name, p in pools.items()}
            found.append(Setting(label, strategy, {**options, "n": k}, accuracy, costs))
    return found


def _single(run: Path, pools: Mapping[str, Pool], probe: int, extra: Mapping[str, float]) -> list[Setting]:
    """A run as one setting; what placed the question comes on top."""
    manifest = read_manifest(run)
    identity, n = manifest["identity"], manifest["growing"].get("n")
    marks: dict[str, list[float]] = {}
    costs: dict[str, list[float]] = {}
    for record in read_records(run):
        name = record["problem_id"]
        if name in pools and record["status"] != "error":
            marks.setdefault(name, []).append(float(bool(record["grade"]["correct"])))
            usage = record["usage"]
            probed = probe * pools[name].each + extra[name]
            costs.setdefault(name, []).append(usage["generated_tokens"] + _read(usage) + probed)
    if missing := pools.keys() - marks.keys():
        raise InputError(f"{run} lacks {len(missing)} of the problems of the first run", "calibrate runs of one set")
    options = {**identity["options"], **({"n": n} if n and n > 1 else {})}
    accuracy, tokens = ({k: fmean(v) for k, v in values.items()} for values in (marks, costs))
    return [Setting(identity["strategy"], identity["strategy"], options, accuracy, tokens)]


def _needs(choice: Choice) -> bool:
    return choice.strategy not in ("self-consistency", "single")


def _binned(value: Mapping[str, float], bins: int) -> tuple[list[float | None], list[list[str]]]:
    """Quantile bins: their upper edges and the problems in each. Equal values share one, so there may be fewer."""
    ordered = sorted(value.values())
    edges = sorted({ordered[len(ordered) * i // bins - 1] for i in range(1, bins)})
    uppers: list[float | None] = [*edges, None]
    members: list[list[str]] = [[] for _ in uppers]
    for name in sorted(value):
        members[next(i for i, e in enumerate(uppers) if e is None or value[name] <= e)].append(name)
    kept = [(upper, names) for upper, names in zip(uppers, members, strict=True) if names]
    return [*(u for u, _ in kept[:-1]), None], [names for _, names in kept]


def _best(settings: Sequence[Setting], names: Sequence[str], budget: float) -> Setting:
    """The most accurate on these problems within the budget, the cheapest of equals; the cheapest of all if none is."""
    costs = {id(s): fmean(s.tokens[name] for name in names) for s in settings}
    within = [s for s in settings if costs[id(s)] <= budget * (1 + 1e-9)]
    if not within:
        return min(settings, key=lambda s: costs[id(s)])
    return max(within, key=lambda s: (round(fmean(s.accuracy[name] for name in names), 9), -costs[id(s)]))


def _for_each(settings: Sequence[Setting], members: Sequence[Sequence[str]], budget: float) -> list[Setting]:
    """The best of each bin on its own, `budget` tokens a question."""
    return [_best(settings, names, budget) for names in members]


def _for_all(settings: Sequence[Setting], members: Sequence[Sequence[str]], budget: float) -> list[Setting]:
    """The most accurate over all bins, `budget` tokens a question on average: from the cheapest setting of each bin,
    the step that wins most accuracy a token is taken next, in whichever bin it is, as long as one fits.
    """
    total = sum(map(len, members))
    means = [
        [(fmean(s.tokens[n] for n in names), fmean(s.accuracy[n] for n in names), s) for s in settings]
        for names in members
    ]
    chosen = [min(points, key=lambda p: (p[0], -p[1])) for points in means]
    left = budget * total * (1 + 1e-9) - sum(c[0] * len(names) for c, names in zip(chosen, members, strict=True))
    while True:
        steps = [
            ((to[1] - at[1]) / max(to[0] - at[0], 1e-9), -to[0], number, to)
            for number, (at, names) in enumerate(zip(chosen, members, strict=True))
            for to in means[number]
            if to[1] > at[1] + 1e-9 and (to[0] - at[0]) * len(names) <= left
        ]
        if not steps:
            return [setting for _, _, setting in chosen]
        _, _, number, to = max(steps, key=lambda step: step[:3])
        left -= (to[0] - chosen[number][0]) * len(members[number])
        chosen[number] = to


def _finer(budgets: Sequence[float]) -> list[float]:
    """The same range in steps of a quarter of an octave: a mean can be met closely."""
    count = round(math.log2(budgets[-1] / budgets[0]) * BUDGETS_AN_OCTAVE)
    return [budgets[0] * 2 ** (i / BUDGETS_AN_OCTAVE) for i in range(count)] + [budgets[-1]]


def _folds(names: Sequence[str]) -> tuple[list[str], list[str]]:
    ranked = sorted(names, key=lambda name: hashlib.blake2b(name.encode(), digest_size=8).digest())
    return ranked[::2], ranked[1::2]


def _crossed(
    choose: Choose, settings: Sequence[Setting], members: Sequence[Sequence[str]], budget: float
) -> list[list[tuple[float, float]]]:
    """By bin, (accuracy, tokens) of each problem under the setting that was chosen on the other half of all bins."""
    found: list[list[tuple[float, float]]] = [[] for _ in members]
    folds = [_folds(names) for names in members]
    for half in (0, 1):
        best = choose(settings, [fold[half] or fold[1 - half] for fold in folds], budget)
        for pairs, setting, fold in zip(found, best, folds, strict=True):
            pairs += [(setting.accuracy[name], setting.tokens[name]) for name in fold[1 - half]]
    return found


def _chosen(
    choose: Choose, settings: Sequence[Setting], members: Sequence[Sequence[str]], budget: float
) -> list[Choice]:
    """The choice of each bin at this budget."""
    best, crossed = choose(settings, members, budget), _crossed(choose, settings, members, budget)
    return [
        Choice(
            budget=budget, strategy=setting.strategy, options=dict(setting.options),
            tokens=fmean(setting.tokens[name] for name in names),
            accuracy=fmean(setting.accuracy[name] for name in names),
            held_out_accuracy=fmean(a for a, _ in pairs), held_out_tokens=fmean(t for _, t in pairs),
        )
        for setting, names, pairs in zip(best, members, crossed, strict=True)
    ]  # fmt: skip


def _held_out(
    choose: Choose, settings: Sequence[Setting], members: Sequence[Sequence[str]], budgets: Sequence[float]
) -> list[dict[str, float]]:
    curve = []
    for budget in budgets:
        crossed = [pair for pairs in _crossed(choose, settings, members, budget) for pair in pairs]
        curve.append(
            {"budget": budget, "tokens": fmean(t for _, t in crossed), "accuracy": fmean(a for a, _ in crossed)}
        )
    return curve


def _curve(settings: Sequence[Setting]) -> list[dict[str, float]]:
    points = [(fmean(s.tokens.values()), fmean(s.accuracy.values())) for s in settings]
    return [{"tokens": t, "accuracy": a} for t, a in sorted(points)]


def diagnostics(pools: Mapping[str, Pool], n: int) -> dict[str, dict[str, float | None]]:
    """Signs of a verifier that is over-optimised, at k samples (section 5.3: repeated and too short solutions).

    Over the candidates with the highest score among the first k: their mean score and accuracy, the share that repeats
    another candidate word for word, and the share with under half the median length. k = 1 is chance.
    """
    found: dict[str, dict[str, float | None]] = {}
    lengths = median(s.tokens for p in pools.values() for s in p.samples)
    for k in ladder(n):
        tops = []
        for pool in pools.values():
            first = [s for s in pool.samples[:k] if s.score is not None]
            if first:
                top = max(first, key=lambda s: s.score or 0.0)
                repeated = sum(s.text.strip() == top.text.strip() for s in first) > 1
                tops.append((top, repeated))
        if tops:
            found[f"best@{k}"] = {
                "score": fmean(t.score or 0.0 for t, _ in tops),
                "accuracy": fmean(t.correct for t, _ in tops),
                "duplicate": fmean(r for _, r in tops) if k > 1 else None,
                "short": fmean(t.tokens < lengths / 2 for t, _ in tops),
            }
    return found
