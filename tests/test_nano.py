"""The embedded model's problems: deterministic, exact, split, and labelled without error. No engine, no torch."""

from __future__ import annotations

import json
from random import Random

import pytest

from tts import nano
from tts.catalog import render
from tts.nano.dialogue import CHAT_TEMPLATE, as_chat, ask, draw_document, notes_text
from tts.nano.families import FAMILIES, tell
from tts.nano.labels import evaluate, label_steps, read_answer
from tts.nano.long import LEDGERS, rounds
from tts.nano.problems import (
    DIFFICULTIES,
    STATEFUL,
    STEPS_PER_WINDOW,
    TRAINING,
    benchmark,
    benchmark_problems,
    by_difficulty,
    draw,
    draw_stateful,
)
from tts.nano.story import Noise, Step, response, split_of
from tts.nano.tables import Sampled, chosen, measure

MEGABYTE = 10**6


def test_there_are_at_least_eight_families() -> None:
    assert len(FAMILIES) >= 8


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_every_family_is_exact_at_every_difficulty(family: str, difficulty: int) -> None:
    for index in range(20):
        problem = by_difficulty(difficulty, index, family=family)
        assert problem.family == family
        for step in problem.steps:
            assert evaluate(step.expression) == step.value
        assert problem.target == str(problem.steps[-1].value)
        assert read_answer(problem.solution) == problem.target
        assert all(label_steps(problem, problem.solution))


def test_the_same_seed_makes_the_same_problem_and_another_seed_another() -> None:
    assert by_difficulty(3, 7) == by_difficulty(3, 7)
    assert len({by_difficulty(3, index).statement for index in range(50)}) == 50
    assert list(benchmark("nano-long", 3)) == list(benchmark("nano-long", 3))


def test_no_problem_of_a_benchmark_can_occur_in_training() -> None:
    rng = Random(0)
    trained = {draw(rng, *TRAINING, "train").body for _ in range(2000)}
    assert all(split_of(body) == "train" for body in trained)
    for name in (*(f"nano-{difficulty}" for difficulty in DIFFICULTIES), "nano-long", "nano-stateful"):
        for problem in benchmark_problems(name, 100):
            assert split_of(problem.body) == "test"
            assert problem.body not in trained


def test_training_documents_come_from_the_training_split_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def spy(body: str) -> str:
        seen.append(split_of(body))
        return seen[-1]

    monkeypatch.setattr("tts.nano.problems.split_of", spy)
    rng = Random(0)
    for _ in range(200):
        draw_document(rng)
        assert seen[-1] == "train"


def test_noise_changes_the_attempt_and_nothing_else() -> None:
    family, scale = "comparison", DIFFICULTIES[4][1]
    plain = tell(family, Random(5), scale)
    noisy = tell(family, Random(5), scale, Noise(Random(1), slips=(1.0,)))
    assert (noisy.statement, noisy.steps) == (plain.statement, plain.steps)
    assert plain.attempt == ()
    assert noisy.attempt != noisy.steps
    assert [step.label for step in noisy.attempt] == [step.label for step in noisy.steps]


def test_an_attempt_goes_on_from_its_own_mistake() -> None:
    for seed in range(50):
        problem = tell("chain", Random(seed), DIFFICULTIES[3][1], Noise(Random(seed)))
        for before, after in zip(problem.attempt, problem.attempt[1:], strict=False):
            assert after.expression.startswith(str(before.value))


def test_labels_say_right_so_far() -> None:
    rng = Random(3)
    for seed in range(300):
        problem = draw(rng, *TRAINING, "train", noise=Noise(Random(seed)))
        labels = label_steps(problem, response(problem.attempt))
        right = [mine == true for mine, true in zip(problem.attempt, problem.steps, strict=True)]
        first_wrong = right.index(False) if False in right else len(right)
        assert labels == [position < first_wrong for position in range(len(right))] + [first_wrong == len(right)]


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("a: 2+3=5\n\nb: 5*4=20\n\nThe answer is \\boxed{20}.", [True, True, True]),
        ("a: 2+3=5\n\nb: 5*4=21\n\nThe answer is \\boxed{21}.", [True, False, False]),
        ("a: 2+4=5\n\nb: 5*4=20\n\nThe answer is \\boxed{20}.", [False, False, False]),
        ("a: 2+3=5\n\nb: 5*4=20\n\nThe answer is \\boxed{5}.", [True, True, False]),
        ("a: 2+3=5\n\nThe answer is \\boxed{20}.", [True, False]),
        ("", [False]),
    ],
)
def test_labels_of_written_cases(text: str, labels: list[bool]) -> None:
    problem = by_difficulty(1, 0)
    steps = (Step("a", "2+3", 5), Step("b", "5*4", 20))
    problem = type(problem)("chain", "", "", steps)
    assert label_steps(problem, text) == labels


@pytest.mark.parametrize(
    ("expression", "value"),
    [("2+3-1", 4), ("7/2", None), ("8*50/100", 4), ("9%4", 1), ("1/0", None), ("2+3*4", None), ("-3+5", 2)],
)
def test_evaluation_is_exact_or_nothing(expression: str, value: int | None) -> None:
    assert evaluate(expression) == value


@pytest.mark.parametrize("kind", LEDGERS)
def test_rounds_carry_a_chain_over_its_windows(kind: str) -> None:
    problem = next(p for p in benchmark_problems("nano-long", 50) if p.family == kind)
    history, steps = None, 0
    for given, written in rounds(problem, STEPS_PER_WINDOW):
        assert given == history
        pieces = written.split("\n\n")
        steps += len(pieces) - 1
        if "<summary>" in pieces[-1]:
            history = pieces[-1].removeprefix("<summary>").removesuffix("</summary>")
    assert steps == len(problem.steps)
    assert read_answer(pieces[-1]) == problem.target


def test_a_long_problem_needs_three_to_ten_windows() -> None:
    for problem in benchmark_problems("nano-long", 100):
        assert 3 <= len(list(rounds(problem, STEPS_PER_WINDOW))) <= 10


def test_notes_hold_the_answer_to_every_question_about_a_context() -> None:
    for seed in range(50):
        several = draw_stateful(Random(seed), *STATEFUL, "test")
        assert len({problem.body for problem in several}) == 1
        for problem in several:
            assert f"={problem.target}" in notes_text(problem)
            assert problem.question not in notes_text(problem)


def test_prompts_are_the_projects_own_through_the_chat_template() -> None:
    problem = by_difficulty(2, 0)
    prompt = render("cot", question=problem.statement, context=None, choices=None)
    assert ask(problem) == as_chat(prompt)
    import jinja2

    template = jinja2.Template(CHAT_TEMPLATE)
    messages = [{"role": "user", "content": prompt}]
    assert template.render(messages=messages, add_generation_prompt=True) == ask(problem)


def test_the_table_counts_votes_and_scores() -> None:
    problem = Sampled("1", ["1", "2", "2", None], [0.9, 0.3, 0.3, 0.99])
    assert problem.outcome() == {"pass@1": 0.25, "maj": 0.0, "best": 1.0, "weighted": 1.0, "pass@n": 1.0}
    assert chosen([None, None], [1.0, 1.0]) is None
    assert measure([problem])["pass@1"] == 25.0


def test_the_weights_are_small_and_their_folders_complete() -> None:
    files = [folder / "model.safetensors" for folder in (nano.POLICY, nano.VERIFIER)]
    assert sum(file.stat().st_size for file in files) <= 16 * MEGABYTE
    policy, verifier = (json.loads((f / "config.json").read_text()) for f in (nano.POLICY, nano.VERIFIER))
    assert policy["architectures"] == ["Qwen2ForCausalLM"]
    assert verifier["architectures"] == ["Qwen2ForProcessRewardModel"]
    assert policy["max_position_embeddings"] >= 2048
    assert (nano.POLICY / "tokenizer.json").read_bytes() == (nano.VERIFIER / "tokenizer.json").read_bytes()
    assert json.loads((nano.POLICY / "tokenizer_config.json").read_text())["chat_template"] == CHAT_TEMPLATE


def test_the_tokenizer_reads_anything_and_keeps_steps_and_digits_apart() -> None:
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = tokenizers.Tokenizer.from_file(str(nano.POLICY / "tokenizer.json"))
    text = "Zoë: 12+34=46 ∑ 漢字 🙂\n\n\tprint(x)\r\n<summary>a</summary>"
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    assert tokenizer.decode(ids) == text
    tokens = tokenizer.encode("a: 1234\n\nb", add_special_tokens=False).tokens
    assert [t for t in tokens if t.isdigit()] == list("1234")
    assert "\n\n" in tokens
