"""What a strategy declares reaches those that run it, through whatever other strategy is around it."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

from tts.benchmarks import Benchmark
from tts.engines.scripted import ScriptedEngine
from tts.errors import InputError
from tts.running import Plan
from tts.settings import Settings, build_strategy, resolve
from tts.strategies import STRATEGIES
from tts.strategies.beam import BeamSearch
from tts.strategies.compute_optimal import ComputeOptimal
from tts.strategies.declared import Declared, declared
from tts.strategies.deepconf import DeepConf
from tts.strategies.self_consistency import SelfConsistency
from tts.strategies.sleep_time import SleepTime
from tts.types import Problem, Sampling, Solution

WRAPPERS = {"sleep-time", "compute-optimal"}
INNER = [name for name in STRATEGIES if name not in WRAPPERS and name != "ab-mcts"]


class Loud:
    """Declares something in everything that can be declared."""

    n, width, policy, templates = 7, 3, "policy.json", ("revise",)
    takes_verifier = needs_verifier = scores_together = piecewise = aborts = True

    def selector(self, verifier: str | None) -> str:
        return "weighted"

    def check(self, verifier: str | None) -> None:
        raise InputError(f"{verifier} was checked")

    def sampling(self, asked: Sampling, verifier: str | None) -> Sampling:
        return Sampling(max_tokens=11)

    async def solve(self, problem: Problem, session: Any) -> Solution:
        return Solution(None)


def said(by: Declared, name: str) -> Any:
    """A declaration as a value: a function by what it does without a verifier."""
    value = getattr(by, name)
    try:
        return value(Sampling(), None) if name == "sampling" else value(None) if callable(value) else value
    except InputError as error:
        return error.message


@pytest.mark.parametrize("name", [f.name for f in fields(Declared)])
def test_whatever_is_declared_inside_is_passed_on(name: str) -> None:
    assert hasattr(Loud, name), "a new declaration: let Loud make it"
    inner, outer, quiet = (said(declared(s), name) for s in (Loud(), SleepTime(inner=Loud()), SleepTime()))
    assert outer != quiet
    assert outer == ((*quiet, *inner) if name == "templates" else inner)


@pytest.mark.parametrize("name", INNER)
def test_sleep_time_passes_on_what_any_strategy_declares(name: str) -> None:
    inner: Any = STRATEGIES[name]()
    before, after = declared(inner), declared(SleepTime(inner=inner))
    for f in fields(Declared):
        wanted, found = said(before, f.name), said(after, f.name)
        assert set(wanted) <= set(found) if f.name == "templates" else found == wanted, f.name


def policy(file: Path, *choices: tuple[str, dict[str, Any]], **more: Any) -> ComputeOptimal:
    bins = [{"upper": float(i), "choices": [{"budget": 1.0, "strategy": s, "options": o}]} for i, (s, o) in
            enumerate(choices)]  # fmt: skip
    file.write_text(json.dumps({"probe": 2, "measure": "entropy", "bins": bins, **more}))
    return ComputeOptimal(policy=str(file))


@pytest.mark.parametrize("name", INNER)
def test_compute_optimal_passes_on_what_its_policys_strategies_declare(name: str, tmp_path: Path) -> None:
    inner = declared(STRATEGIES[name]())
    found = declared(policy(tmp_path / "p.json", (name, {}), ("single", {})))
    for each in ("needs_verifier", "piecewise", "aborts", "check", "sampling"):
        assert said(found, each) == said(inner, each), each
    assert found.n == max(2, inner.n)
    assert found.width == 1
    assert not found.scores_together, "single does not"
    assert set(inner.templates) <= set(found.templates)


def test_several_strategies_declare_together(tmp_path: Path) -> None:
    shaping = ("best-of-n", {"select": "self-certainty", "top": 5})
    found = declared(policy(tmp_path / "p.json", ("self-consistency", {"n": 32}), shaping))
    assert (found.n, found.width, found.scores_together) == (32, 2, True)
    assert found.sampling(Sampling(), None).top_logprobs == 5
    assert found.policy == str(tmp_path / "p.json")
    around = declared(SleepTime(inner=ComputeOptimal(policy=found.policy)))
    assert (around.policy, around.n) == (found.policy, 32)


def test_only_what_the_budget_leads_to_is_declared(tmp_path: Path) -> None:
    policy(file := tmp_path / "p.json", ("single", {}))
    content = json.loads(file.read_text())
    content["bins"][0]["choices"].append({"budget": 900.0, "strategy": "beam-search"})
    file.write_text(json.dumps(content))
    assert declared(ComputeOptimal(policy=str(file))).needs_verifier
    assert not declared(ComputeOptimal(policy=str(file), tokens=100.0)).needs_verifier


def test_a_policy_that_asks_for_itself_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="compute-optimal"):
        declared(policy(tmp_path / "p.json", ("compute-optimal", {})))


def test_what_may_be_cut_is_declared() -> None:
    assert declared(BeamSearch(speculate=True)).aborts
    assert not declared(BeamSearch()).aborts
    assert declared(SleepTime(inner=SelfConsistency(stop="beta"))).aborts
    assert declared(SleepTime(inner=DeepConf())).aborts


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"strategy": "sleep-time", "option": ["inner=beam-search"]}, "goes by a verifier's scores"),
        ({"strategy": "sleep-time", "option": ["inner=best-of-n", "select=weighted"]}, "goes by a verifier's scores"),
        ({"strategy": "sleep-time", "option": ["inner=infty-think", "drop=0.5"]}, "go by a verifier's scores"),
        (
            {"strategy": "sleep-time", "option": ["inner=revise"], "verifier": "judge-pairwise"},
            "one response at a time",
        ),
        ({"strategy": "compute-optimal", "temperature": 0.0}, "all 16 samples would be the same"),
        ({"strategy": "compute-optimal", "option": ["policy=nowhere.json"]}, "cannot read policy"),
    ],
)
def test_what_cannot_work_inside_another_strategy_is_said_at_once(given: Any, says: str) -> None:
    with pytest.raises(InputError) as error:
        resolve({"engine": "scripted", **given}, None)
    assert says in error.value.message


@pytest.mark.parametrize("strategy", ["best-of-n", "self-consistency"])
def test_a_tournament_fits_strategies_that_score_all_at_once_inside_another(strategy: str) -> None:
    inside = {"strategy": "sleep-time", "option": [f"inner={strategy}"], "verifier": "judge-pairwise"}
    assert resolve({"engine": "scripted", **inside}, None).verifier == "judge-pairwise"


def plan(**given: Any) -> Plan:
    settings = Settings(**given)
    strategy = build_strategy(settings)
    return Plan(settings, Benchmark("b", "", "", ()), (), strategy, settings.sampling(strategy), 1, Path("out"))


@pytest.mark.parametrize(
    ("given", "problems"),
    [
        ({"strategy": "self-consistency", "n": 64, "option": {"stop": "beta"}}, 16),
        ({"strategy": "sleep-time", "n": 64, "option": {"inner": "self-consistency", "stop": "beta"}}, 16),
        ({"strategy": "revise", "n": 16, "option": {"chains": 2}}, 32),
        ({"strategy": "compute-optimal"}, 16),
    ],
)
def test_enough_problems_are_in_flight_to_fill_the_engine_twice(given: Any, problems: int) -> None:
    assert plan(**given).concurrency(ScriptedEngine(max_sequences=32)) == problems


def test_the_identity_has_the_templates_and_the_policy_of_a_strategy_inside(tmp_path: Path) -> None:
    policy(file := tmp_path / "p.json", ("single", {}))
    identity = plan(strategy="sleep-time", option={"inner": "infty-think"}).identity()
    assert {"sleep-answer", "infty-round"} <= identity["templates"].keys()
    assert plan(strategy="sleep-time", option={"inner": "compute-optimal", "policy": str(file)}).identity()[
        "policy_sha256"
    ]


def _calls(tree: ast.AST, fits: Callable[[ast.Call], bool]) -> list[ast.Call]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call) and fits(node)]


def test_strategies_that_run_others_say_which() -> None:
    """Whoever calls another's `solve` has to show it as `inside`."""
    for name, cls in STRATEGIES.items():
        source = ast.parse((ROOT / f"{cls.__module__.replace('.', '/')}.py").read_text())
        solves = _calls(source, lambda call: isinstance(call.func, ast.Attribute) and call.func.attr == "solve")
        assert bool(solves) == hasattr(cls, "inside") == (name in WRAPPERS), name


def test_declarations_are_read_in_one_place() -> None:
    """`getattr(strategy, "aborts", False)` elsewhere would not see what a strategy inside declares."""
    for path in sorted((ROOT / "tts").rglob("*.py")):
        if path.name == "declared.py":
            continue
        reads = _calls(ast.parse(path.read_text()), lambda call: ast.unparse(call.func) in ("getattr", "hasattr"))
        for call in reads:
            what, name = ast.unparse(call.args[0]), ast.unparse(call.args[1]).strip("'")
            assert "strategy" not in what or name in ("wraps", "wrapped"), f"{path}: {ast.unparse(call)}"
