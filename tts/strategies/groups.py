"""n samples in equal groups."""

from __future__ import annotations

from tts.errors import InputError


def whole(n: int, option: str, parts: int) -> None:
    """Raises InputError where -n is not a multiple of an option's value."""
    if parts > n:
        raise InputError(f"-o {option}={parts} is more than -n {n}", f"-n {parts}, or a smaller {option}")
    if n % parts:
        near = n - n % parts
        raise InputError(f"-n {n} is not a multiple of -o {option}={parts}", f"-n {near} or -n {near + parts}")
