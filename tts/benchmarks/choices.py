"""Options of multiple-choice questions, in an order that a hash decides."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from tts.types import Example
from tts.verify.choice import letter

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def lettered(target: str | None, options: Sequence[str]) -> str | None:
    """The target as a letter, where it is one or is the content of exactly one option."""
    if target is None:
        return None
    if options.count(target) == 1:
        return LETTERS[options.index(target)]
    named = letter(target)
    return named if named is not None and LETTERS.index(named) < len(options) else target


def arranged(example: Example, salt: str) -> Example:
    """The example with its options in the order that a hash of `salt` gives, whatever order they are in now.

    `metadata` keeps the options as shown and `permutation`: the place that each had in the dataset.
    """
    options, target = example.problem.choices, example.target
    if not options or target is None or len(target) != 1 or target not in LETTERS[: len(options)]:
        return example
    before = example.metadata.get("permutation", range(len(options)))
    original = [option for _, option in sorted(zip(before, options, strict=True))]
    right = before[LETTERS.index(target)]
    order = sorted(range(len(options)), key=lambda i: hashlib.sha256(f"{salt}\0{i}".encode()).digest())
    shown = tuple(original[i] for i in order)
    return replace(
        example,
        problem=replace(example.problem, choices=shown),
        target=LETTERS[order.index(right)],
        metadata={**example.metadata, "choices": list(shown), "permutation": order},
    )
