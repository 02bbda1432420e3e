"""Imports go one way, and what is heavy loads late."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

LAYERS = [
    {"types", "errors", "waiting", "collector"},
    {
        "catalog",
        "selection",
        "stats",
        "estimators",
        "flops",
        "rows",
        "stopping",
        "throughput",
        "policy",
        "writing",
    },
    {"paired", "forecast", "allocate", "replayed"},
    {"journal", "notes", "verify", "nano", "predictability"},
    {"clock", "account"},
    {"setup"},
    {"calls", "texts"},
    {"scoring"},
    {"session", "steps"},
    {"tree"},
    {"attempts"},
    {"engines", "strategies", "benchmarks", "synth"},
    {"settings", "evaluate"},
    {"metrics", "store", "allotment"},
    {"results", "amortise", "sawtooth"},
    {"export", "report", "calibration"},
    {"spending"},
    {"running", "sweep", "rescoring", "verified"},
    {"console"},
    {"cli"},
    {"__main__"},
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
HEAVY = {"vllm", "torch", "transformers", "sympy", "datasets", "pandas", "matplotlib", "scipy", "numpy"}


def _modules() -> list[Path]:
    return sorted((ROOT / "tts").rglob("*.py"))


def _imported(path: Path) -> list[str]:
    """What a module imports when it runs; imports for type checkers alone do not count."""
    tree = ast.parse(path.read_text())
    for_types = [n for n in ast.walk(tree) if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"]
    unseen = {id(inner) for block in for_types for inner in ast.walk(block)}
    found = []
    for node in ast.walk(tree):
        if id(node) in unseen:
            continue
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


@pytest.mark.parametrize("path", _modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_imports_nothing_above_it(path: Path) -> None:
    own = path.relative_to(ROOT / "tts").parts[0].removesuffix(".py")
    if own == "__init__":
        return
    for name in _imported(path):
        top = name.split(".")
        if top[0] == "tts" and len(top) > 1 and top[1] in RANK and top[1] != own:
            assert RANK[top[1]] <= RANK[own], f"{own} imports {name}"
            same_layer = RANK[top[1]] == RANK[own]
            assert not same_layer or own in ("engines", "strategies"), f"{own} imports its neighbour {name}"


def test_every_module_has_a_layer() -> None:
    tops = {p.relative_to(ROOT / "tts").parts[0].removesuffix(".py") for p in _modules()} - {"__init__"}
    assert tops <= RANK.keys(), tops - RANK.keys()


def test_only_the_engine_imports_vllm() -> None:
    importing = {p.name for p in _modules() if any(n.split(".")[0] == "vllm" for n in _imported(p))}
    assert importing == {"generator.py", "classifier.py", "startup.py", "heads.py", "value_head.py", "vllm.py"}


def test_nobody_imports_click() -> None:
    assert not [p for p in _modules() if any(n.split(".")[0] == "click" for n in _imported(p))]


def test_no_model_text_reaches_an_evaluator() -> None:
    forbidden = {"eval", "exec", "sympify", "parse_expr"}
    for path in _modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                torch_eval = name == "eval" and "nano" in path.parts  # module.eval() switches dropout off
                assert name not in forbidden or torch_eval, f"{path}:{node.lineno} calls {name}"


@pytest.mark.parametrize("arguments", [["-c", "import tts"], ["-m", "tts", "--help"], ["-m", "tts", "eval", "--help"]])
def test_heavy_modules_load_late(arguments: list[str]) -> None:
    code = [sys.executable, "-X", "importtime", *arguments]
    told = subprocess.run(code, capture_output=True, text=True, check=True).stderr
    loaded = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in told.splitlines()}
    assert not loaded & HEAVY
