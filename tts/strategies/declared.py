"""What a strategy says of itself to those that run it, and what one that runs others passes on of theirs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from itertools import chain
from typing import Any

from tts.types import Sampling, Strategy

Selector = Callable[[str | None], str]
Check = Callable[[str | None], None]
Shape = Callable[[Sampling, str | None], Sampling]


def _every_check(checks: Sequence[Check]) -> Check:
    def check(verifier: str | None) -> None:
        for one in checks:
            one(verifier)

    return check


def _every_shape(shapes: Sequence[Shape]) -> Shape:
    def sampling(asked: Sampling, verifier: str | None) -> Sampling:
        for shape in shapes:
            asked = shape(asked, verifier)
        return asked

    return sampling


def _join(said: Sequence[Sequence[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(chain.from_iterable(said)))


def _first(said: Sequence[str]) -> str:
    return next(filter(None, said), "")


@dataclass(frozen=True, slots=True)
class Declared:
    """Everything a strategy may declare, each by an attribute of its own of this name; none has to be.

    `together` is what the declarations of several come to.
    """

    n: int = field(default=1, metadata={"together": max})
    """Samples a problem, at most."""
    width: int = field(default=0, metadata={"together": min})
    """The fewest calls that a problem has in flight while it is worked on: of a search, the next steps of its last
    path. As many as `n` where nothing is said.
    """
    takes_verifier: bool = field(default=False, metadata={"together": any})
    needs_verifier: bool = field(default=False, metadata={"together": any})
    scores_together: bool = field(default=False, metadata={"together": all})
    """It hands all candidates of a problem to the verifier at once, so that they may be compared."""
    piecewise: bool = field(default=False, metadata={"together": any})
    """A response is written in several calls, so that what an engine says of one call does not hold for it."""
    aborts: bool = field(default=False, metadata={"together": any})
    """Calls may be cut in mid-flight."""
    templates: tuple[str, ...] = field(default=(), metadata={"together": _join})
    """Prompt templates it fills besides the run's own."""
    policy: str = field(default="", metadata={"together": _first})
    """A file that says how to go on."""
    selector: Selector = field(default=lambda verifier: "", metadata={"together": lambda said: said[0]})
    """Given the verifier's name or None, what chooses among the candidates."""
    check: Check = field(default=lambda verifier: None, metadata={"together": _every_check})
    """Given the verifier's name or None, raises InputError where the options do not go with it."""
    sampling: Shape = field(default=lambda asked, verifier: asked, metadata={"together": _every_shape})
    """The run's sampling with what the strategy needs to know of each token: one that leaves `top_logprobs` at None
    goes by no log-probability.
    """


def declared(strategy: Strategy) -> Declared:
    """What a strategy declares, together with what those `inside` it do: whatever it is, it is passed on.

    Raises:
        InputError: a strategy inside cannot be made.
    """
    inside = [declared(one) for one in getattr(strategy, "inside", ())]
    found: dict[str, Any] = {}
    for f in fields(Declared):
        said = [getattr(strategy, f.name)] if hasattr(strategy, f.name) else []
        said += [getattr(one, f.name) for one in inside]
        found[f.name] = f.metadata["together"](said) if said else f.default
    found["width"] = found["width"] or found["n"]
    return Declared(**found)
