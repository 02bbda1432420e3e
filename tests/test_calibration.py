"""Policies from stored runs, and the strategy that follows them."""

from __future__ import annotations

import asyncio
import json
import math
from pathlib import Path
from typing import Any

import pytest
from conftest import records, tts

from tts.calibration import Setting, _for_all, calibrate
from tts.engines.scripted import Reply
from tts.errors import InputError
from tts.policy import Bin, Choice, Policy, doubt, entropy, load
from tts.strategies.compute_optimal import ComputeOptimal
from tts.types import Problem
from tts.verified import verified

PROBLEM = Problem("p", "What is 2 + 3?")


def _stored(
    folder: Path, name: str, strategy: str, rows: dict[str, list[tuple[bool, float, int]]], **more: Any
) -> Path:
    """A run directory as `tts eval` leaves it, of (right, score, tokens) for each sample of each problem."""
    run = folder / name
    run.mkdir()
    n = len(next(iter(rows.values())))
    identity = {"strategy": strategy, "options": {"select": "auto"}, "verifier": "v", **more}
    if strategy != "best-of-n":
        identity["options"] = {}
    manifest = {"run_id": name, "identity": identity, "growing": {"n": n}, "lives": []}
    (run / "manifest.json").write_text(json.dumps(manifest))
    with (run / "records.jsonl").open("w") as lines:
        for problem, samples in rows.items():
            candidates = [
                {"text": f"{right} {i}", "answer": "1" if right else "2", "finish": "stop", "generated_tokens": tokens,
                 "seed": i, "scores": {"v": score}, "logprob_mean": -1.0, "correct": right, "class": int(right)}
                for i, (right, score, tokens) in enumerate(samples)
            ]  # fmt: skip
            spent = sum(tokens for _, _, tokens in samples)
            usage = {
                "generated_tokens": spent,
                "verifier_tokens": 3 * len(samples),
                "verifier_cached_tokens": 2 * len(samples),
            }
            lines.write(json.dumps({
                "run_id": name, "problem_id": problem, "attempt": 0, "status": "ok",
                "solution": {"answer": "1", "candidates": candidates},
                "grade": {"correct": samples[0][0], "answer": "1", "target": "1", "status": "ok"},
                "usage": usage, "error": None,
            }) + "\n")  # fmt: skip
    return run


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    """Twelve easy problems, where one sample does, and twelve that only the verifier's favourite solves."""
    easy = {f"e{i}": [(True, 0.9, 10)] * 8 for i in range(12)}
    hard = {f"h{i}": [(k == 7, 0.99 if k == 7 else 0.3 + 0.001 * i, 10) for k in range(8)] for i in range(12)}
    return _stored(tmp_path, "pool", "best-of-n", {**easy, **hard})


def test_each_bin_gets_what_does_best_there(pool: Path) -> None:
    policy = calibrate([pool], 2, 2, None)
    easy, hard = policy.bins
    assert policy.measure == "score"
    assert (easy.problems, hard.problems) == (12, 12)
    assert easy.upper == pytest.approx(0.1)
    assert easy.pass_at_1 == 1.0
    assert {(c.strategy, c.options["n"], c.tokens) for c in easy.choices} == {("self-consistency", 2, 22.0)}
    largest = policy.choice(1, 0)
    assert (largest.strategy, largest.options["select"]) == ("best-of-n", "highest")
    assert largest.accuracy == largest.held_out_accuracy
    assert all(c.held_out_accuracy == 1.0 for c in easy.choices)
    assert policy.verifier == "v"
    held = policy.curves["compute-optimal (score, held out)"]
    fixed = policy.curves["self-consistency"]
    assert all(h["accuracy"] >= f["accuracy"] for h, f in zip(held, fixed, strict=True))
    assert policy.diagnostics["best@8"]["accuracy"] == 1.0


def test_a_budget_for_the_set_gives_hard_questions_what_easy_ones_leave(pool: Path) -> None:
    """88 tokens for all eight samples of a hard question, 22 for an easy one: a mean of 55 does what 88 each do."""
    alone, together = calibrate([pool], 2, 2, None), calibrate([pool], 2, 2, None, "set")
    assert together.budget_of == "set"
    assert together.choice(1, 65).options["n"] == 8
    assert alone.choice(1, 65).options["n"] == 4
    for budget in (c.budget for c in together.bins[0].choices):
        chosen = [together.choice(number, budget) for number in (0, 1)]
        cheapest = chosen[0].tokens == chosen[1].tokens == 22.0
        assert cheapest or sum(c.tokens for c in chosen) / 2 <= budget * (1 + 1e-9)
    held = together.curves["compute-optimal (score, held out)"]
    assert [h["accuracy"] for h in held] == sorted(h["accuracy"] for h in held)


def test_the_step_that_wins_most_a_token_is_next() -> None:
    def setting(name: str, tokens: float, accuracy: float) -> Setting:
        return Setting(name, name, {}, {"q": accuracy, "r": 1.0}, {"q": tokens, "r": tokens})

    settings = [
        setting("a", 1, 0.1),
        setting("b", 2, 0.15),
        setting("c", 3, 0.5),
        setting("d", 4, 0.4),
        setting("e", 9, 0.6),
    ]
    alone = [best.label for (best,) in _for_all(settings, [["q"]], (0.5, 2, 3, 8, 9))]
    assert alone == ["a", "b", "c", "c", "e"]
    both = [[s.label for s in found] for found in _for_all(settings, [["q"], ["r"]], (1.5, 2, 5))]
    assert both == [["b", "a"], ["c", "a"], ["e", "a"]]


def test_another_run_is_a_setting_whose_placement_is_paid(pool: Path, tmp_path: Path) -> None:
    rows = {f"e{i}": [(False, 0.5, 5)] for i in range(12)} | {f"h{i}": [(True, 0.5, 5)] for i in range(12)}
    beam = _stored(tmp_path, "beam", "beam", rows)
    policy = calibrate([pool, beam], 2, 2, None)
    assert policy.choice(1, 0).strategy == "beam"
    assert policy.choice(1, 0).tokens == 5 + 1 + 2 * 10 + 2
    assert policy.choice(0, 0).strategy != "beam"


def test_a_vote_that_ends_early_is_chosen_where_it_does_as_well_for_less(tmp_path: Path) -> None:
    """Right with 0.9 in three samples of four, wrong with 0.1 else: two or three votes are enough, and eight are not
    better. Where the verifier knows nothing, nothing stops early.
    """
    sure = {f"s{i}": [((k + i) % 4 > 0, 0.9 if (k + i) % 4 else 0.1, 10) for k in range(32)] for i in range(12)}
    torn = {f"t{i}": [((k + i) % 3 > 0, 0.01, 10) for k in range(32)] for i in range(12)}
    policy = calibrate([_stored(tmp_path, "pool", "best-of-n", {**sure, **torn})], 2, 2, None, "set")
    stopped = policy.curves["stop=beta 0.8"]
    fixed = policy.curves["best-of-n weighted"]
    assert stopped[-1]["accuracy"] == fixed[-1]["accuracy"] == 1.0
    assert stopped[-1]["tokens"] < 0.65 * fixed[-1]["tokens"]
    choice = policy.choice(0, 200)
    assert (choice.strategy, choice.options["select"]) == ("self-consistency", "weighted")
    assert choice.tokens < 11 * 6
    alone = calibrate([_stored(tmp_path, "torn", "best-of-n", torn)], 1, 2, None).curves
    assert alone["stop=beta 0.8"][-1] == alone["best-of-n weighted"][-1]


def test_weights_need_their_verifier_also_where_entropy_places(pool: Path) -> None:
    assert calibrate([pool], 2, 2, "entropy", "set").verifier == "v"


def test_no_rule_is_replayed_for_what_compares_candidates(tmp_path: Path) -> None:
    rows = {f"p{i}": [(k % 2 == 0, float(k % 2 == 0), 10) for k in range(8)] for i in range(8)}
    run = _stored(tmp_path, "pool", "best-of-n", rows)
    text = (run / "manifest.json").read_text()
    (run / "manifest.json").write_text(text.replace('"verifier": "v"', '"verifier": "judge-pairwise"'))
    (run / "records.jsonl").write_text((run / "records.jsonl").read_text().replace('{"v":', '{"judge-pairwise":'))
    assert not any("stop=" in label for label in calibrate([run], 1, 2, None).curves)


def test_another_vote_is_a_curve_of_its_own(pool: Path, tmp_path: Path) -> None:
    rows = {f"{kind}{i}": [(True, 0.5, 500)] for i in range(12) for kind in "eh"}
    policy = calibrate([pool, _stored(tmp_path, "again", "self-consistency", rows)], 2, 2, None)
    assert max(c.budget for c in policy.bins[0].choices) == 88
    assert policy.curves["self-consistency, again"] == [{"tokens": 500 + 1 + 22, "accuracy": 1.0}]


def test_what_places_a_problem_is_what_it_is_measured_on(tmp_path: Path) -> None:
    """Half of all samples are right and the verifier sees it: a draw that begins with a wrong one is hard, also where
    it is of the same problem, and one sample of it is never right."""
    rows = {f"p{i}": [(k % 2 == 0, float(k % 2 == 0), 10) for k in range(8)] for i in range(24)}
    policy = calibrate([_stored(tmp_path, "pool", "best-of-n", rows)], 2, 1, None)
    easy, hard = policy.bins
    assert easy.choices[0].accuracy == 1.0
    assert hard.choices[0].accuracy == 0.0
    assert hard.choices[-1].accuracy == 1.0
    assert easy.problems + hard.problems == 24


@pytest.mark.parametrize(("bins", "probe", "said"), [(13, 2, "too few"), (2, 9, "only 8 samples")])
def test_too_little_is_said(pool: Path, bins: int, probe: int, said: str) -> None:
    with pytest.raises(InputError, match=said):
        calibrate([pool], bins, probe, None)


def test_the_first_run_must_be_a_pool(tmp_path: Path) -> None:
    beam = _stored(tmp_path, "beam", "beam", {"a": [(True, 0.5, 5)]})
    with pytest.raises(InputError, match="independent"):
        calibrate([beam], 1, 1, None)


def test_measures_of_difficulty() -> None:
    assert entropy([0, 0, 0]) == 0.0
    assert entropy([0, 1]) == pytest.approx(math.log(2))
    assert entropy([-1, -1]) == pytest.approx(math.log(2))
    assert doubt([0.25, None, 1.0, 0.75]) == pytest.approx(0.5)


def policy_file(path: Path, measure: Any = "entropy", verifier: str | None = None) -> str:
    bins = [
        Bin(upper=0.0, choices=[Choice(budget=30, strategy="self-consistency", options={"n": 2})]),
        Bin(upper=None, choices=[
            Choice(budget=30, strategy="self-consistency", options={"n": 3}),
            Choice(budget=90, strategy="best-of-n", options={"n": 6, "select": "logprob-mean"}),
        ]),
    ]  # fmt: skip
    path.write_text(Policy(probe=2, measure=measure, verifier=verifier, bins=bins).model_dump_json())
    return str(path)


def _solve(sessions: Any, strategy: Any, script: Any) -> Any:
    async def main() -> Any:
        async with sessions(script) as session:
            solution = await strategy.solve(PROBLEM, session)
            return solution, session.close(), session._setup.engine.counters()

    return asyncio.run(main())


def test_first_samples_are_used_again_and_charged_once(sessions: Any, tmp_path: Path) -> None:
    path = policy_file(tmp_path / "p.json")
    easy, usage, _ = _solve(sessions, ComputeOptimal(policy=path), lambda p, s: Reply("\\boxed{5}"))
    assert easy.answer == "5"
    assert len(easy.candidates) == usage.calls == 2
    assert easy.details["placed"]["bin"] == 0

    def differing(prompt: str, seed: int) -> Reply:
        return Reply(f"\\boxed{{{seed}}}", logprob=-1.0 / (1 + seed % 97))

    hard, usage, counters = _solve(sessions, ComputeOptimal(policy=path), differing)
    assert len(hard.candidates) == usage.calls == 6
    assert usage.generated_tokens == counters["generated_tokens"]
    assert hard.details["placed"] == {**hard.details["placed"], "bin": 1, "strategy": "best-of-n", "n": 6}
    assert hard.answer == max(hard.candidates, key=lambda c: c.completion.logprob_mean).answer
    few, usage, _ = _solve(sessions, ComputeOptimal(policy=path, tokens=50), differing)
    assert len(few.candidates) == usage.calls == 3


def test_what_a_policy_needs_is_said_before_anything_starts(sums: Path, tmp_path: Path) -> None:
    needs = policy_file(tmp_path / "needs.json", "score", "v")
    for path, said in ((needs, "--verifier v"), (tmp_path / "none.json", "cannot read policy"), (sums, "not a policy")):
        words = ("eval", sums, "--engine", "scripted", "-s", "compute-optimal", "-o", f"policy={path}")
        done = tts(*words, cwd=tmp_path)
        assert done.returncode == 2, done.stderr
        assert said in done.stderr


def test_calibrate_and_follow_from_the_command_line(sums: Path, tmp_path: Path) -> None:
    words = ["eval", sums, "--engine", "scripted", "--output"]
    assert tts(*words, tmp_path / "pool", "-s", "best-of-n", "-n", 8, "-o", "select=majority").returncode == 0
    done = tts("calibrate", tmp_path / "pool", "-o", tmp_path / "p.json", "--bins", 2)
    assert done.returncode == 0, done.stderr
    assert "held out" in done.stdout
    assert load(str(tmp_path / "p.json")).measure == "entropy"
    follow = ["-s", "compute-optimal", "-o", f"policy={tmp_path / 'p.json'}"]
    done = tts(*words, tmp_path / "run", *follow, "--json")
    assert done.returncode == 0, done.stderr
    assert all("placed" in r["solution"] for r in records(tmp_path / "run"))
    (tmp_path / "p.json").write_text((tmp_path / "p.json").read_text() + "\n")
    assert "policy_sha256" in tts(*words, tmp_path / "run", *follow, "--resume").stderr


def test_a_verifier_s_gain_stands_beside_the_spread_of_traces(pool: Path) -> None:
    found = verified([pool])
    best = found["curves"]["verifier"]["best of k"][-1]
    majority = found["curves"]["no verifier"]["majority"][-1]
    assert (best["accuracy"], majority["accuracy"]) == (1.0, 0.5)
    assert best["tokens"] == 8 * 11
    assert majority["tokens"] == 8 * 10
    hard = next(t for t in found["problems"] if t.problem_id == "h0")
    assert hard.above == 1 / 8
    assert hard.correct == 1
    assert hard.length_spread is None
    assert found["correlation_with_gain"]["length_spread"] is None


def test_the_report_puts_both_on_one_axis(sums: Path, tmp_path: Path) -> None:
    how = (sums, "--engine", "scripted", "--verifier", "scripted", "-n", 4, "--json")
    assert tts("eval", *how, "-s", "best-of-n", "--output", tmp_path / "pool").returncode == 0
    assert tts("eval", *how, "-s", "beam-search", "--output", tmp_path / "beam").returncode == 0
    shown = tts("report", "--verified", tmp_path / "pool", tmp_path / "beam")
    assert shown.returncode == 0, shown.stderr
    for words in ("majority", "longest chain", "weighted", "beam-search", "correlation with what the verifier gains"):
        assert words in shown.stdout
    plain = json.loads(tts("report", "--verified", tmp_path / "pool", tmp_path / "beam", "--json").stdout)
    assert set(plain["curves"]["verifier"]) == {"best of k", "weighted", "beam-search"}
    assert tts("report", "--verified", tmp_path / "beam").returncode == 2
    assert tts("report", "--verified", "--length", tmp_path / "pool").returncode == 2
