"""Fitting a compute-optimal policy to stored runs (Snell et al. 2024, arXiv:2408.03314, section 3).

A *setting* is a strategy with its options. A run of independent samples gives many: every way of choosing among k of
them, for every k along the ladder, and of ending a vote early by every rule that has a threshold. Any other run gives
one. Costs are tokens a problem, generated ones and those that the verifier computed (what it had cached costs nothing),
those of the samples that place a question included.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from statistics import fmean, median
from typing import Any, NamedTuple, get_args

from tts.errors import InputError
from tts.metrics import INDEPENDENT, ladder
from tts.policy import Bin, BudgetOf, Choice, Measure, Policy, doubt, entropy
from tts.replayed import ORDERS, highest_after, leads_after, orders, stops_after
from tts.stopping import Confident, stops_early
from tts.store import read_manifest, read_records
from tts.verify import cards


@dataclass(frozen=True)
class Sample:
    """One stored candidate."""

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


class Draw(NamedTuple):
    """A problem with its samples in one order: the first place it, and any way of choosing goes on from there. So what
    is measured in a bin is measured on the samples that put the problem there, and chance is averaged over orders.
    """

    problem: str
    order: int


@dataclass(frozen=True)
class Setting:
    """Accuracy and tokens by draw of one way to solve; `label` names its curve."""

    label: str
    strategy: str
    options: Mapping[str, Any]
    accuracy: Mapping[Draw, float]
    tokens: Mapping[Draw, float]


Choose = Callable[[Sequence[Setting], Sequence[Sequence[Draw]], Sequence[float]], list[list[Setting]]]
"""From settings, the draws in each bin and budgets to a setting for each bin at each of them."""
BUDGETS_AN_OCTAVE = 4
CONFIDENT: tuple[Confident, ...] = get_args(Confident)
THRESHOLDS = (0.8, 0.9, 0.95)
"""Of the rules that end a vote early."""


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
    draws = {
        Draw(name, number): replace(pool, samples=tuple(pool.samples[i] for i in order))
        for name, pool in pools.items()
        for number, order in enumerate(orders(name, n))
    }
    settings = _pooled(draws, probe, verifier)
    budgets = sorted({fmean(s.tokens.values()) for s in settings if s.label == "self-consistency"})
    settings += [_single(run, draws, probe, measure) for run in runs[1:]]
    value = {draw: difficulty(p, probe, measure) for draw, p in draws.items()}
    choose: Choose = _for_each
    if budget_of == "set":
        choose, budgets = _for_all, _finer(budgets)
    edges, members = _binned(value, bins)
    crossed = _crossed(choose, settings, members, budgets)
    choices = [
        _chosen(best, members, budget, pairs)
        for best, budget, pairs in zip(choose(settings, members, budgets), budgets, crossed, strict=True)
    ]
    fitted = [
        Bin(
            upper=edge,
            problems=round(len(inside) / ORDERS),
            pass_at_1=fmean(fmean(draws[d].correct) for d in inside),
            choices=[at_budget[number] for at_budget in choices],
        )
        for number, (edge, inside) in enumerate(zip(edges, members, strict=True))
    ]
    curves = {
        label: _curve([s for s in settings if s.label == label]) for label in dict.fromkeys(s.label for s in settings)
    }
    curves[f"compute-optimal ({measure}, held out)"] = _held_out(budgets, crossed)
    oracle = _binned({draw: difficulty(p, probe, "oracle") for draw, p in draws.items()}, bins)[1]
    known = _crossed(choose, settings, oracle, budgets)
    curves["compute-optimal (oracle, held out)"] = _held_out(budgets, known)
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
    if identity["strategy"] not in INDEPENDENT or stops_early(identity["options"]):
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


class Way(NamedTuple):
    """One way to choose among at most k samples; `options` without n."""

    label: str
    k: int
    strategy: str
    options: tuple[tuple[str, Any], ...]


def _pooled(draws: Mapping[Draw, Pool], probe: int, verifier: str | None) -> list[Setting]:
    """Every way of choosing among k samples. A verifier reads all of them; what a rule throws away because it is in
    flight when it fires is left out. Rules are left out where a verifier compares candidates: they would go by counts.
    """
    rules = () if verifier and _compares(verifier) else CONFIDENT
    found: dict[Way, tuple[dict[Draw, float], dict[Draw, float]]] = {}
    for draw, pool in draws.items():
        right = dict(zip(pool.classes, pool.correct, strict=True))
        spent = list(accumulate(s.tokens + pool.verifier_tokens for s in pool.samples))
        for way, drawn, leader in _replayed(pool.samples, probe, verifier, rules):
            accuracy, tokens = found.setdefault(way, ({}, {}))
            accuracy[draw] = float(right.get(leader, False))
            tokens[draw] = spent[max(drawn, probe) - 1]
    return [Setting(w.label, w.strategy, {**dict(w.options), "n": w.k}, *outcomes) for w, outcomes in found.items()]


def _compares(verifier: str) -> bool:
    try:
        card, _ = cards.load(verifier)
    except InputError:  # of another machine
        return False
    return card.compares


def _replayed(
    samples: Sequence[Sample], probe: int, verifier: str | None, rules: Sequence[Confident]
) -> Iterator[tuple[Way, int, int]]:
    """Each way, after how many samples it has chosen, and the class that it has chosen (-1: none)."""
    classes, scores = [s.group for s in samples], [s.score or 0.0 for s in samples]
    weights = scores if verifier else [1.0] * len(samples)
    majority, leaders = leads_after(classes, [1.0] * len(samples)), leads_after(classes, weights)
    by_scores = [("weighted", leaders), ("highest", highest_after(classes, scores))] if verifier else []
    plain = (("select", "majority"),) if verifier else ()
    for k in (k for k in ladder(len(samples)) if k >= probe):
        yield Way("self-consistency", k, "self-consistency", plain), k, majority[k - 1]
        for how, chosen in by_scores:
            yield Way(f"best-of-n {how}", k, "best-of-n", (("select", how),)), k, chosen[k - 1]
        for rule in rules if k > probe else ():
            after = stops_after(rule, classes[:k], weights[:k], THRESHOLDS)
            for threshold, drawn in zip(THRESHOLDS, after, strict=True):
                select = "weighted" if verifier else "majority"
                options = (("select", select), ("stop", rule), ("threshold", threshold))
                yield Way(f"stop={rule} {threshold}", k, "self-consistency", options), drawn, leaders[drawn - 1]


def _single(run: Path, draws: Mapping[Draw, Pool], probe: int, measure: Measure) -> Setting:
    """A run as one setting; what placed the question comes on top."""
    manifest = read_manifest(run)
    identity, n = manifest["identity"], manifest["growing"].get("n")
    marks: dict[str, list[float]] = {}
    costs: dict[str, list[float]] = {}
    for record in read_records(run):
        if record["status"] != "error":
            marks.setdefault(record["problem_id"], []).append(float(bool(record["grade"]["correct"])))
            spent = record["usage"]["generated_tokens"] + _read(record["usage"])
            costs.setdefault(record["problem_id"], []).append(spent)
    if missing := {d.problem for d in draws} - marks.keys():
        raise InputError(f"{run} lacks {len(missing)} of the problems of the first run", "calibrate runs of one set")
    accuracy = {d: fmean(marks[d.problem]) for d in draws}
    tokens = {d: fmean(costs[d.problem]) + _placing(pool, probe, measure) for d, pool in draws.items()}
    options = {**identity["options"], **({"n": n} if n and n > 1 else {})}
    strategy = identity["strategy"]
    label = f"{strategy}, {run.resolve().name}" if strategy in INDEPENDENT else strategy
    return Setting(label, strategy, options, accuracy, tokens)


def _placing(pool: Pool, probe: int, measure: Measure) -> float:
    """Tokens that place a question."""
    read = probe * pool.verifier_tokens if measure == "score" else 0.0
    return sum(s.tokens for s in pool.samples[:probe]) + read


def _needs(choice: Choice) -> bool:
    """Whether it goes by a verifier's scores."""
    votes = choice.strategy in ("self-consistency", "single")
    return not votes or choice.options.get("select", "majority") != "majority"


def _binned(value: Mapping[Draw, float], bins: int) -> tuple[list[float | None], list[list[Draw]]]:
    """Quantile bins: their upper edges and the draws in each. Equal values share one, so there may be fewer."""
    ordered = sorted(value.values())
    edges = sorted({ordered[len(ordered) * i // bins - 1] for i in range(1, bins)})
    uppers: list[float | None] = [*edges, None]
    members: list[list[Draw]] = [[] for _ in uppers]
    for draw in sorted(value):
        members[next(i for i, e in enumerate(uppers) if e is None or value[draw] <= e)].append(draw)
    kept = [(upper, inside) for upper, inside in zip(uppers, members, strict=True) if inside]
    return [*(u for u, _ in kept[:-1]), None], [inside for _, inside in kept]


class Mean(NamedTuple):
    """A setting's tokens and accuracy over some draws."""

    tokens: float
    accuracy: float
    setting: Setting


def _means(settings: Sequence[Setting], draws: Sequence[Draw]) -> list[Mean]:
    return [Mean(fmean(s.tokens[d] for d in draws), fmean(s.accuracy[d] for d in draws), s) for s in settings]


def _best(means: Sequence[Mean], budget: float) -> Setting:
    """The most accurate within the budget, the cheapest of equals; the cheapest of all if none is."""
    within = [m for m in means if m.tokens <= budget * (1 + 1e-9)]
    if not within:
        return min(means, key=lambda m: m.tokens).setting
    return max(within, key=lambda m: (round(m.accuracy, 9), -m.tokens)).setting


def _for_each(
    settings: Sequence[Setting], members: Sequence[Sequence[Draw]], budgets: Sequence[float]
) -> list[list[Setting]]:
    """The best of each bin on its own, a budget of tokens a question."""
    means = [_means(settings, inside) for inside in members]
    return [[_best(found, budget) for found in means] for budget in budgets]


def _for_all(
    settings: Sequence[Setting], members: Sequence[Sequence[Draw]], budgets: Sequence[float]
) -> list[list[Setting]]:
    """The most accurate over all bins, a budget of tokens a question on average."""
    means = [_means(settings, inside) for inside in members]
    return [_shared(means, [len(inside) for inside in members], budget) for budget in budgets]


def _shared(means: Sequence[Sequence[Mean]], sizes: Sequence[int], budget: float) -> list[Setting]:
    """From the cheapest setting of each bin, the step that wins most accuracy a token is taken next, in whichever bin
    it is, as long as one fits.
    """
    chosen = [min(points, key=lambda m: (m.tokens, -m.accuracy)) for points in means]
    left = budget * sum(sizes) * (1 + 1e-9) - sum(m.tokens * size for m, size in zip(chosen, sizes, strict=True))
    while True:
        steps = [
            ((to.accuracy - at.accuracy) / max(to.tokens - at.tokens, 1e-9), -to.tokens, number, to)
            for number, (at, size) in enumerate(zip(chosen, sizes, strict=True))
            for to in means[number]
            if to.accuracy > at.accuracy + 1e-9 and (to.tokens - at.tokens) * size <= left
        ]
        if not steps:
            return [mean.setting for mean in chosen]
        _, _, number, to = max(steps, key=lambda step: step[:3])
        left -= (to.tokens - chosen[number].tokens) * sizes[number]
        chosen[number] = to


def _finer(budgets: Sequence[float]) -> list[float]:
    """The same range in steps of a quarter of an octave: a mean can be met closely."""
    count = round(math.log2(budgets[-1] / budgets[0]) * BUDGETS_AN_OCTAVE)
    return [budgets[0] * 2 ** (i / BUDGETS_AN_OCTAVE) for i in range(count)] + [budgets[-1]]


def _halves(problems: set[str]) -> tuple[set[str], set[str]]:
    """Two halves of the problems, in whichever bins their draws are."""
    ranked = sorted(problems, key=lambda name: hashlib.blake2b(name.encode(), digest_size=8).digest())
    return set(ranked[::2]), set(ranked[1::2])


Crossed = list[list[tuple[float, float]]]


def _crossed(
    choose: Choose, settings: Sequence[Setting], members: Sequence[Sequence[Draw]], budgets: Sequence[float]
) -> list[Crossed]:
    """By budget and bin, (accuracy, tokens) of each problem under the setting that was chosen on the other half of all
    bins.
    """
    found: list[Crossed] = [[[] for _ in members] for _ in budgets]
    halves = _halves({draw.problem for inside in members for draw in inside})
    folds = [[[draw for draw in inside if draw.problem in half] for half in halves] for inside in members]
    for half in (0, 1):
        best = choose(settings, [fold[half] or fold[1 - half] for fold in folds], budgets)
        for crossed, chosen in zip(found, best, strict=True):
            for pairs, setting, fold in zip(crossed, chosen, folds, strict=True):
                pairs += [(setting.accuracy[draw], setting.tokens[draw]) for draw in fold[1 - half]]
    return found


def _chosen(
    best: Sequence[Setting], members: Sequence[Sequence[Draw]], budget: float, crossed: Crossed
) -> list[Choice]:
    """The choice of each bin at this budget."""
    return [
        Choice(
            budget=budget, strategy=setting.strategy, options=dict(setting.options),
            tokens=fmean(setting.tokens[draw] for draw in inside),
            accuracy=fmean(setting.accuracy[draw] for draw in inside),
            held_out_accuracy=fmean(a for a, _ in pairs), held_out_tokens=fmean(t for _, t in pairs),
        )
        for setting, inside, pairs in zip(best, members, crossed, strict=True)
    ]  # fmt: skip


def _held_out(budgets: Sequence[float], crossed: Sequence[Crossed]) -> list[dict[str, float]]:
    curve = []
    for budget, bins in zip(budgets, crossed, strict=True):
        pairs = [pair for inside in bins for pair in inside]
        curve.append({"budget": budget, "tokens": fmean(t for _, t in pairs), "accuracy": fmean(a for a, _ in pairs)})
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
