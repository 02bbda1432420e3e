"""Search step by step: what a step is, who is kept, what budgets, failures and speculation do to it."""

from __future__ import annotations

import asyncio
import importlib.util
import math
import random
from collections.abc import Sequence
from typing import Any

import pytest

from tts.engines.scripted import Reply
from tts.errors import EngineDead, InputError, RequestError
from tts.settings import resolve
from tts.steps import Stepwise
from tts.strategies import STRATEGIES, beam, particle_filter, rebase
from tts.tree import Path, Tree, best, distinct, together
from tts.types import Budget, Completion, Problem, Prompt, Sampling, StepScores

PROBLEM = Problem("p", "What is 2 + 3?")
STEPS = ("First, 2 and 3.", "Add them.", "It is \\boxed{5}.")
ABMCTS = pytest.param(
    "ab-mcts",
    marks=pytest.mark.skipif(importlib.util.find_spec("treequest") is None, reason="needs the extra abmcts"),
)
STEPWISE = [name for name, cls in STRATEGIES.items() if issubclass(cls, Stepwise)]


def written(prompt: str) -> str:
    return prompt.rpartition("assistant: ")[2]


def steps(prompt: str, seed: int) -> Reply:
    """Three steps; a variant letter makes siblings differ."""
    done = written(prompt).count("\n\n")
    return Reply("\n\n".join(f"{'abcd'[seed % 4]}: {step}" for step in STEPS[done:]))


class Scores:
    """A verifier that goes by a function of the text, and notes what it was asked."""

    name, key, flops_per_token = "scores", "scores", 2.0

    def __init__(self, rule: Any, latency: float = 0.0) -> None:
        self.rule, self.latency, self.asked = rule, latency, list[str]()

    async def score(self, prompt: Prompt, completion: Completion, session: Any, request_id: str) -> StepScores:
        self.asked.append(completion.text)
        await asyncio.sleep(self.latency)
        found = self.rule(completion.text)
        if isinstance(found, Exception):
            raise found
        return found if isinstance(found, StepScores) else StepScores((found,), found, tokens=3)

    async def abort(self, request_id: str) -> None: ...

    async def close(self) -> None: ...


def likes_a(text: str) -> float:
    return (1 + text.count("a:")) / (2 + text.count(":"))


def solve(sessions: Any, name: str, script: Any = steps, verifier: Any = None, how: Any = (), **options: Any) -> Any:
    async def main() -> Any:
        async with sessions(script, verifier=verifier or Scores(likes_a), **dict(how)) as session:
            strategy: Any = STRATEGIES[name](**options)
            solution = await asyncio.wait_for(strategy.solve(PROBLEM, session), 30)
            session.close()
            return solution, session

    return asyncio.run(main())


def path(score: float | None, text: str = "", finish: Any = "stop") -> Path:
    return Path(None, Prompt(""), response=Completion(text, "stop"), score=score, finish=finish)


# -- steps ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "written", "stops"),
    [
        ({}, "", ("\n\n",)),
        ({"separator": "\n"}, "", ("\n",)),
        ({"step": "tokens"}, "", ()),
        ({"step": "think"}, "<think>a", ("\n\n", "</think>")),
        ({"step": "think"}, "<think>a</think>b", ()),
    ],
)
def test_what_ends_a_step(options: Any, written: str, stops: tuple[str, ...]) -> None:
    assert Stepwise(**options).stops(written, None) == stops


def test_a_card_says_how_its_steps_end_and_an_option_overrides_it() -> None:
    assert Stepwise().stops("", "STEP") == ("STEP",)
    assert Stepwise(separator="\n").stops("", "STEP") == ("\n",)
    assert ". " in Stepwise(step="sentence").stops("", "STEP")


def test_a_step_is_bounded_and_so_is_the_path() -> None:
    assert Stepwise(step_tokens=10).piece(Sampling(max_tokens=25), "", 0, None).max_tokens == 10
    assert Stepwise(step_tokens=10).piece(Sampling(max_tokens=25), "x", 20, None).max_tokens == 5


def test_ends_are_kept_apart_and_a_path_without_separator_goes_on(sessions: Any) -> None:
    script = lambda p, s: Reply("one two three four five six") if len(written(p)) < 60 else Reply("\\boxed{5}")  # noqa: E731
    solution, _ = solve(sessions, "beam-search", script, n=2, width=2, step_tokens=3)
    ends = {(node["finish"], node["ended"]) for node in solution.details["tree"]}
    assert ends == {("length", False), ("stop", True)}
    assert solution.answer == "5"


@pytest.mark.parametrize("name", STEPWISE)
def test_a_path_that_never_ends_is_cut(sessions: Any, name: str) -> None:
    solution, session = solve(sessions, name, lambda p, s: Reply("On and on.\n\nAnd on."), n=4, max_steps=3)
    assert solution.answer is None
    assert all(c.completion.finish == "length" for c in solution.candidates)
    assert solution.candidates
    assert not session.over_budget
    depth = {None: 0}
    for node in solution.details["tree"]:
        depth[node["id"]] = depth[node["parent"]] + 1
    assert max(depth.values()) == 3


@pytest.mark.parametrize("name", STEPWISE)
def test_no_path_is_longer_than_max_tokens_or_the_context(sessions: Any, name: str) -> None:
    endless = lambda p, s: Reply("word " * 50)  # noqa: E731
    solution, _ = solve(sessions, name, endless, how={"sampling": Sampling(max_tokens=20)}, n=4, step_tokens=8)
    assert max(c.completion.generated_tokens for c in solution.candidates) == 20
    solution, _ = solve(
        sessions, name, endless,
        how={"sampling": Sampling(max_tokens=500), "max_model_len": 60}, n=4, step_tokens=16,
    )  # fmt: skip
    assert all(c.completion.finish == "length" for c in solution.candidates)


@pytest.mark.parametrize("name", STEPWISE)
def test_a_response_is_made_of_its_steps(sessions: Any, name: str) -> None:
    solution, session = solve(sessions, name, n=4)
    assert solution.answer == "5"
    nodes = {node["id"]: node for node in solution.details["tree"]}
    assert len(nodes) == session.usage.calls
    assert sum(node["tokens"] for node in nodes.values()) == session.usage.generated_tokens
    texts = set()
    for node in nodes.values():
        if node["ended"]:
            text, above = "", node
            while above is not None:
                text, above = above["text"] + text, nodes.get(above["parent"])
            texts.add(text)
    assert {c.completion.text for c in solution.candidates if c.completion.complete} == texts
    assert all(c.completion.text.count("\n\n") == 2 for c in solution.candidates if c.completion.complete)


# -- who is kept ----------------------------------------------------------------------------------------------


def test_the_best_are_kept_the_unscored_last() -> None:
    paths = [path(None), path(0.2), path(0.9), path(0.9)]
    assert beam.keep(paths, 3) == [paths[2], paths[3], paths[1]]
    assert best(paths, 4)[-1] is paths[0]


def test_equal_paths_are_one() -> None:
    paths = [path(0.1, "x"), path(0.2, "y"), path(0.3, "x")]
    assert distinct(paths) == [paths[0], paths[1]]


@pytest.mark.parametrize("width", [1, 5, 16])
def test_rebase_shares_add_up_and_favour_the_best(width: int) -> None:
    paths = [path(s) for s in (0.1, 0.9, None, 0.5, 0.9)]
    shares = rebase.keep(paths, width, 0.2)
    assert sum(share for _, share in shares) == width
    counts = [share for _, share in shares]
    assert counts == sorted(counts, reverse=True)
    assert all(p.score is not None for p, _ in shares)
    assert [share for _, share in rebase.keep([path(0.3), path(0.3)], 8, 0.2)] == [4, 4]
    assert rebase.keep([path(None)], 8, 0.2) == []


def test_particles_are_drawn_in_proportion() -> None:
    particles = [path(s) for s in (0.9, 0.1, None, 0.5)]
    heavy = particle_filter.weights(particles, 1.0)
    assert math.isclose(sum(heavy), 1.0)
    assert heavy[2] == 0.0
    assert math.isclose(heavy[0] / heavy[3], 9.0)
    drawn = particle_filter.keep(particles, heavy, 1000, random.Random(1))
    assert len(drawn) == 1000
    assert abs(drawn.count(particles[0]) - 1000 * heavy[0]) <= 1
    assert particles[2] not in drawn
    assert particle_filter.effective([0.25] * 4) == pytest.approx(4.0)
    assert particle_filter.effective([1.0, 0.0]) == pytest.approx(1.0)
    assert particle_filter.weights([path(None), path(None)], 1.0) == [0.5, 0.5]
    assert particle_filter.weights([path(0.0), path(1.0)], 1.0)[1] > 0.99


def test_beam_search_keeps_n_over_width_and_goes_on_from_them(sessions: Any) -> None:
    solution, _ = solve(sessions, "beam-search", n=8, width=4)
    tree = solution.details["tree"]
    first = [n for n in tree if n["parent"] is None]
    kept = [n["id"] for n in first if n["pruned"] is None]
    assert len(first) == 8
    assert len(kept) == 2
    assert {n["parent"] for n in tree if n["parent"] in {f["id"] for f in first}} == set(kept)
    assert min(n["score"] for n in first if n["pruned"] is None) >= max(n["score"] for n in first if n["pruned"] == 1)


def test_a_finished_path_stays_and_keeps_its_score(sessions: Any) -> None:
    """The best path ends at once, the others go on: it is in every round, asked and scored once."""

    def script(prompt: str, seed: int) -> Reply:
        if not written(prompt):
            return Reply("done \\boxed{7}" if seed % 2 else "b: going on\n\nand on")
        return Reply("b: still\n\nmore" if written(prompt).count("\n\n") < 4 else "b: \\boxed{5}")

    verifier = Scores(lambda text: 0.95 if "done" in text else 0.5)
    solution, _ = solve(sessions, "beam-search", script, verifier, n=8, width=2, select="highest")
    finished = [n for n in solution.details["tree"] if n["ended"] and "done" in n["text"]]
    assert finished
    assert all(n["score"] == 0.95 for n in finished)
    assert solution.answer == "7"
    assert not {n["parent"] for n in solution.details["tree"]} & {n["id"] for n in finished}


def test_lookahead_scores_a_step_by_where_it_leads(sessions: Any) -> None:
    def script(prompt: str, seed: int) -> Reply:
        first = {0: "good start", 1: "bad start"}[seed % 2]
        if not written(prompt):
            return Reply(f"{first}\n\nx")
        return Reply("then \\boxed{6}" if "good" in written(prompt) else "then \\boxed{5}")

    verifier = Scores(lambda text: 0.9 if "{5}" in text else 0.6 if text.startswith("good") else 0.2)
    blind, _ = solve(sessions, "beam-search", script, verifier, n=8, width=8, select="highest")
    ahead, session = solve(sessions, "beam-search", script, verifier, n=8, width=8, lookahead=1, select="highest")
    assert (blind.answer, ahead.answer) == ("6", "5")
    looked = [n for n in ahead.details["tree"] if n["kind"] == "lookahead"]
    assert len(looked) == 8
    assert len(ahead.details["tree"]) == session.usage.calls


def test_dvts_subtrees_do_not_compete(sessions: Any) -> None:
    solution, _ = solve(sessions, "dvts", n=8, width=2)
    tree = solution.details["tree"]
    assert sum(n["parent"] is None and n["pruned"] is None for n in tree) == 4
    assert sum(n["ended"] for n in tree) == 8


def test_equal_paths_are_kept_once_if_asked(sessions: Any) -> None:
    script = lambda p, s: Reply("\n\n".join(STEPS[written(p).count("\n\n") :]))  # noqa: E731
    twice, _ = solve(sessions, "beam-search", script, n=8, width=4)
    once, _ = solve(sessions, "beam-search", script, n=8, width=4, filter_duplicates=True)
    assert len(twice.details["tree"]) == 24
    assert len(once.details["tree"]) == 8 + 4 + 4


def test_mcts_rolls_out_if_asked(sessions: Any) -> None:
    plain, _ = solve(sessions, "mcts", n=2, width=2)
    rolled, _ = solve(sessions, "mcts", n=2, width=2, rollouts=True)
    assert plain.answer == rolled.answer == "5"
    assert any(n["kind"] == "rollout" for n in rolled.details["tree"])
    assert any(n["kind"] == "rollout" for n in plain.details["tree"]), "none had ended, so the best was finished"


# -- overlap and speculation ------------------------------------------------------------------------------------


def test_a_sibling_is_scored_while_others_are_still_written(sessions: Any) -> None:
    order: list[str] = []

    def script(prompt: str, seed: int) -> Reply:
        order.append("asked")
        return Reply("\\boxed{5}", latency=0.01 if len(order) == 1 else 0.3)

    class Noting(Scores):
        async def score(self, *a: Any) -> StepScores:
            order.append("scored")
            return await super().score(*a)

    async def main() -> float:
        async with sessions(script, verifier=Noting(likes_a)) as session:
            loop = asyncio.get_running_loop()
            tree = Tree(session, session.ask(PROBLEM), Stepwise())
            first: list[float] = []
            began = loop.time()
            await tree.grow([tree.root] * 4, scored=lambda p: first.append(loop.time() - began))
            return first[0]

    assert asyncio.run(main()) < 0.2


def _slow(prompt: str, seed: int) -> Reply:
    reply = steps(prompt, seed)
    return Reply(reply.text, latency=random.Random(f"{seed}{len(prompt)}").uniform(0.0, 0.1))


def test_speculation_changes_the_time_and_the_waste_not_the_outcome(sessions: Any) -> None:
    plain, before = solve(sessions, "beam-search", _slow, n=8, width=2)
    ahead, after = solve(sessions, "beam-search", _slow, n=8, width=2, speculate=True)
    assert ahead.answer == plain.answer
    assert [n["text"] for n in ahead.details["tree"]] == [n["text"] for n in plain.details["tree"]]
    made = sum(n["tokens"] for n in ahead.details["tree"])
    assert before.usage.wasted_tokens == 0
    assert after.usage.wasted_tokens == after.usage.generated_tokens - made
    assert after.usage.calls >= before.usage.calls
    assert not after._calls.in_flight
    assert after._account._tokens == 0


# -- budgets, failures, replay ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*STEPWISE, ABMCTS, "revise", "self-refine", "budget-forcing"])
@pytest.mark.parametrize(
    "budget", [Budget(tokens=30), Budget(tokens=61), Budget(calls=7), Budget(flops=5e8), Budget(seconds=0.25)], ids=str
)
def test_a_budget_ends_a_search_in_flight_with_the_best_so_far(sessions: Any, name: str, budget: Budget) -> None:
    def script(prompt: str, seed: int) -> Reply:
        reply = steps(prompt, seed)
        return Reply(reply.text, latency=0.1 if budget.seconds else 0.0)

    solution, session = solve(sessions, name, script, how={"budget": budget})
    usage = session.usage
    assert budget.tokens is None or usage.generated_tokens <= budget.tokens
    assert budget.calls is None or usage.calls <= budget.calls
    assert budget.flops is None or usage.flops <= budget.flops
    assert budget.seconds is None or usage.seconds < 1.0
    assert session.over_budget or len(solution.details["tree"]) == usage.calls
    assert not session._calls.in_flight


@pytest.mark.parametrize("name", ["dvts", "revise"])
def test_parts_of_a_search_share_a_budget_equally(sessions: Any, name: str) -> None:
    """Else the first to ask would take all of it."""
    solution, session = solve(sessions, name, how={"budget": Budget(tokens=80)}, n=4, **_parts(name, 2))
    assert session.usage.generated_tokens <= 80
    first = [n for n in solution.details["tree"] if n["parent"] is None and n["tokens"]]
    assert len(first) >= 2


def _parts(name: str, count: int) -> dict[str, int]:
    return {"chains": count} if name == "revise" else {"width": 4 // count}


@pytest.mark.parametrize("name", [*STEPWISE, ABMCTS, "revise", "self-refine", "budget-forcing"])
@pytest.mark.parametrize("budget", [Budget(), Budget(tokens=120)], ids=str)
def test_a_replay_in_another_order_of_time_is_the_same_search(
    sessions: Any, tmp_path: Any, name: str, budget: Budget
) -> None:
    def script(seconds: float) -> Any:
        def reply(prompt: str, seed: int) -> Reply:
            made = steps(prompt, seed)
            return Reply(made.text, latency=random.Random(f"{seed}{seconds}").uniform(0, seconds))

        return reply

    found = [solve(sessions, name, script(s), how={"budget": budget})[0] for s in (0.0, 0.02, 0.03)]
    trees = [solution.details["tree"] for solution in found]
    assert trees[0] == trees[1] == trees[2]
    assert len({solution.answer for solution in found}) == 1
    how = {"budget": budget, "journal": tmp_path / "j"}
    first, spent = solve(sessions, name, script(0.0), how=how)
    again, session = solve(sessions, name, lambda p, s: Reply(error="dead"), how=how)
    assert again == first
    assert session.usage.generated_tokens == spent.usage.generated_tokens


@pytest.mark.parametrize("bad", [float("nan"), RequestError("it cannot"), StepScores((), None, error="empty")])
def test_a_path_that_cannot_be_scored_is_last_and_says_why(sessions: Any, bad: Any) -> None:
    verifier = Scores(lambda text: bad if text.startswith("a:") else 0.5)
    solution, _ = solve(sessions, "beam-search", steps, verifier, n=16, width=4)
    unscored = [n for n in solution.details["tree"] if n["score"] is None]
    assert unscored
    assert all(n["error"] and n["pruned"] == 1 for n in unscored)
    assert solution.answer == "5"


@pytest.mark.parametrize("name", [*STEPWISE, ABMCTS])
def test_a_verifier_that_never_scores_fails_the_problem(sessions: Any, name: str) -> None:
    with pytest.raises(RequestError, match="it cannot"):
        solve(sessions, name, steps, Scores(lambda text: RequestError("it cannot")), n=4)


def test_a_subtree_that_cannot_be_scored_leaves_the_others_their_work(sessions: Any) -> None:
    """Four subtrees: whatever begins with an a is refused, so that subtrees with two of those end there."""

    def script(prompt: str, seed: int) -> Reply:
        return steps(prompt, seed) if written(prompt) else Reply("a\n\nx" if seed % 2 else "b\n\nx")

    verifier = Scores(lambda text: RequestError("it cannot") if text.startswith("a") else 0.5)
    solution, _ = solve(sessions, "dvts", script, verifier, n=8, width=2)
    first = [n for n in solution.details["tree"] if n["parent"] is None]
    refused = [a["score"] is b["score"] is None for a, b in zip(first[::2], first[1::2], strict=True)]
    assert 0 < sum(refused) < 4, "another seed: the test needs both kinds"
    assert solution.answer == "5"
    assert any(c.unscored for c in solution.candidates)


def test_a_round_that_cannot_be_scored_ends_the_search_with_what_there_is(sessions: Any) -> None:
    verifier = Scores(lambda text: RequestError("too long") if text.count("\n\n") > 1 else 0.5)
    solution, _ = solve(sessions, "step-best-of-n", steps, verifier, n=2)
    assert {n["error"] for n in solution.details["tree"] if n["score"] is None} == {"too long"}
    assert any(n["score"] == 0.5 for n in solution.details["tree"])


def test_a_dead_verifier_is_raised(sessions: Any) -> None:
    with pytest.raises(EngineDead):
        solve(sessions, "beam-search", steps, Scores(lambda text: EngineDead("gone")), n=4)


def test_whoever_fails_the_others_are_waited_for() -> None:
    done: list[int] = []

    async def one(number: int) -> int:
        await asyncio.sleep(0.01 * number)
        if number == 1:
            raise RequestError("no")
        done.append(number)
        return number

    with pytest.raises(RequestError):
        asyncio.run(together(one(n) for n in range(4)))
    assert done == [0, 2, 3]


@pytest.mark.parametrize("verifier", [lambda t: StepScores((0.9, 0.2, 0.5), 0.2), lambda t: StepScores((), 0.4)])
@pytest.mark.parametrize(("score", "value"), [("card", 0.2), ("last", 0.5), ("mean", 1.6 / 3), ("prod", 0.09)])
def test_step_scores_come_together_as_asked(sessions: Any, verifier: Any, score: Any, value: float) -> None:
    solution, _ = solve(sessions, "step-best-of-n", steps, Scores(verifier), n=2, score=score)
    whole = verifier("").value if not verifier("").steps else value
    assert all(n["score"] == pytest.approx(whole, abs=1e-6) for n in solution.details["tree"])


# -- the other two ways to spend tokens on one answer ----------------------------------------------------------------


def test_self_refine_stops_when_the_critique_finds_nothing(sessions: Any) -> None:
    def script(prompt: str, seed: int) -> Reply:
        if "Check this attempt" in prompt:
            return Reply("No error." if "{5}" in prompt else "The sum is wrong.")
        return Reply("\\boxed{5}" if "Critique:" in prompt else "\\boxed{6}")

    solution, _ = solve(sessions, "self-refine", script)
    assert [n["kind"] for n in solution.details["tree"]] == ["draft", "critique", "draft", "critique"]
    assert [c.answer for c in solution.candidates] == ["6", "5"]
    assert solution.answer == "5"


def test_a_revision_sees_the_attempts_before_it(sessions: Any) -> None:
    prompts: list[str] = []

    def script(prompt: str, seed: int) -> Reply:
        prompts.append(prompt)
        return Reply(f"try number {prompt.count('Attempt ') + 1} \\boxed{{5}}")

    solution, _ = solve(sessions, "revise", script, n=8, chains=1, memory=2)
    assert [p.count("try number") for p in prompts] == [0, 1, 2, 2, 2, 2, 2, 2]
    assert len(solution.candidates) == 8
    parents = [n["parent"] for n in solution.details["tree"]]
    assert parents == [None, 0, 1, 2, 3, 4, 5, 6]


def test_old_attempts_are_left_out_where_there_is_no_room(sessions: Any) -> None:
    lengths: list[int] = []

    def script(prompt: str, seed: int) -> Reply:
        lengths.append(prompt.count("Attempt "))
        return Reply("word " * 60 + "\\boxed{5}")

    how = {"max_model_len": 230, "sampling": Sampling(max_tokens=70)}
    solution, _ = solve(sessions, "revise", script, how=how, n=6, chains=1)
    assert max(lengths) < 4
    assert len(solution.candidates) == 6


def test_a_chain_is_chosen_from_hierarchically(sessions: Any) -> None:
    answers = iter(["1", "2", "2", "3"])
    verifier = Scores(lambda text: {"1": 0.9, "2": 0.5, "3": 0.6}[text[-2]])
    script = lambda p, s: Reply(f"\\boxed{{{next(answers)}}}")  # noqa: E731
    flat, _ = solve(sessions, "revise", script, verifier, n=4, chains=4, select="weighted")
    assert flat.answer == "2"
    answers = iter(["1", "2", "2", "3"])
    nested, _ = solve(sessions, "revise", script, verifier, n=4, chains=4)
    assert nested.answer == "2"
    answers = iter(["1", "2", "2", "3"])
    highest, _ = solve(sessions, "revise", script, verifier, n=4, chains=4, select="highest")
    assert highest.answer == "1"


def _thinking(prompt: str, seed: int) -> Reply:
    said = written(prompt)
    if "</think>" in said or said.rstrip().endswith("\\boxed{"):
        return Reply("5}." if said.endswith("{") else "So \\boxed{5}.")
    return Reply((" hmm" if said else "<think> let us see") + " and see </think>So \\boxed{6}.")


def test_wait_is_put_where_thinking_would_end(sessions: Any) -> None:
    solution, _ = solve(sessions, "budget-forcing", _thinking, waits=2)
    text = solution.candidates[0].completion.text
    assert text.count("Wait") == 2
    assert text.count("</think>") == 1
    assert text.index("Wait") < text.index("</think>")
    assert solution.answer == "5"
    assert [n["kind"] for n in solution.details["tree"]] == ["thinking"] * 3 + ["answer"]


def test_thinking_is_cut_and_the_answer_asked_for(sessions: Any) -> None:
    solution, _ = solve(sessions, "budget-forcing", _thinking, waits=0, thinking_tokens=3)
    text = solution.candidates[0].completion.text
    assert text == "<think> let us</think>\n\nFinal answer: \\boxed{5}."
    assert solution.answer == "5"
    plain, _ = solve(
        sessions, "budget-forcing", lambda p, s: Reply("5}" if written(p) else "a b c d"), waits=0, thinking_tokens=2
    )
    assert plain.candidates[0].completion.text == "a b\n\nFinal answer: \\boxed{5}"


def test_an_engine_without_a_thinking_budget_refuses(sessions: Any) -> None:
    with pytest.raises(RequestError, match="no thinking budget"):
        solve(sessions, "budget-forcing", waits=0, thinking_tokens=5, by_engine=True)


# -- what can be known before an engine starts -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"strategy": "beam-search"}, "goes by a verifier's scores"),
        ({"strategy": "beam-search", "verifier": "nano", "n": 2}, "is more than -n 2"),
        ({"strategy": "dvts", "verifier": "nano", "n": 6}, "not a multiple"),
        ({"strategy": "beam-search", "verifier": "nano", "option": ["separator="]}, "empty"),
        ({"strategy": "beam-search", "verifier": "nano", "option": ["step=paragraph"]}, "separator"),
        ({"strategy": "beam-search", "verifier": "nano", "temperature": 0.0}, "at temperature 0"),
        ({"strategy": "beam-search", "verifier": "symbolic"}, "symbolic"),
        ({"strategy": "revise", "option": ["chains=3"]}, "not a multiple"),
        ({"strategy": "revise", "option": ["select=hierarchical"]}, "goes by a verifier's scores"),
        ({"strategy": "self-refine", "verifier": "nano"}, "uses no verifier"),
        ({"strategy": "rebase", "verifier": "nano", "option": ["balance=0"]}, "at least"),
        ({"strategy": "budget-forcing", "option": ["by_engine=true"]}, "thinking_tokens"),
    ],
)
def test_what_cannot_work_is_said_at_once(given: Any, says: str) -> None:
    with pytest.raises(InputError) as raised:
        resolve(given, None)
    assert says in raised.value.message + str(raised.value.hint)


def test_branches_draw_and_pay_for_themselves(sessions: Any) -> None:
    async def main() -> None:
        async with sessions(steps, budget=Budget(tokens=100, calls=5)) as session:
            parts: Sequence[Any] = session.branches(2)
            prompt = session.ask(PROBLEM)
            seeds = {c.seed for part in parts for c in await part.sample(prompt, 2)}
            assert len(seeds) == 4
            assert session.usage.calls == 4
            assert [len(await part.sample(prompt, 2)) for part in parts] == [1, 0]
            assert session.over_budget
            assert await session.sample(prompt) == []

    asyncio.run(main())
