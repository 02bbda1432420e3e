"""Python's cyclic garbage collector, kept from standing in the way of a run."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

YOUNG = 20_000
"""New objects after which the youngest are looked through: one step of a full engine makes more than Python's 700."""


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Leave what is there already out of collections, and collect less often, while the block runs.

    torch, vLLM and SymPy are 650,000 objects (vLLM in an engine's process, SymPy in ours), which a full collection
    walks through in a third of a second; the messages of an engine with 512 sequences, short-lived as they are, can
    bring on one each second.
    """
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(max(YOUNG, before[0]), *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
