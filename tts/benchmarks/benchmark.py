"""What every kind of benchmark comes to."""

from __future__ import annotations

from dataclasses import dataclass

from tts.types import Example
from tts.verify.extract import DEFAULT


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Examples with what is needed to ask and grade them.

    `revision` is the hub's commit, the SHA-256 of a file or of a function's file and options, or a generator's version.
    """

    name: str
    source: str
    revision: str
    examples: tuple[Example, ...]
    prompt: str = "cot"
    extract: tuple[str, ...] = DEFAULT
    checker: str = "symbolic"
    max_tokens: int | None = None
    card_sha256: str | None = None
