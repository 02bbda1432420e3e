from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from tts.engines.startup import BINDING, OMP_THREADS, _in_one_process


@pytest.mark.parametrize(
    ("cores", "asked", "environment"),
    [
        (8, {}, {}),
        (2, {"tensor_parallel_size": 2}, {}),
        (2, {"distributed_executor_backend": "mp"}, {}),
        (2, {}, {BINDING: "0"}),
    ],
)
def test_many_cores_and_whatever_was_asked_for_stay_as_they_are(
    cores: int, asked: dict[str, object], environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (BINDING, OMP_THREADS):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    plain = {"tensor_parallel_size": 1, "pipeline_parallel_size": 1, "distributed_executor_backend": None}
    arguments = SimpleNamespace(**{**plain, **asked})
    with _in_one_process(arguments):
        assert vars(arguments) == {**plain, **asked}
        assert OMP_THREADS not in os.environ
