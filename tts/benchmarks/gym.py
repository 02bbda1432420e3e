"""Tasks of the reasoning-gym library (Stojanovski et al. 2025, arXiv:2505.24760): endless, made from a seed."""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

from tts.benchmarks.benchmark import Benchmark
from tts.benchmarks.functions import options_of
from tts.catalog import nearest
from tts.errors import InputError
from tts.types import Example, Grade, Problem

SIZE = 100
"""Problems of a task unless `size=` says otherwise."""
LONGEST = 2000
"""Characters of an answer that a task of `EVALUATING` takes."""
EVALUATING = {
    *("binary_matrix", "countdown", "intermediate_integration", "n_queens", "polynomial_multiplication", "puzzle24"),
    *("simple_integration", "spiral_matrix", "string_insertion"),
}
"""Tasks whose scorer evaluates the answer as Python. It never sees the model's text: an answer that is an arithmetic
expression or a list of such is written anew from its syntax tree, any other is not understood."""
_FUNCTIONS = {
    *("sin", "cos", "tan", "sec", "csc", "cot", "asin", "acos", "atan", "sinh", "cosh", "tanh"),
    *("exp", "log", "ln", "sqrt", "Abs"),
}
_NODES = (
    *(ast.Expression, ast.BinOp, ast.UnaryOp, ast.Constant, ast.Name, ast.List, ast.Tuple, ast.Load, ast.Call),
    *(ast.operator, ast.unaryop),
)


def load_task(task: str, query: str | None) -> Benchmark:
    """A task's problems. Where every target is a number and the task has no scorer of its own, our checker grades;
    else the library's does, and an answer is right at the full score.

    Raises:
        InputError: the library is not installed, no such task, or options that it does not take.
    """
    options = {"size": SIZE, "seed": 0, **options_of(query)}
    try:
        import reasoning_gym
        from reasoning_gym.dataset import ProceduralDataset
        from reasoning_gym.factory import DATASETS
    except ImportError as error:
        raise InputError(
            f"reasoning-gym:{task} needs the reasoning-gym library", "pip install 'tts-reasoning[reasoning-gym]'"
        ) from error
    name = task.replace("-", "_")
    if name not in DATASETS:
        raise InputError(f"reasoning-gym has no task {task!r}", nearest(name, DATASETS))
    try:
        data = reasoning_gym.create_dataset(name, **options)
        entries = [data[i] for i in range(len(data))]
    except Exception as error:
        known = ", ".join(DATASETS[name][1].__dataclass_fields__)
        raise InputError(f"reasoning-gym:{task}: {error}", f"its options: {known}") from error
    own = type(data).score_answer is not ProceduralDataset.score_answer
    comparable = not own and all(_is_number(e["answer"]) for e in entries)
    examples = tuple(
        _example(i, entry, None if comparable else GymChecker(name, json.dumps(options, sort_keys=True), i))
        for i, entry in enumerate(entries)
    )
    return Benchmark(
        f"reasoning-gym-{name}",
        f"reasoning-gym:{name}",
        f"reasoning-gym {reasoning_gym.__version__} {json.dumps(options, sort_keys=True)}",
        examples,
        "cot" if comparable else "cot-tag",
        ("boxed", "phrase", "last-number") if comparable else ("tag", "boxed", "phrase", "bare"),
        "symbolic" if comparable else "reasoning-gym",
    )


def _is_number(answer: object) -> bool:
    try:
        float(str(answer))
    except ValueError:
        return False
    return True


def _example(index: int, entry: dict[str, Any], checker: GymChecker | None) -> Example:
    target = entry["answer"]
    return Example(
        Problem(str(index), str(entry["question"]).strip()),
        f"whatever {entry['metadata']['source_dataset']} accepts" if target is None else str(target),
        {},
        checker,
    )


@dataclass(frozen=True, slots=True)
class GymChecker:
    """The library's own scorer, for one problem of a task, which is made again from the options and its place."""

    task: str
    options: str
    index: int
    timeout: ClassVar[float] = 30.0
    """Seconds a verdict may take: the first one in a process loads the library."""

    def __call__(self, answer: str, target: str) -> Grade:
        read = rewritten(answer) if self.task in EVALUATING else answer
        if read is None:
            return Grade(False, "answer_unparsed", answer, target)
        data = _dataset(self.task, self.options)
        try:
            score = data.score_answer(read, data[self.index])
        except Exception:  # a scorer that cannot read an answer
            return Grade(False, "answer_unparsed", answer, target)
        return Grade(bool(score >= 1.0), "ok", answer, target, "reasoning-gym")


@lru_cache(maxsize=8)
def _dataset(task: str, options: str) -> Any:
    import reasoning_gym

    return reasoning_gym.create_dataset(task, **json.loads(options))


def rewritten(answer: str) -> str | None:
    """An arithmetic expression, or a list of such, with calls to elementary functions alone, spelled from its syntax
    tree; None for any other text.
    """
    if len(answer) > LONGEST:
        return None
    try:
        tree = ast.parse(answer.strip(), mode="eval")
        for node in ast.walk(tree):
            if not isinstance(node, _NODES) or (isinstance(node, ast.Name) and "__" in node.id):
                return None
            if isinstance(node, ast.Call) and not (isinstance(node.func, ast.Name) and node.func.id in _FUNCTIONS):
                return None
        return ast.unparse(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
