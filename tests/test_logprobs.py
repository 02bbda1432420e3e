"""`--no-logprobs`: nothing asks for log-probabilities, what goes by them is refused, and which calls serve which."""

from __future__ import annotations

import asyncio
import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest
from conftest import Sessions, records, tts, write_lines

from tts.catalog import builtin
from tts.engines.scripted import Reply
from tts.errors import InputError
from tts.journal import call_key
from tts.settings import build_strategy, resolve
from tts.strategies import STRATEGIES
from tts.strategies.best_of_n import BestOfN
from tts.strategies.declared import declared
from tts.sweep import read
from tts.types import Message, Sampling
from tts.verify import cards

BY_LOGPROBS = ("self-certainty", "logprob-mean", "perplexity", "logprob-sum", "group-confidence", "tail-confidence")


def evaluate(where: Path, output: Path, *more: object, code: int = 0) -> Any:
    done = tts("eval", where, "--engine", "scripted", "-n", 4, "--output", output, *more)
    assert done.returncode == code, done.stderr
    return done


def means(run: Path) -> set[float | None]:
    return {c["logprob_mean"] for r in records(run) for c in r["solution"]["candidates"]}


def generated(run: Path) -> int:
    """Tokens that the engine made in the run's last life."""
    return int(json.loads((run / "manifest.json").read_text())["lives"][-1]["engine"]["generated_tokens"])


# -- what it goes with ---------------------------------------------------------------------------------------


def settings(**given: Any) -> Any:
    return resolve({"engine": "scripted", "logprobs": False, **given}, None)


@pytest.mark.parametrize(
    "given",
    [
        {"strategy": "best-of-n"},
        {"strategy": "deepconf"},
        {"strategy": "deepconf", "option": ["mode=offline"]},
        {"strategy": "sleep-time", "option": ["inner=deepconf"]},
        *({"strategy": "best-of-n", "option": [f"select={select}"]} for select in BY_LOGPROBS),
        *({"strategy": "infty-think", "option": [f"select={select}"]} for select in BY_LOGPROBS),
        *({"verifier": name} for name in ("logprob-mean", "self-certainty", "entropy", "group-confidence", "p-true")),
        {"strategy": "beam-search", "verifier": "perplexity"},
    ],
    ids=repr,
)
def test_what_goes_by_log_probabilities_is_refused(given: Any) -> None:
    with pytest.raises(InputError, match="goes by log-probabilities, and --no-logprobs asks for none") as error:
        settings(**given)
    assert "leave --no-logprobs out" in str(error.value.hint)
    assert resolve({"engine": "scripted", **given}, None).logprobs


def test_a_policys_strategy_is_refused_too(tmp_path: Path) -> None:
    choice = {"budget": 1.0, "strategy": "best-of-n", "options": {"select": "logprob-mean"}}
    bins = [{"upper": 9.0, "choices": [choice]}]
    (tmp_path / "p.json").write_text(json.dumps({"probe": 2, "measure": "entropy", "bins": bins}))
    with pytest.raises(InputError, match="goes by log-probabilities"):
        settings(strategy="compute-optimal", option=[f"policy={tmp_path / 'p.json'}"])


@pytest.mark.parametrize("strategy", [name for name in STRATEGIES if name not in ("deepconf", "ab-mcts")])
def test_the_others_ask_for_none(strategy: str) -> None:
    verifier = "judge-score" if declared(STRATEGIES[strategy]()).takes_verifier else None
    found = settings(strategy=strategy, verifier=verifier)
    assert found.sampling(build_strategy(found)).top_logprobs is None


@pytest.mark.parametrize("select", ["majority", "weighted", "filtered", "highest", "product"])
def test_selectors_by_votes_and_verifiers_go_with_it(select: str) -> None:
    found = settings(strategy="best-of-n", option=[f"select={select}"], verifier="scripted")
    assert found.sampling(build_strategy(found)).top_logprobs is None


def test_a_chain_of_shapes_keeps_the_wider_table() -> None:
    mean = BestOfN(select="logprob-mean")
    assert [mean.sampling(Sampling(top_logprobs=k), None).top_logprobs for k in (None, 0, 20, -1)] == [0, 0, 20, -1]


# -- runs ----------------------------------------------------------------------------------------------------


def test_records_and_tables_have_none(sums: Path, tmp_path: Path) -> None:
    evaluate(sums, tmp_path / "with")
    evaluate(sums, tmp_path / "without", "--no-logprobs")
    assert None not in means(tmp_path / "with")
    assert means(tmp_path / "without") == {None}
    table = tts("export", tmp_path / "without", "--format", "csv", "--table", "samples").stdout
    assert {row["logprob_mean"] for row in csv.DictReader(table.splitlines())} == {""}
    texts = (
        [c["text"] for r in records(tmp_path / w) for c in r["solution"]["candidates"]] for w in ("with", "without")
    )
    assert next(texts) == next(texts)
    (problem, *_) = records(tmp_path / "without")
    assert ", logprob" not in tts("show", tmp_path / "without", problem["problem_id"]).stdout


def test_run_takes_it_too() -> None:
    done = tts("run", "What is 20 + 22?", "--engine", "scripted", "--no-logprobs", "--json")
    assert {c["logprob_mean"] for c in json.loads(done.stdout)["solution"]["candidates"]} == {None}
    done = tts("run", "What is 20 + 22?", "--engine", "scripted", "--no-logprobs", "-s", "best-of-n")
    assert (done.returncode, done.stdout) == (2, "")
    assert "select=self-certainty goes by log-probabilities" in done.stderr
    assert "starting" not in done.stderr


def test_a_configuration_file_may_say_it_and_the_command_line_take_it_back(sums: Path, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("logprobs = false\n")
    evaluate(sums, tmp_path / "without", "--config", tmp_path / "c.toml")
    evaluate(sums, tmp_path / "with", "--config", tmp_path / "c.toml", "--logprobs")
    assert means(tmp_path / "without") == {None}
    assert None not in means(tmp_path / "with")
    again = tmp_path / "again"
    evaluate(sums, again, "--config", tmp_path / "without" / "manifest.json")
    assert means(again) == {None}


@pytest.mark.parametrize(("first", "then"), [("--logprobs", "--no-logprobs"), ("--no-logprobs", "--logprobs")])
def test_a_run_is_not_resumed_with_the_other(first: str, then: str, sums: Path, tmp_path: Path) -> None:
    evaluate(sums, tmp_path / "run", first, "--limit", 4)
    before = (tmp_path / "run" / "records.jsonl").read_bytes()
    done = evaluate(sums, tmp_path / "run", then, "--resume", code=2)
    assert "belongs to another configuration: sampling.top_logprobs" in done.stderr
    assert (tmp_path / "run" / "records.jsonl").read_bytes() == before
    evaluate(sums, tmp_path / "run", first, "--resume")
    assert len(records(tmp_path / "run")) == 12


def test_calls_with_serve_runs_without_and_not_the_other_way(sums: Path, tmp_path: Path) -> None:
    evaluate(sums, tmp_path / "with")
    evaluate(sums, tmp_path / "served", "--no-logprobs", "--reuse", tmp_path / "with")
    assert generated(tmp_path / "served") == 0
    assert means(tmp_path / "served") == {None}
    evaluate(sums, tmp_path / "without", "--no-logprobs")
    evaluate(sums, tmp_path / "whole", "--reuse", tmp_path / "without")
    assert generated(tmp_path / "whole") == generated(tmp_path / "with") > 0
    assert means(tmp_path / "whole") == means(tmp_path / "with")


def test_a_judge_takes_what_it_said_when_its_calls_had_log_probabilities(sessions: Sessions) -> None:
    async def run() -> None:
        async with sessions(lambda p, s: Reply("Score: 7")) as session:
            asked, sampling = session.chat([Message("user", "Rate it.")]), Sampling(0.0, max_tokens=512)
            (before,) = await session.sample(asked, 1, sampling)
            session.rewind()
            (after,) = await session.sample(asked, 1, Sampling(0.0, max_tokens=512, top_logprobs=None))
            assert session.usage.generated_tokens == before.generated_tokens * 2, "charged as a call of its own"
            assert session._setup.engine.counters()["generated_tokens"] == before.generated_tokens
            assert (after.text, after.logprob_sum, after.entropy) == (before.text, None, None)

    asyncio.run(run())


def test_the_keys_of_older_journals_stay() -> None:
    key = call_key("vllm", "m", b"\0" * 32, Sampling(0.8, max_tokens=64), 7)
    assert key.hex() == "ad4ed4bc9c2af9812b4edbf5ef8854990604090a4b832cbf87b8332d25e19a2c"


# -- scores --------------------------------------------------------------------------------------------------


def test_scores_that_go_by_them_are_refused_afterwards(sums: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    evaluate(sums, run, "--no-logprobs")
    before = (run / "records.jsonl").read_bytes()
    for name in ("logprob-mean", "perplexity", "self-certainty", "entropy", "group-confidence", "tail-confidence"):
        done = tts("score", run, "--verifier", name)
        assert done.returncode == 2, name
        assert "the run was made with --no-logprobs and has none" in done.stderr
    assert (run / "records.jsonl").read_bytes() == before
    assert tts("score", run, "--verifier", "scripted").returncode == 0


def test_p_true_asks_for_its_own_afterwards(sums: Path, tmp_path: Path) -> None:
    script = write_lines(
        tmp_path / "s.jsonl", [{"match": "True", "reply": "True", "logprob": -0.5}, {"reply": "\\boxed{1}"}]
    )
    run = tmp_path / "run"
    evaluate(sums, run, "--no-logprobs", "-M", f"script={script}")
    assert tts("score", run, "--verifier", "p-true").returncode == 0
    assert {c["scores"]["p-true"] for r in records(run) for c in r["solution"]["candidates"]} == {math.exp(-0.5)}


def test_cards_say_which_need_them() -> None:
    needy = {"logprob-mean", "perplexity", "self-certainty", "entropy", "group-confidence", "tail-confidence", "p-true"}
    names = {path.stem for path in builtin("verifiers").glob("*.toml")} - {"symbolic", "choice"}
    assert {name for name in names if cards.load(name)[0].needs_logprobs} == needy


# -- sweeps --------------------------------------------------------------------------------------------------


def test_a_sweep_over_both_makes_those_with_them_first_and_shares_them(tmp_path: Path) -> None:
    file = tmp_path / "grid.toml"
    file.write_text('benchmarks = "samples"\nengine = "scripted"\nlimit = "4"\nlogprobs = [false, true]\nn = [2, 4]\n')
    assert [(c.settings.logprobs, c.settings.n) for c in read(file)] == [(True, 4), (True, 2), (False, 4), (False, 2)]
    done = tts("sweep", file, "--output", tmp_path / "out", "--json")
    assert done.returncode == 0, done.stderr
    made = {folder.parent.name: generated(folder.parent) for folder in (tmp_path / "out").glob("*/manifest.json")}
    assert len(made) == 4
    assert sorted(made.values())[:3] == [0, 0, 0], made
    file.write_text('benchmarks = "samples"\nlogprobs = false\nstrategy = ["self-consistency", "best-of-n"]\n')
    with pytest.raises(InputError, match=r"select=self-certainty goes by log-probabilities.*strategy=best-of-n"):
        read(file)
