"""DeepConf's confidences as verifiers: on run, eval and score, with every selector, and only of whole responses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import records, tts, write_lines

from tts.engines.confidence import groups_of
from tts.errors import InputError
from tts.selection import BY_VERIFIER
from tts.settings import build_strategy, resolve
from tts.types import Sampling
from tts.verify import cards

NAMES = ("group-confidence", "tail-confidence")
WINDOW = 3
SURE, UNSURE = [4.0, 4.0, 4.0, 1.0], [2.0, 2.0, 2.0, 3.0]
"""The first doubts itself at the end, the second in the middle: they differ in which is lower there."""


def of(confidences: list[float], text: str) -> dict[str, float]:
    tokens = len(text.split())
    groups = groups_of([[-c] for c in (confidences + [confidences[-1]] * tokens)[:tokens]], WINDOW)
    assert groups is not None
    assert groups.lowest is not None
    assert groups.tail is not None
    return {"group-confidence": groups.lowest, "tail-confidence": groups.tail}


WRONG, RIGHT = "well then it is \\boxed{6} now", "but no it is \\boxed{5} here"


@pytest.fixture
def place(tmp_path: Path) -> Any:
    """A folder with one problem, a script that answers it in two ways, and cards with a short window."""
    (tmp_path / "say.py").write_text(
        "from tts.engines.scripted import Reply\n"
        "def say(prompt, seed):\n"
        f"    return Reply({WRONG!r}, confidences={SURE}) if seed % 2 else Reply({RIGHT!r}, confidences={UNSURE})\n"
    )
    write_lines(tmp_path / "q.jsonl", [{"id": "a", "question": "What is 2 + 3?", "answer": "5"}])
    for name in NAMES:
        text = cards.catalog.find("verifiers", name).text
        (tmp_path / f"{name}.toml").write_text(text.replace("window = 2048", f"window = {WINDOW}"))
    return tmp_path


def call(command: str, place: Path, *more: object) -> Any:
    given = () if command == "score" else ("--engine", "scripted", "-M", f"script={place / 'say.py'}:say")
    return tts(command, *more, *given)


@pytest.mark.parametrize("name", NAMES)
def test_best_of_n_and_votes_choose_by_it(name: str, place: Path) -> None:
    expected = {text: of(how, text)[name] for text, how in ((WRONG, SURE), (RIGHT, UNSURE))}
    best = max(expected, key=lambda text: expected[text])
    for strategy in ("best-of-n", "self-consistency"):
        for select in BY_VERIFIER:
            run = place / f"{strategy}-{select}"
            done = call(
                "eval", place, place / "q.jsonl", "-s", strategy, "-n", 8, "--output", run,
                "--verifier", place / f"{name}.toml", "-o", f"select={select}", "-o", "keep=0.1",
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            (record,) = records(run)
            found = record["solution"]["candidates"]
            assert {c["text"] for c in found} == set(expected)
            assert all(c["scores"][name] == pytest.approx(expected[c["text"]]) for c in found)
            if select in ("highest", "filtered"):
                assert record["solution"]["answer"] == ("6" if best == WRONG else "5")
    assert f"best@8:{name}" in json.loads((run / "results.json").read_text())["metrics"]


def test_it_costs_nothing_and_answers_a_question(place: Path) -> None:
    done = call(
        "run", place, "What is 2 + 3?", "-s", "best-of-n", "-n", 8, "-o", "select=highest",
        "--verifier", place / "group-confidence.toml", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["solution"]["answer"] == "5"
    assert told["usage"]["verifier_tokens"] == 0


@pytest.mark.parametrize("name", NAMES)
def test_stored_candidates_are_scored_as_they_would_have_been_at_once(name: str, place: Path) -> None:
    late, at_once = place / "late", place / "at-once"
    how = ("-s", "deepconf", "-n", 8, "-o", "mode=offline", "-o", f"window={WINDOW}")
    assert call("eval", place, place / "q.jsonl", *how, "--output", late).returncode == 0
    card = place / f"{name}.toml"
    assert call("eval", place, place / "q.jsonl", "-s", "best-of-n", "-n", 8, "--verifier", card,
                "--output", at_once).returncode == 0  # fmt: skip
    done = call("score", place, late, "--verifier", card)
    assert done.returncode == 0, done.stderr
    scores = [[c["scores"][name] for c in records(run)[0]["solution"]["candidates"]] for run in (late, at_once)]
    assert scores[0] == scores[1]


@pytest.mark.parametrize(("how", "has"), [((), "none"), (("-s", "deepconf", "-o", "window=2"), "groups of 2 by 20")])
def test_a_run_without_such_groups_is_refused_at_once(how: tuple[str, ...], has: str, place: Path) -> None:
    assert call("eval", place, place / "q.jsonl", *how, "-n", 2, "--output", place / "run").returncode == 0
    before = (place / "run" / "records.jsonl").read_bytes()
    done = call("score", place, place / "run", "--verifier", "tail-confidence")
    assert done.returncode == 2
    assert f"the run has {has}" in done.stderr
    assert "hint:" in done.stderr
    assert (place / "run" / "records.jsonl").read_bytes() == before


@pytest.mark.parametrize("name", NAMES)
def test_the_sampling_asks_for_what_it_needs(name: str) -> None:
    settings = resolve({"engine": "scripted", "strategy": "best-of-n", "verifier": name}, None)
    sampling = settings.sampling(build_strategy(settings))
    assert (sampling.top_logprobs, sampling.confidence_window) == (20, 2048)
    card, _ = cards.load(name)
    assert isinstance(card, cards.ConfidenceCard)
    same = Sampling(top_logprobs=20, confidence_window=2048)
    assert card.sampling(same) == same
    with pytest.raises(InputError, match="groups of 16 by 20"):
        card.sampling(Sampling(top_logprobs=20, confidence_window=16))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("strategy", ["beam-search", "mcts", "infty-think", "sleep-time"])
def test_a_response_in_pieces_has_no_groups(name: str, strategy: str) -> None:
    option = ["inner=dvts"] if strategy == "sleep-time" else []
    with pytest.raises(InputError, match="piece by piece"):
        resolve({"engine": "scripted", "strategy": strategy, "option": option, "verifier": name}, None)
