"""The throughput sweep and the modelled time axis."""

from __future__ import annotations

import asyncio
import csv
import io

import pytest

from tts.engines.scripted import Reply, ScriptedEngine
from tts.errors import InputError
from tts.throughput import as_csv, document, modelled_seconds, peak, sweep


def endless(prompt: str, seed: int) -> Reply:
    return Reply("word " * 100)


def test_warm_ups_do_not_count_and_the_batch_is_raised_until_it_gets_slower() -> None:
    """The clock is read at the start of each run, and at the end of those that count."""
    engine = ScriptedEngine(endless)
    readings = iter([0, 0, 0, 1, 0, 2, 0, 3, *[0, 0, 0, 1, 0, 1, 0, 1], *[0, 0, 0, 9, 0, 9, 0, 9]])
    found = asyncio.run(sweep(engine, [1, 2, 4, 8], [10], 5, clock=lambda: float(next(readings))))
    assert [(m.batch, m.seconds) for m in found] == [(1, (1, 2, 3)), (2, (1, 1, 1)), (4, (9, 9, 9))]
    assert [m.tokens_per_second for m in found] == [5.0, 20.0, pytest.approx(40 / 9)]
    assert peak(found).batch == 2
    assert engine.counters()["generated_tokens"] == 5 * (1 + 2 + 4) * 10
    assert document(found, {})["peak"]["batch"] == 2
    rows = list(csv.DictReader(io.StringIO(as_csv(found))))
    assert [r["peak"] for r in rows] == ["False", "True", "False"]


def test_m1_s_own_figure() -> None:
    """8K tokens at 15,169 tokens a second: about half a second a sample, 16 to 18 s for 32 (section 4.3)."""
    assert modelled_seconds(1, 8192, 15169) == pytest.approx(0.54, abs=0.01)
    assert modelled_seconds(32, 8192, 15169) == pytest.approx(17.3, abs=0.1)


@pytest.mark.parametrize(
    ("engine", "batches"), [(ScriptedEngine(endless, max_model_len=10), [1]), (ScriptedEngine(endless), [65])]
)
def test_what_does_not_fit_is_said(engine: ScriptedEngine, batches: list[int]) -> None:
    with pytest.raises(InputError):
        asyncio.run(sweep(engine, batches, [10], 5))


def test_an_engine_that_ends_early_cannot_be_measured() -> None:
    with pytest.raises(InputError, match="ended after"):
        asyncio.run(sweep(ScriptedEngine(), [1], [50], 5))
