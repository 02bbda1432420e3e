"""Sleep-time compute: notes once a context, kept, accounted by phase; made by something that knows no question."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from conftest import records, tts, write_lines

from tts.amortise import Spending, frontier, spending
from tts.engines.scripted import Reply, ScriptedEngine
from tts.errors import InputError
from tts.journal import Journal
from tts.notes import Notes, NotesStore, Recipe
from tts.predictability import bins, gains, predict
from tts.session import Session, Setup
from tts.stats import Estimate
from tts.strategies.sleep_time import SleepTime, TakeNotes
from tts.synth.queries import WriteQueries, agreement, questions
from tts.synth.stateful import as_the_paper_does, sentences, split
from tts.types import Budget, Problem, Sampling
from tts.verify.pool import CheckerPool

CONTEXT = "Ann has 3 pears."


def script(prompt: str, seed: int) -> Reply:
    return Reply("pears: 3" if "There is no question yet" in prompt else "So it is \\boxed{3}.", latency=0.01)


class House:
    """Several problems of one run on one engine, every prompt kept."""

    def __init__(self, journal: Path | None = None, budget: Budget | None = None) -> None:
        self.prompts: list[str] = []
        self.journal, self.budget = journal, budget or Budget()

    def _script(self, prompt: str, seed: int) -> Reply:
        self.prompts.append(prompt)
        return script(prompt, seed)

    async def solve(self, strategy: Any, problems: list[Problem]) -> tuple[list[Any], list[Session]]:
        with Journal(self.journal) as journal:
            async with CheckerPool(workers=1) as checker:
                engine = ScriptedEngine(self._script)
                setup = Setup(engine, journal, checker, None, Sampling(max_tokens=50), self.budget)
                sessions = [Session(p, setup) for p in problems]
                solutions = await asyncio.gather(
                    *(strategy.solve(p, s) for p, s in zip(problems, sessions, strict=True))
                )
                for session in sessions:
                    session.close()
                return solutions, sessions

    @property
    def asleep(self) -> list[str]:
        return [p for p in self.prompts if "There is no question yet" in p]


def problems(n: int) -> list[Problem]:
    return [Problem(f"p{i}", f"Question number {i} asks for the pears?", CONTEXT) for i in range(n)]


def test_notes_are_made_once_however_many_questions_wait_for_them() -> None:
    house = House()
    solutions, sessions = asyncio.run(house.solve(SleepTime(), problems(5)))
    assert [s.answer for s in solutions] == ["3"] * 5
    assert len(house.asleep) == 1
    assert [len(s.phases) for s in sessions] == [2, 1, 1, 1, 1]
    assert sessions[0].phases["sleep"].calls == 1
    assert all(s.usage.calls == 1 for s in sessions)
    assert len({s.details["sleep"]["context"] for s in solutions}) == 1
    assert solutions[0].details["sleep"]["text"] == "pears: 3"


def test_sleep_never_sees_a_question() -> None:
    """Neither in the prompts of the sleep phase, nor in the problem of the session that it gets."""
    house, seen = House(), list[Problem]()

    async def main() -> None:
        async def think(context: str, session: Session) -> Notes:
            seen.append(session.problem)
            return await TakeNotes(2, 2).think(context, session)

        with Journal(None) as journal:
            async with CheckerPool(workers=1) as checker:
                setup = Setup(ScriptedEngine(house._script), journal, checker, None, Sampling(max_tokens=50), Budget())
                await Session(problems(1)[0], setup).asleep(CONTEXT, think)

    asyncio.run(main())
    assert len(house.asleep) == 2 + 2 * 2
    assert not any("Question number" in p for p in house.prompts)
    assert [(p.question, p.context) for p in seen] == [("", CONTEXT)]


def test_context_and_notes_come_first_so_that_questions_share_the_prefix() -> None:
    house = House()
    asyncio.run(house.solve(SleepTime(), problems(2)))
    first, second = (p for p in house.prompts if p not in house.asleep)
    shared = next(i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a != b)
    assert CONTEXT in first[:shared]
    assert "pears: 3" in first[:shared]


def test_options_change_what_is_asked() -> None:
    def asked(**options: Any) -> str:
        house = House()
        asyncio.run(house.solve(SleepTime(**options), problems(1)))
        return house.prompts[-1]

    assert CONTEXT not in asked(context=False)
    assert "Question number" not in asked(ablate="question")
    assert CONTEXT not in asked(ablate="context")
    assert "Notes:" not in asked(notes=0)
    assert len({asked(verbosity=v) for v in range(5)}) == 5


def test_a_resumed_run_charges_the_notes_to_the_problem_that_came_first(tmp_path: Path) -> None:
    journal = tmp_path / "journal.sqlite"
    asyncio.run(House(journal).solve(SleepTime(), problems(1)))
    house = House(journal)
    _, sessions = asyncio.run(house.solve(SleepTime(), [problems(2)[1]]))
    assert not house.asleep
    assert list(sessions[0].phases) == ["test"]
    _, sessions = asyncio.run(House(journal).solve(SleepTime(), problems(1)))
    assert sessions[0].phases["sleep"].calls == 1


def test_sleep_has_no_budget_and_stops_the_clock() -> None:
    solutions, sessions = asyncio.run(House(budget=Budget(calls=1, seconds=5)).solve(SleepTime(notes=3), problems(1)))
    assert solutions[0].answer == "3"
    assert not sessions[0].over_budget
    assert sessions[0].usage.seconds < sessions[0].phases["sleep"].seconds + 0.05


def test_the_store_finds_what_the_same_recipe_made(tmp_path: Path) -> None:
    recipe = Recipe("m", "h", "s", 1, 0, 0)
    with NotesStore(tmp_path / "deep" / "n.sqlite") as store:
        store.put(recipe, CONTEXT, Notes("pears: 3", 1, 10, 4))
        assert store.get(recipe.key(CONTEXT)) == Notes("pears: 3", 1, 10, 4)
        assert store.get(Recipe("m", "h", "s", 2, 0, 0).key(CONTEXT)) is None
        (entry,) = store.entries(recipe.key(CONTEXT)[:6])
        assert (entry.context, entry.recipe) == (CONTEXT, recipe)
        store.remove(entry.key)
        assert store.entries() == []
    (tmp_path / "no.sqlite").write_text("this is no database, but it is long enough to look at")
    with pytest.raises(InputError, match="cannot open the notes store"):
        NotesStore(tmp_path / "no.sqlite")


def test_commands(tmp_path: Path) -> None:
    data = write_lines(
        tmp_path / "d.jsonl",
        [{"id": str(i), "question": f"What of {i}?", "context": CONTEXT, "answer": "3"} for i in range(4)],
    )
    store = ("--store", tmp_path / "n.sqlite")
    written = tts("sleep", "write", data, "--engine", "scripted", *store)
    assert written.returncode == 0, written.stderr
    assert "1 contexts, 1 notes new" in written.stderr
    assert "1 contexts, 0 notes new" in tts("sleep", "write", data, "--engine", "scripted", *store).stderr
    listed = json.loads(tts("sleep", "list", *store, "--json").stdout)
    assert [e["context"] for e in listed] == [CONTEXT]
    assert CONTEXT in tts("sleep", "show", listed[0]["key"][:5], *store).stdout
    run = tmp_path / "run"
    option = f"store={tmp_path / 'n.sqlite'}"
    done = tts(
        "eval",
        data,
        "--engine",
        "scripted",
        "-s",
        "sleep-time",
        "-o",
        option,
        "-o",
        "inner=best-of-n",
        "-o",
        "select=logprob-mean",
        "-n",
        3,
        "--output",
        run,
    )
    assert done.returncode == 0, done.stderr
    found = records(run)
    assert all(r["solution"]["sleep"]["generated_tokens"] == listed[0]["notes"]["generated_tokens"] for r in found)
    assert not any("phases" in r for r in found)
    costs = json.loads(tts("sleep", "cost", run, "--json").stdout)
    assert costs[0]["questions a context"] == 4
    predicted = json.loads(tts("sleep", "predict", data, "--engine", "scripted", "--bins", 2, "--json").stdout)
    assert [b["questions"] for b in predicted["bins"]] == [2, 2]
    assert tts("sleep", "rm", listed[0]["key"], *store).returncode == 0
    assert json.loads(tts("sleep", "list", *store, "--json").stdout) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sleep", "write"], "no context given"),
        (["sleep", "write", "nothing.txt"], "cannot read"),
        (["sleep", "write", "--context", "  "], "every context is empty"),
        (["sleep", "write", "samples", "--engine", "scripted"], "has no contexts"),
        (["sleep", "list", "--store", "none.sqlite"], "no notes store"),
        (["sleep", "predict", "samples"], "has no contexts"),
        (["sleep", "cost", "none"], "not a run directory"),
        (["data", "stateful", "none.jsonl"], "no such file"),
        (["eval", "samples", "-s", "sleep-time", "-o", "inner=sleep-time"], "cannot wrap itself"),
        (["eval", "samples", "-s", "sleep-time", "-o", "inner=nothing"], "no strategy is called"),
        (["eval", "samples", "-s", "sleep-time", "-o", "selekt=majority"], "has no option"),
        (["eval", "samples", "-s", "sleep-time", "-o", "verbosity=7"], "verbosity=7"),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], said: str, tmp_path: Path) -> None:
    done = tts(*arguments, cwd=tmp_path)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Ann has 3 pears. Bob has 2.50 dollars. How many?", 3),
        ("Dr. Smith paid $1.25 for a pen. How much for 3?", 2),
        ("J. Smith met Mr. B. Brown at no. 3. What is left?", 2),
        ("It weighs 3 lb. and costs 2 dollars. Why?", 2),
        ("She left at 5 p.m. He said no. Who came?", 3),
        ("One sentence only?", 1),
    ],
)
def test_sentences(text: str, parts: int) -> None:
    found = sentences(text)
    assert len(found) == parts, found
    assert " ".join(found) == text


def test_stateful_keeps_decimals_whole_unless_the_paper_is_asked_for() -> None:
    text = "A pen costs 2.50 dollars. How much are two?"
    assert split(text) == ("A pen costs 2.50 dollars.", "How much are two?")
    assert as_the_paper_does(text)[0] == "A pen costs 2."
    assert split(text, paper_compat=True) == ("A pen costs 2. 50 dollars.", "How much are two?")
    assert split("Only one.") is None


def test_queries_are_kept_where_answers_agree(sessions: Any) -> None:
    def writer(prompt: str, seed: int) -> Reply:
        if "other questions" in prompt:
            return Reply("1. How many pears?\n2) How many apples?\nnot a question")
        sure = "How many pears?" in prompt
        return Reply(f"\\boxed{{{3 if sure else seed % 7}}}")

    async def main() -> Any:
        problem = Problem("p", "How many?", "Some fruit.")
        async with sessions(writer, problem=problem) as session:
            return await WriteQueries(per_context=5, n=8).solve(problem, session)

    rows = asyncio.run(main()).details["queries"]
    assert [(r["question"], r["kept"]) for r in rows] == [("How many pears?", True), ("How many apples?", False)]
    assert questions("* a?\n3. b?\n3. b?") == ["a?", "b?"]
    assert agreement([0, 0, 1, -1]) == 0.5
    assert agreement([-1]) == 0.0


def test_predictability_scores_the_question_alone() -> None:
    async def main() -> list[float]:
        engine, limit = ScriptedEngine(), asyncio.Semaphore(1)
        asked = (Problem("a", "has 3 pears.", CONTEXT), Problem("b", "quite another thing", CONTEXT))
        return [(await predict(engine, p, limit)).mean for p in asked]

    likely, unlikely = asyncio.run(main())
    assert likely > unlikely
    assert bins({"a": 1.0, "b": -1.0, "c": 0.0}, 2) == [["b", "c"], ["a"]]
    assert gains([["a", "b"], ["c"]], {"a": 1.0, "b": 0.0}, {"a": 0.0, "b": 0.0}) == [(2, 0.5, 0.0), None]


def test_cost_and_break_even() -> None:
    one = Estimate(0.5, None, None, "none")
    slept, plain = Spending(one, 10, 10.0, 400.0, 1.0, 0.1), Spending(one, 10, 50.0, 0.0, 1.0, 0.5)
    assert slept.cost() == 500.0
    assert slept.cost(queries=10) == 140.0
    assert slept.break_even(plain) == 1.0
    assert plain.break_even(slept) == float("inf")
    assert [name for name, _ in frontier({"plain": plain, "slept": slept})] == ["slept"]


def test_spending_counts_each_context_once() -> None:
    def record(name: str, context: str) -> dict[str, Any]:
        usage = {"generated_tokens": 20, "prompt_tokens": 9, "cached_tokens": 4, "seconds": 1.0}
        sleep = {"context": context, "generated_tokens": 100, "prompt_tokens": 30}
        return {
            "problem_id": name, "status": "ok", "grade": {"correct": True}, "usage": usage,
            "solution": {"sleep": sleep}, "phases": {"test": {**usage, "generated_tokens": 5}},
        }  # fmt: skip

    found = spending([record("a", "x"), record("b", "x"), record("c", "y")])
    assert (found.test, found.sleep, found.queries) == (5.0, 100.0, 1.5)
    assert spending([record("a", "x")], prefill=1.0).test == 10.0
