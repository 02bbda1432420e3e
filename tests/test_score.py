"""`tts score` and `--verifier` from the command line, on the scripted engine."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from conftest import records, tts, write_lines

from tts.engines.scripted import ScriptedEngine
from tts.errors import EngineDead, RunDirectoryError
from tts.evaluate import Stop
from tts.rescoring import score_run
from tts.types import Completion, Example, Problem, Prompt, StepScores
from tts.verify import cards
from tts.verify.rule import RuleVerifier


def evaluate(where: Path, output: Path, *more: object) -> Any:
    done = tts("eval", where, "--engine", "scripted", "-n", 4, "--output", output, *more)
    assert done.returncode == 0, done.stderr
    return done


def candidates(run: Path) -> list[dict[str, Any]]:
    return [c for r in records(run) for c in r["solution"]["candidates"]]


def test_scores_come_afterwards_as_they_would_have_at_once(sums: Path, tmp_path: Path) -> None:
    late, at_once = tmp_path / "late", tmp_path / "at-once"
    evaluate(sums, late)
    evaluate(sums, at_once, "-s", "best-of-n", "--verifier", "scripted")
    before = records(late)
    done = tts("score", late, "--verifier", "scripted", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["scored"], told["known"], told["failed"]) == (12, 0, 0)
    assert candidates(late) == candidates(at_once)
    assert [r["solution"]["answer"] for r in records(late)] == [r["solution"]["answer"] for r in before]
    spent = [r["usage"]["verifier_tokens"] for r in records(late)]
    assert spent == [r["usage"]["verifier_tokens"] for r in records(at_once)]
    assert [r["usage"]["generated_tokens"] for r in records(late)] == [r["usage"]["generated_tokens"] for r in before]
    for run in (late, at_once):
        metrics = json.loads((run / "results.json").read_text())["metrics"]
        assert {"best@4:scripted", "weighted@4:scripted", "best@2:scripted"} <= metrics.keys()
        assert "best@4:scripted" in (run / "results.csv").read_text()
    rows = list(csv.DictReader(io.StringIO(tts("export", late, "--format", "csv", "--table", "samples").stdout)))
    assert all(0 < float(row["score"]) < 1 for row in rows)


@pytest.mark.parametrize("made_with", [(), ("-s", "best-of-n", "--verifier", "scripted")])
def test_nothing_is_scored_twice(made_with: Any, sums: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    evaluate(sums, run, *made_with)
    if not made_with:
        assert tts("score", run, "--verifier", "scripted").returncode == 0
    before = (run / "records.jsonl").read_bytes()
    told = json.loads(tts("score", run, "--verifier", "scripted", "--json").stdout)
    assert (told["scored"], told["known"]) == (0, 12)
    assert (run / "records.jsonl").read_bytes() == before


def test_several_verifiers_stand_side_by_side(sums: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    evaluate(sums, run)
    for name in ("scripted", "entropy", "logprob-mean"):
        assert tts("score", run, "--verifier", name).returncode == 0
    for candidate in candidates(run):
        assert {"scripted", "entropy", "logprob-mean"} <= candidate["scores"].keys()
    evaluate(sums, run, "--resume")
    assert "scripted" in candidates(run)[0]["scores"]


def test_a_judge_that_is_the_policy_is_asked_and_counted(sums: Path, tmp_path: Path) -> None:
    (tmp_path / "s.py").write_text(
        "def say(prompt, seed):\n"
        "    if 'Score:' in prompt:\n        return 'Fine. Score: 7'\n"
        "    return f'It is \\\\boxed{{{seed % 3}}}.'\n"
    )
    run = tmp_path / "run"
    evaluate(sums, run, "-M", f"script={tmp_path / 's.py'}:say")
    before = sum(r["usage"]["generated_tokens"] for r in records(run))
    done = tts("score", run, "--verifier", "judge-score")
    assert done.returncode == 0, done.stderr
    assert {c["scores"]["judge-score"] for c in candidates(run)} == {0.7}
    assert sum(r["usage"]["generated_tokens"] for r in records(run)) == before + 3 * len(candidates(run))


def test_what_cannot_be_scored_is_told_and_left(sums: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    evaluate(sums, run)
    before = (run / "records.jsonl").read_bytes()
    done = tts("score", run, "--verifier", "p-true")
    assert done.returncode == 1
    assert "12 problems could not be scored" in done.stderr
    assert (run / "records.jsonl").read_bytes() == before


@pytest.mark.skipif(find_spec("vllm") is None, reason="vLLM is not installed, which is said first")
def test_a_verifiers_missing_tokenizer_is_said_before_anything_starts(sums: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    done = tts("eval", sums, "--engine", "scripted", "--verifier", "nano", "--verifier-model", tmp_path, cwd=tmp_path)
    assert done.returncode == 2
    assert "cannot load the tokenizer" in done.stderr
    assert "Traceback" not in done.stderr
    assert "starting" not in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["RUN"], "--verifier NAME is needed"),
        (["RUN", "--verifier", "nanno"], "did you mean 'nano'"),
        (["RUN", "--verifier", "symbolic"], "it needs the target"),
        (["RUN", "--verifier", "nano", "--verifier-model", "/nowhere"], "no model folder"),
        (["nowhere", "--verifier", "scripted"], "is not a run directory"),
    ],
)
def test_bad_input_is_one_line(words: list[str], said: str, sums: Path, tmp_path: Path) -> None:
    evaluate(sums, tmp_path / "run", "--limit", 2)
    done = tts("score", *(str(tmp_path / "run") if w == "RUN" else w for w in words))
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_options_are_scored_in_the_order_that_the_policy_saw(tmp_path: Path) -> None:
    rows = [{"id": str(i), "question": "Which?", "choices": list("pqrs"), "answer": "A"} for i in range(6)]
    data, run, at_once = write_lines(tmp_path / "q.jsonl", rows), tmp_path / "late", tmp_path / "at-once"
    (tmp_path / "s.py").write_text(
        "def say(prompt, seed):\n"
        "    where = prompt.partition(') p')[0][-1]\n"
        "    return f'Score: {ord(where) - 64}' if 'Score:' in prompt else f'It is \\\\boxed{{{where}}}.'\n"
    )
    for how in ("per-record", "per-attempt"):
        more = ("--permute", how, "--repeats", 3, "-M", f"script={tmp_path / 's.py'}:say")
        evaluate(data, run / how, *more)
        evaluate(data, at_once / how, *more, "-s", "best-of-n", "--verifier", "judge-score")
        done = tts("score", run / how, "--verifier", "judge-score")
        assert done.returncode == 0, done.stderr
        assert candidates(run / how) == candidates(at_once / how)
        for c in candidates(run / how):
            assert c["scores"]["judge-score"] == pytest.approx((ord(c["answer"]) - 64) / 10), "as the policy saw it"


def test_a_run_at_temperature_0_is_scored(sums: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = tts("eval", sums, "--engine", "scripted", "-s", "single", "--temperature", 0, "--output", run)
    assert done.returncode == 0, done.stderr
    done = tts("score", run, "--verifier", "scripted")
    assert done.returncode == 0, done.stderr
    assert all("scripted" in c["scores"] for c in candidates(run))


def _cards(folder: Path, verdicts: str) -> Path:
    (folder / "v.py").write_text(f"def rate(question, steps):\n    {verdicts}\n")
    (folder / "mine.toml").write_text(f'description = "ours"\nkind = "scripted"\nscript = "{folder / "v.py"}:rate"\n')
    return folder / "mine.toml"


def test_scores_of_two_verifiers_are_not_mixed_under_one_name(sums: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    evaluate(sums, run)
    card = _cards(tmp_path, "return [0.25 for _ in steps]")
    assert tts("score", run, "--verifier", card).returncode == 0
    assert {c["scores"]["mine"] for c in candidates(run)} == {0.25}
    card.write_text(card.read_text().replace("ours", "another"))
    (tmp_path / "v.py").write_text(
        "def rate(question, steps):\n    assert 'is 2 +' not in question\n    return [0.75 for _ in steps]\n"
    )
    assert tts("score", run, "--verifier", card).returncode == 1
    found = [c["scores"].get("mine") for c in candidates(run)]
    assert set(found) == {0.75, None}, "where the second could not score, the first's are gone"
    assert found.count(None) == 4
    (tmp_path / "v.py").write_text("def rate(question, steps):\n    raise ValueError\n")
    card.write_text(card.read_text().replace("another", "a third"))
    before = (run / "records.jsonl").read_bytes()
    assert tts("score", run, "--verifier", card).returncode == 1
    assert (run / "records.jsonl").read_bytes() == before, "one that scores nothing takes nothing away"


def test_a_runs_own_verifier_scores_again_after_another_of_its_name(sums: Path, tmp_path: Path) -> None:
    run, card = tmp_path / "run", _cards(tmp_path, "return [0.25 for _ in steps]")
    evaluate(sums, run, "-s", "best-of-n", "--verifier", card)
    own = (card.read_text(), (tmp_path / "v.py").read_text())
    card.write_text(own[0].replace("ours", "another"))
    (tmp_path / "v.py").write_text(own[1].replace("0.25", "0.75"))
    assert tts("score", run, "--verifier", card).returncode == 0
    assert {c["scores"]["mine"] for c in candidates(run)} == {0.75}
    card.write_text(own[0])
    (tmp_path / "v.py").write_text(own[1])
    assert tts("score", run, "--verifier", card).returncode == 0
    assert {c["scores"]["mine"] for c in candidates(run)} == {0.25}


def test_a_judges_mark_names_who_judged(sums: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    (tmp_path / "s.py").write_text("def say(prompt, seed):\n    return 'Score: 7, \\\\boxed{1}'\n")
    evaluate(sums, run, "-M", f"script={tmp_path / 's.py'}:say", "-m", "some-policy")
    assert tts("score", run, "--verifier", "judge-score").returncode == 0
    assert "some-policy" in json.loads((run / "manifest.json").read_text())["scored"]["judge-score"]


class Dies(RuleVerifier):
    """Scores some, then its engine is gone."""

    def __init__(self, after: int) -> None:
        card, _ = cards.load("scripted")
        assert isinstance(card, cards.ScriptedCard)
        super().__init__(card)
        self.left, self.asked = after, 0

    async def score(self, prompt: Prompt, completion: Completion, session: Any, request_id: str) -> StepScores:
        self.asked += 1
        if self.asked > self.left:
            raise EngineDead("it died")
        return await super().score(prompt, completion, session, request_id)


def test_a_death_keeps_what_was_scored(sums: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    evaluate(sums, run, "-s", "self-consistency")
    problems = {r["problem_id"]: Example(Problem(r["problem_id"], r["question"]), None) for r in records(run)}

    async def go(verifier: Dies) -> Any:
        return await score_run(
            run, problems, ScriptedEngine(), verifier, prompt="cot", seed=0, concurrency=2, stop=Stop()
        )

    def texts(scored: bool) -> set[tuple[str, str]]:
        found = ((r["problem_id"], c) for r in records(run) for c in r["solution"]["candidates"])
        return {(name, c["text"]) for name, c in found if not scored or "scripted" in c["scores"]}

    first = Dies(20)
    with pytest.raises(EngineDead):
        asyncio.run(go(first))
    assert 0 < len(texts(scored=True)) <= 20 < len(texts(scored=False))
    second = Dies(10**6)
    outcome = asyncio.run(go(second))
    assert (outcome.scored + outcome.known, outcome.failed, outcome.left) == (12, 0, 0)
    assert second.asked == len(texts(scored=False)) - 20, "what the journal has is not asked again"
    assert all("scripted" in c["scores"] for c in candidates(run))
    problems.popitem()
    with pytest.raises(RunDirectoryError, match="that its benchmark has not"):
        asyncio.run(go(second))
