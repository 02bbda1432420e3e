"""InftyThink: rounds in both modes, what is never an answer, what composes with it, and what is on record."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, records, tts, write_lines
from processes import killed_until_done
from test_resume import _finished_seeds, _outcome

from tts.engines.scripted import Reply
from tts.errors import InputError, RequestError
from tts.sawtooth import by_round
from tts.session import Session
from tts.strategies.infty_round import Rounds
from tts.strategies.infty_think import InftyThink
from tts.types import Budget, Completion, Problem, Prompt, StepScores

PROBLEM = Problem("p", "What is 2 + 3?")
DONE = "So it is five. The answer is \\boxed{5}."


def solve(sessions: Any, script: Any, *, how: Any = None, **options: Any) -> tuple[Any, Any]:
    """The solution, and the session it was found in."""

    async def main() -> tuple[Any, Any]:
        async with sessions(script, **(how or {})) as session:
            solution = await asyncio.wait_for(InftyThink(**options).solve(PROBLEM, session), 30)
            session.close()
            return solution, session

    return asyncio.run(main())


def counting(prompt: str, seed: int) -> Reply:
    """A trained model: each round counts two further, and the fourth concludes."""
    known = re.search(r"<history>at (\d+)</history>", prompt)
    at = int(known[1]) if known else 0
    if at >= 6:
        return Reply(f"<think>seven, eight</think>\n{DONE}")
    return Reply(f"<think>{at + 1} then {at + 2}</think> <summary> at {at + 2} </summary>")


def ends(solution: Any) -> list[str]:
    return [r["finish"] for r in solution.details["rounds"]]


def test_each_round_sees_the_question_and_the_last_summary_only(sessions: Any) -> None:
    seen: list[str] = []

    def script(prompt: str, seed: int) -> Reply:
        seen.append(prompt)
        return counting(prompt, seed)

    solution, session = solve(sessions, script, mode="trained")
    assert solution.answer == "5"
    assert ends(solution) == ["summary", "summary", "summary", "conclusion"]
    assert [p.partition("assistant: ")[2] for p in seen] == [
        *("", "<history>at 2</history>", "<history>at 4</history>", "<history>at 6</history>")
    ]
    assert len({p.partition("assistant: ")[0] for p in seen}) == 1
    assert solution.details["mode"] == "trained"
    assert [r["round"] for r in solution.details["rounds"]] == [1, 2, 3, 4]
    assert sum(r["tokens"] for r in solution.details["rounds"]) == session.usage.generated_tokens
    (candidate,) = solution.candidates
    assert candidate.completion.generated_tokens == session.usage.generated_tokens
    assert candidate.completion.finish == "stop"


def test_tags_are_configurable_and_the_thinking_need_not_have_one(sessions: Any) -> None:
    def script(prompt: str, seed: int) -> Reply:
        return Reply(DONE if "<so-far>one</so-far>" in prompt else "One. <note>one</note> never read")

    solution, _ = solve(sessions, script, mode="trained", tags="so-far,,note")
    assert ends(solution) == ["summary", "conclusion"]
    assert solution.answer == "5"


def test_a_prompted_round_at_its_window_is_closed_and_summed_up_in_a_second_request(sessions: Any) -> None:
    seen: list[Prompt] = []

    def script(prompt: str, seed: int) -> Reply:
        seen.append(prompt)
        if prompt.endswith("<summary>"):
            return Reply(" two and three make five </summary> and more")
        return Reply(DONE if "<history>two and three make five</history>" in prompt else "hm " * 500)

    solution, session = solve(sessions, script, window=80, summary=12)
    assert solution.details["mode"] == "prompted"
    assert ends(solution) == ["summary", "conclusion"]
    assert solution.answer == "5"
    assert session.usage.calls == 3
    assert seen[1].startswith(seen[0] + "hm ")
    first = solution.details["rounds"][0]
    assert first["context"] <= first["prompt_tokens"] + 80
    assert first["summary"] == "two and three make five"


def test_the_context_stays_within_question_summary_and_window_at_any_depth(sessions: Any) -> None:
    def script(prompt: str, seed: int) -> Reply:
        if prompt.endswith("<summary>"):
            return Reply("word " * (seed % 40) + "</summary>")
        return Reply("thinking " * 400)

    solution, _ = solve(sessions, script, window=90, summary=20, rounds=12)
    rounds = solution.details["rounds"]
    assert [r["round"] for r in rounds] == list(range(1, 13))
    question = rounds[0]["prompt_tokens"]
    assert max(r["context"] for r in rounds) <= question + 90 + 20
    assert solution.answer is None
    assert solution.candidates[0].completion.finish == "length"
    (chain,) = solution.details["chains"]
    assert chain["peak_context"] == max(r["context"] for r in rounds)
    assert chain["context_squared"] == sum(r["context"] ** 2 for r in rounds)
    assert chain["one_chain"]["peak_context"] > 3 * chain["peak_context"]
    assert chain["one_chain"]["context_squared"] == chain["one_chain"]["peak_context"] ** 2
    assert chain["kv_bytes"] == 1024 * chain["peak_context"]


def test_a_truncated_round_is_never_an_answer(sessions: Any) -> None:
    def script(prompt: str, seed: int) -> Reply:
        return Reply("Perhaps \\boxed{7} but let me see " + "hm " * 100)

    solution, session = solve(sessions, script, how={"budget": Budget(tokens=20)}, window=200, summary=10)
    assert session.over_budget
    assert ends(solution) == ["truncated"]
    assert solution.answer is None
    assert solution.details["rounds"][0]["answer"] is None


@pytest.mark.parametrize(
    "budget", [Budget(tokens=90), Budget(calls=3), Budget(seconds=0.5), Budget(flops=5e8)], ids=str
)
def test_over_budget_the_best_answer_so_far_comes_back(sessions: Any, budget: Budget) -> None:
    def script(prompt: str, seed: int) -> Reply:
        if prompt.endswith("<summary>"):
            return Reply(" it may be five </summary>")
        slow = 60.0 if "</history>" in prompt and budget.seconds else 0.0
        return Reply("It is \\boxed{5} , I shall check. " + "hm " * 200, latency=slow)

    solution, session = solve(sessions, script, how={"budget": budget}, window=70, summary=10)
    assert session.over_budget
    assert ends(solution)[0] == "summary"
    assert solution.answer == "5"
    assert solution.candidates[0].completion.finish in ("length", "abort")


def test_a_malformed_round_is_counted_written_again_once_and_then_forced(sessions: Any) -> None:
    asked: list[str] = []

    def script(prompt: str, seed: int) -> Reply:
        asked.append(prompt)
        if prompt.endswith("<summary>"):
            return Reply("five so far </summary>")
        return Reply(DONE if "<history>five so far</history>" in prompt else "<think>two plus three")

    solution, _ = solve(sessions, script, mode="trained")
    assert ends(solution) == ["malformed", "forced", "conclusion"]
    assert [r["round"] for r in solution.details["rounds"]] == [1, 1, 2]
    assert solution.details["chains"][0]["malformed"] == 2
    assert asked[2].endswith("<think>two plus three\n</think><summary>")
    assert solution.answer == "5"


def test_a_round_that_is_right_the_second_time_is_not_forced(sessions: Any) -> None:
    tries: list[int] = []

    def script(prompt: str, seed: int) -> Reply:
        tries.append(seed)
        return Reply(DONE if len(tries) > 1 else "A summary without a beginning </summary>")

    solution, _ = solve(sessions, script, mode="trained")
    assert ends(solution) == ["malformed", "conclusion"]
    assert len(set(tries)) == 2
    assert solution.answer == "5"


def test_a_summary_that_does_not_end_is_asked_for_again_and_then_cut(sessions: Any) -> None:
    def script(prompt: str, seed: int) -> Reply:
        if "</history>" in prompt:
            return Reply(DONE)
        return Reply("on and on " * 50)

    solution, session = solve(sessions, script, window=80, summary=9)
    assert ends(solution) == ["forced", "conclusion"]
    first = solution.details["rounds"][0]
    assert first["malformed"] == 2
    assert len(first["summary"].split()) == 9
    assert session.usage.calls == 4


def test_an_empty_summary_is_malformed_and_the_tail_of_the_reasoning_takes_its_place(sessions: Any) -> None:
    def script(prompt: str, seed: int) -> Reply:
        if prompt.endswith("<summary>"):
            return Reply("</summary>")
        return Reply(DONE if "</history>" in prompt else " ".join(map(str, range(300))))

    solution, _ = solve(sessions, script, window=80, summary=5)
    first = solution.details["rounds"][0]
    assert first["finish"] == "forced"
    assert first["summary"].split() == [str(first["tokens"] - 2 - i) for i in (5, 4, 3, 2, 1)]


def test_a_summary_the_window_cuts_is_gone_on_with_not_opened_again(sessions: Any) -> None:
    seen: list[str] = []

    def script(prompt: str, seed: int) -> Reply:
        seen.append(prompt)
        written = prompt.partition("assistant: ")[2]
        if "</history>" in prompt:
            return Reply(DONE)
        if "<summary>" in written:
            return Reply(" f g </summary>")
        return Reply("hm " * 20 + "<summary> a b c d e f g h i j k l </summary>")

    solution, _ = solve(sessions, script, mode="trained", window=42, summary=16)
    assert ends(solution) == ["summary", "conclusion"]
    assert seen[1].count("<summary>") == 1
    assert solution.details["rounds"][0]["summary"] == "a b c d f g"


def test_a_window_without_room_is_an_error(sessions: Any) -> None:
    with pytest.raises(InputError, match="no room"):
        InftyThink(window=100, summary=100)
    with pytest.raises(InputError, match="three names"):
        InftyThink(tags="history")
    with pytest.raises(RequestError, match="no room"):
        solve(sessions, counting, how={"max_model_len": 60})


def test_chains_vote(sessions: Any) -> None:
    def script(prompt: str, seed: int) -> Reply:
        if "</history>" not in prompt:
            return Reply(f"<think>hm</think> <summary> {'five' if seed % 3 else 'six'} </summary>")
        return Reply("\\boxed{5}" if ">five<" in prompt else "\\boxed{6}")

    solution, session = solve(sessions, script, mode="trained", n=9)
    answers = [c.answer for c in solution.candidates]
    assert solution.answer == max(set(answers), key=answers.count)
    assert {r["chain"] for r in solution.details["rounds"]} == set(range(9))
    assert sum(c.completion.generated_tokens for c in solution.candidates) == session.usage.generated_tokens
    more, _ = solve(sessions, script, mode="trained", n=12)
    assert [c.answer for c in more.candidates[:9]] == answers


class Likes:
    """A verifier that likes a word."""

    name, key, flops_per_token = "likes", "likes", 2.0

    def __init__(self, word: str) -> None:
        self.word = word
        self.read: list[str] = []

    async def score(self, prompt: Prompt, completion: Completion, session: Session, request_id: str) -> StepScores:
        self.read.append(completion.text)
        value = 0.9 if self.word in completion.text else 0.1
        return StepScores((value,), value, tokens=3)

    async def abort(self, request_id: str) -> None: ...

    async def close(self) -> None: ...


def split(prompt: str, seed: int) -> Reply:
    if "</history>" not in prompt:
        return Reply(f"<think>hm</think> <summary> {'good' if seed % 4 == 0 else 'bad'} </summary>")
    return Reply("\\boxed{5}" if ">good<" in prompt else "\\boxed{6}")


@pytest.mark.parametrize("select", ["highest", "weighted", "auto"])
def test_best_of_n_over_chains_goes_by_the_verifier(sessions: Any, select: str) -> None:
    how = {"verifier": Likes("good")}
    solution, _ = solve(sessions, split, how=how, mode="trained", n=9, select=select)
    by_answer = {c.answer: c.scores["likes"] for c in solution.candidates}
    assert by_answer == {"5": 0.9, "6": 0.1}
    assert solution.answer == "5"
    assert all(r["score"] is not None for r in solution.details["rounds"])


def test_a_verifier_between_rounds_drops_chains(sessions: Any) -> None:
    how = {"verifier": Likes("good")}
    solution, session = solve(sessions, split, how=how, mode="trained", n=9, drop=0.5, select="majority")
    dropped = [c for c in solution.details["chains"] if c["finish"] == "dropped"]
    assert dropped
    assert {c["rounds"] for c in dropped} == {1}
    assert all(c["answer"] is None for c in dropped)
    assert solution.answer == "5"
    assert session.usage.calls == 9 + 9 - len(dropped)


@pytest.mark.parametrize("mode", ["trained", "prompted"])
def test_the_verifier_picks_the_best_of_several_summaries(sessions: Any, mode: str) -> None:
    def script(prompt: str, seed: int) -> Reply:
        if prompt.endswith("<summary>"):
            return Reply(f" {'good' if seed % 4 == 0 else 'bad'} {seed} </summary>")
        if "</history>" in prompt:
            return Reply("\\boxed{5}" if "good" in prompt else "\\boxed{6}")
        return Reply("<think>hm</think><summary> x </summary>" if mode == "trained" else "hm " * 300)

    how = {"verifier": Likes("good")}
    solution, session = solve(sessions, script, how=how, mode=mode, summaries=12, window=100, summary=20)
    assert solution.answer == "5"
    assert session.usage.calls == 1 + 12 + 1
    assert ends(solution) == ["summary", "conclusion"]


def test_what_needs_a_verifier_says_so() -> None:
    for option in ("summaries=2", "drop=0.5", "select=highest"):
        done = tts("eval", "samples", "-s", "infty-think", "-o", option, "--engine", "scripted")
        assert done.returncode == 2
        assert "--verifier" in done.stderr


def test_thinking_that_the_template_opens_is_closed_before_the_summary(sessions: Any, monkeypatch: Any) -> None:
    from tts.engines.scripted import ScriptedEngine

    plain = ScriptedEngine.render
    monkeypatch.setattr(ScriptedEngine, "render", lambda self, m, prefill="": plain(self, m, "<think>\n" + prefill))
    seen: list[str] = []

    def script(prompt: str, seed: int) -> Reply:
        seen.append(prompt)
        if prompt.endswith("<summary>"):
            return Reply(" known </summary>")
        return Reply(f"so </think> {DONE}" if "</history>" in prompt else "hm " * 300)

    solution, _ = solve(sessions, script, window=100, summary=20)
    assert seen[1].count("</think>") == 1
    assert solution.answer == "5"


SCRIPT = """
import random, re
from tts.engines.scripted import Reply

def reply(prompt, seed):
    with open("LOG", "a") as log:
        log.write(f"{seed}\\n")
    latency = random.Random(seed).uniform(0.0, 0.05)
    a, b = map(int, re.findall(r"(\\d+) \\+ (\\d+)", prompt)[0])
    known = re.search(r"<history>.*?(\\d+) rounds", prompt)
    done = int(known[1]) if known else 0
    if prompt.endswith("<summary>"):
        return Reply(f" after {done + 1} rounds </summary>", latency=latency)
    if done >= 4:
        return Reply("\\\\boxed{%d}" % (a + b if seed % 3 else a), latency=latency)
    return Reply(f"thinking {seed} " * 200, latency=latency)
"""


def _words(problems: Path, run: Path, script: Path, *more: object) -> list[str]:
    words = ["eval", problems, "-s", "infty-think", "-o", "window=70", "-o", "summary=12", "--engine", "scripted"]
    words += ["-M", f"script={script}:reply", "--output", run, "--resume", "--concurrency", 3, *more]
    return [sys.executable, "-m", "tts", *map(str, words)]


def _script(folder: Path, name: str) -> tuple[Path, Path]:
    log, script = folder / f"{name}.log", folder / f"{name}.py"
    script.write_text(SCRIPT.replace("LOG", str(log)))
    return script, log


@pytest.mark.parametrize("more", [(), ("-n", 3), ("-n", 2, "--budget-tokens", 300)], ids=["one", "vote", "budget"])
def test_killed_in_mid_chain_it_goes_on_from_the_journal(tmp_path: Path, more: tuple[object, ...]) -> None:
    rows = [{"question": f"What is {a} + {a + 3}?", "answer": str(2 * a + 3)} for a in range(2, 8)]
    problems = write_lines(tmp_path / "sums.jsonl", rows)
    calm, _ = _script(tmp_path, "calm")
    subprocess.run(_words(problems, tmp_path / "calm", calm, *more), capture_output=True, check=True, cwd=ROOT)
    script, log = _script(tmp_path, "killed")
    run = tmp_path / "killed"
    finished: list[tuple[int, set[str]]] = []
    words = _words(problems, run, script, *more)
    killed_until_done(
        lambda: subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT),
        log,
        lambda process, kills: time.sleep(0.25),
        lambda: finished.append((len(log.read_text().split()), _finished_seeds(run / "journal.sqlite"))),
        most=60,
    )
    assert _timeless(run) == _timeless(tmp_path / "calm")
    asked = log.read_text().split()
    for position, seeds in finished:
        assert not seeds & set(asked[position:]), "a call that had finished was made again"


def _timeless(run: Path) -> list[dict[str, Any]]:
    found = _outcome(run)
    for record in found:
        for r in record["solution"]["rounds"]:
            r.pop("seconds"), r.pop("queue_seconds")
    return found


def test_show_draws_the_rounds_and_records_grade_them(tmp_path: Path) -> None:
    problems = write_lines(tmp_path / "sums.jsonl", [{"id": "s", "question": "What is 2 + 3?", "answer": "5"}])
    script, _ = _script(tmp_path, "calm")
    run = tmp_path / "run"
    subprocess.run(_words(problems, run, script), capture_output=True, check=True, cwd=ROOT)
    (record,) = records(run)
    rounds = record["solution"]["rounds"]
    assert [r["finish"] for r in rounds] == ["summary"] * 4 + ["conclusion"]
    assert [r["correct"] for r in rounds[:4]] == [False] * 4
    assert rounds[4]["correct"] is (rounds[4]["answer"] == "5")
    shown = tts("show", run, "s").stdout
    assert "rounds (prompted)" in shown
    assert "█" in shown
    assert "Σ context²" in shown
    assert "── chain 0, round 3: summary" not in shown
    assert "── chain 0, round 3: summary" in tts("show", run, "s", "--rounds").stdout
    table = tts("show", run, "--rounds", "--json")
    rows = json.loads(table.stdout)
    assert [row["chains"] for row in rows] == [1] * 5
    assert [row["accuracy"] for row in rows] == [0.0] * 4 + [float(rounds[4]["correct"])]
    assert rows[2]["most_context"] == rounds[2]["context"]
    assert "accuracy if stopped here" in tts("show", run, "--rounds").stdout
    with sqlite3.connect(run / "journal.sqlite") as db:
        assert db.execute("SELECT count(*) FROM calls").fetchone() == (9,)


def test_stopping_earlier_keeps_what_a_chain_had_ended_with() -> None:
    def made(chain: int, number: int, correct: bool, finish: str = "summary") -> dict[str, Any]:
        here = {"chain": chain, "round": number, "correct": correct, "finish": finish}
        return {**here, "context": 10 * number, "tokens": 5}

    long = [made(0, 1, False), made(0, 2, True), made(0, 3, False, "conclusion")]
    short = [made(1, 1, False, "malformed"), made(1, 1, True, "conclusion")]
    rows = by_round([{"problem_id": "p", "solution": {"rounds": long + short}, "grade": {"correct": False}}])
    assert [row.accuracy for row in rows] == [0.5, 1.0, 0.5]
    assert [row.chains for row in rows] == [2, 1, 1]
    assert rows[0].ends == {"summary": 1, "malformed": 1, "conclusion": 1}
    assert by_round([{"solution": {"rounds": long}, "grade": {"correct": None}}])[0].accuracy is None
    assert by_round([{"solution": {}, "grade": {"correct": True}}]) == []


def test_tags_that_are_special_tokens_are_found_though_the_text_hides_them() -> None:
    class Hiding:
        """A tokenizer of characters, for which the tag is token 7."""

        def encode(self, text: str) -> tuple[int, ...]:
            return (7,) if text == "<summary>" else tuple(map(ord, text))

        def decode(self, token_ids: tuple[int, ...]) -> str:
            return "".join(chr(i) for i in token_ids if i != 7)

    rounds: Any = object.__new__(Rounds)
    rounds.session, rounds._open = Hiding(), "<summary>"
    assert rounds._split(Completion("ab", "stop", (97, 7, 98))) == ("a", "b")
    assert rounds._split(Completion("ab", "stop", (97, 98))) == ("ab", None)
    assert rounds._split(Completion("a<summary>b", "stop", tuple(map(ord, "a<summary>b")))) == ("a", "b")
