"""The collector stays out of a run's way, and is as before afterwards."""

from __future__ import annotations

import gc

import pytest

from tts.collector import YOUNG, undisturbed


def test_what_was_there_is_left_out_of_collections_while_a_run_is_under_way() -> None:
    before = gc.get_threshold()
    there = [[] for _ in range(1_000)]
    with undisturbed():
        assert gc.get_freeze_count() >= len(there)
        assert len(gc.get_objects()) < len(there)
        assert gc.get_threshold() == (YOUNG, *before[1:])
    assert gc.get_freeze_count() == 0
    assert len(gc.get_objects()) > len(there)
    assert gc.get_threshold() == before


def test_a_failure_ends_it_too() -> None:
    before = gc.get_threshold()
    with pytest.raises(RuntimeError), undisturbed():
        raise RuntimeError
    assert (gc.get_threshold(), gc.get_freeze_count()) == (before, 0)
