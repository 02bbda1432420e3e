"""Exact step labels: a step is right if its arithmetic is true and its value is the one the problem needs there.

A label says "right so far": after the first wrong step every later one is wrong as well, so that the last label
is the whole response's, and the first wrong one is where it went astray (Lightman et al. 2023, arXiv:2305.20050).
"""

from __future__ import annotations

import re

from tts.nano.story import NanoProblem

SEPARATOR = "\n\n"
_EQUATION = re.compile(r"(?:.*: )?(-?\d+(?:[-+*/%]\d+)+)=(-?\d+)")
_ANSWER = re.compile(r"\\boxed\{([^{}]*)\}")


def evaluate(expression: str) -> int | None:
    """The value of a chain of additions and subtractions, or of products, whole quotients and remainders.

    None where it has none, or mixes the two kinds, which no step does.
    """
    first, *rest = re.findall(r"^-?\d+|[-+*/%]\d+", expression)
    value = int(first)
    operators = {part[0] for part in rest}
    if not (operators <= set("+-") or operators <= set("*/%")):
        return None
    for part in rest:
        operator, number = part[0], int(part[1:])
        if operator in "/%" and number == 0:
            return None
        match operator:
            case "+":
                value += number
            case "-":
                value -= number
            case "*":
                value *= number
            case "%":
                value %= number
            case _:
                value, remainder = divmod(value, number)
                if remainder:
                    return None
    return value


def read_answer(response: str) -> str | None:
    """The last boxed answer of a response."""
    boxed = _ANSWER.findall(response)
    return boxed[-1] if boxed else None


def label_steps(problem: NanoProblem, response: str) -> list[bool]:
    """For each step of the response, whether everything is right up to and including it."""
    labels: list[bool] = []
    right = True
    for position, step in enumerate(response.split(SEPARATOR)):
        right = right and _is_right(problem, position, step)
        labels.append(right)
    return labels


def _is_right(problem: NanoProblem, position: int, step: str) -> bool:
    if position == len(problem.steps):
        return read_answer(step) == problem.target
    if position > len(problem.steps):
        return False
    equation = _EQUATION.fullmatch(step)
    if equation is None or int(equation[2]) != problem.steps[position].value:
        return False
    return evaluate(equation[1]) == int(equation[2])
