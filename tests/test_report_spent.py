"""Reports of rounds and of sleep-time, from the accounts that runs keep."""

from __future__ import annotations

from typing import Any

import pytest

from tts.amortise import Spending, crossing
from tts.report.packing import codes, dictionary, pack, seven_bits
from tts.report.rounds import rounds, section
from tts.stats import estimate


def spent(right: list[int], test: float, sleep: float = 0.0) -> Spending:
    values = [float(x) for x in right]
    return Spending(estimate(values), len(values), test, sleep, 4.0, 1.0, {str(i): v for i, v in enumerate(values)})


def test_thinking_at_test_time_wins_from_where_notes_fall_behind() -> None:
    slept = {"bare": spent([1, 0, 0, 0], 5, 100), "full": spent([1, 1, 0, 0], 20, 100)}
    plain = {"one": spent([1, 0, 0, 0], 50), "eight": spent([1, 1, 1, 0], 400)}
    found = crossing(slept, plain, lambda s: s.test)
    assert found is not None
    assert (found.budget, found.plain, found.slept, found.cheapest) == (400, "eight", "full", False)
    assert found.gain is not None
    assert found.gain.value == 0.25
    assert crossing(slept, {"one": plain["one"]}, lambda s: s.test) is None
    always = crossing({"bare": slept["bare"]}, {"cheap": spent([1, 1, 1, 1], 2)}, lambda s: s.test)
    assert always is not None
    assert always.cheapest


def chain(index: int, prompts: list[int], tokens: int, summary: int) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    teeth = [
        {
            "chain": index, "round": i, "finish": "conclusion" if i == len(prompts) else "summary", "prompt_tokens": p,
            "tokens": tokens, "context": p + tokens, "correct": i == len(prompts), "text": "", "summary": "",
        }
        for i, p in enumerate(prompts, 1)
    ]  # fmt: skip
    contexts = [t["context"] for t in teeth]
    long = prompts[0] + len(prompts) * (tokens - summary)
    one = {"tokens": len(prompts) * (tokens - summary), "peak_context": long, "context_squared": long**2}
    account = {
        "chain": index, "rounds": len(prompts), "tokens": tokens * len(prompts), "peak_context": max(contexts),
        "context_squared": sum(c * c for c in contexts), "kv_bytes": None, "one_chain": {**one, "kv_bytes": None},
    }  # fmt: skip
    return teeth, account


def test_a_run_of_rounds_has_its_sawtooth_and_costs_beside_one_long_chain() -> None:
    parts = [chain(0, [50, 60], 100, 10), chain(1, [50, 60, 60, 60], 100, 10)]
    solution = {"mode": "trained", "rounds": [t for p in parts for t in p[0]], "chains": [p[1] for p in parts]}
    record = {"problem_id": "p", "attempt": 0, "grade": {"correct": True}, "solution": solution}
    found = rounds([record])
    assert found is not None
    assert (found.ours.most_context, found.one.most_context) == (160, 410)
    assert [d.rounds for d in found.depths] == [2, 4]
    assert [r.accuracy for r in found.by_round] == [0.0, 0.5, 0.5, 1.0]
    drawn = section("run", found)
    deepest = drawn.plots[0].lines[-2].marks
    assert [(m.x, m.y) for m in deepest[:4]] == [(0, 50), (100, 150), (100, 60), (200, 160)]
    assert drawn.tables[0].rows[3][1] == "unknown"
    assert rounds([{"solution": {}}]) is None


@pytest.mark.parametrize("size", [0, 1, 6, 7, 8, 1000])
def test_seven_bits_a_character_hold_every_byte(size: int) -> None:
    data = bytes(i * 37 % 256 for i in range(size))
    text = seven_bits(data)
    assert not set(text) & set("\0\r<")
    bits = "".join(f"{ord(c) & 127:07b}" for c in text)
    assert bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits) // 8 * 8, 8)) == data


def test_words_by_number_are_shorter_than_deflate_alone() -> None:
    records = [{"text": f"the remainder of {i} is written as \\frac{{{i}}}{{7}} \u00e9 \ud83d"} for i in range(300)]
    words = dictionary(records)
    assert len(pack({"all": records}, codes(words))) < len(pack({"all": records}, {}))
