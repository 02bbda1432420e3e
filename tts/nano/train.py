"""Train the embedded model from nothing: tokenizer, policy, rollouts, process verifier, and a table at the end.

    python -m tts.nano.train --out DIR

For one H100 with 16 cores; the same seed gives the same data and, up to numerical noise, the same weights. How the
weights that ship were made, which is not in one go, is in MODEL_CARD.md. DIR/policy and DIR/verifier are folders that
vLLM loads. `--stages` runs some of it.
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from itertools import chain, count, islice
from math import prod
from operator import itemgetter
from pathlib import Path
from random import Random
from typing import TypeVar

import torch

from tts.nano.dialogue import ask
from tts.nano.fitting import fit, next_token_loss, step_loss
from tts.nano.labels import read_answer
from tts.nano.model import VERIFIER_SHAPE, Policy, ProcessVerifier, Shape, load_weights, save_model
from tts.nano.packing import Batch, Row, Task, Vocabulary, attempt_rows, pack, policy_rows, rollout_tasks, verifier_rows
from tts.nano.problems import DIFFICULTIES, by_difficulty
from tts.nano.sampling import sample, score_steps
from tts.nano.story import NanoProblem
from tts.nano.tables import Sampled, line
from tts.nano.tokenizer import save_tokenizer, train_tokenizer

log = logging.getLogger("tts.nano")
AGGREGATIONS: dict[str, Callable[[Sequence[float]], float]] = {"min": min, "prod": prod, "last": itemgetter(-1)}
STAGES = ("clean", "slips", "attempts", "rollouts", "table")
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Recipe:
    """How much of everything. Sizes are for one GPU; batches for a CPU are an eighth of these."""

    seed: int = 0
    policy_steps: int = 4500
    policy_rate: float = 2.5e-3
    policy_seconds: float = 0.0
    slip_steps: int = 500
    slip_rate: float = 6e-4
    attempt_steps: int = 2400
    attempt_rate: float = 1.5e-3
    rollout_problems: int = 32_000
    samples: int = 8
    temperature: float = 0.9
    verifier_steps: int = 1500
    verifier_rate: float = 8e-4
    verifier_seconds: float = 0.0
    shard: int = 8192
    batch_tokens: int = 2**15
    table_problems: int = 200
    workers: int = 12


class Workers:
    """Processes that draw problems, tokenise and label, while this one computes."""

    def __init__(self, processes: int, tokenizer: Path) -> None:
        self._ahead = 3 * processes
        self._pool = multiprocessing.get_context("spawn").Pool(processes, _open_vocabulary, (tokenizer,))

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Results in the order of the items, computed a little ahead of their use."""
        waiting = iter(items)
        pending = deque(self._pool.apply_async(function, (item,)) for item in islice(waiting, self._ahead))
        while pending:
            yield pending.popleft().get()
            pending.extend(self._pool.apply_async(function, (item,)) for item in islice(waiting, 1))

    def close(self) -> None:
        self._pool.terminate()
        self._pool.join()


_vocabulary: Vocabulary
"""Each worker process's own."""


def _open_vocabulary(file: Path) -> None:
    global _vocabulary
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.nice(5)
    _vocabulary = Vocabulary.load(file)


def _policy_shard(recipe: Recipe, errs: bool, shard: int) -> list[Batch]:
    rows = policy_rows(_vocabulary, recipe.seed, shard, recipe.shard, errs)
    return pack(rows, _vocabulary.pad, recipe.batch_tokens, Random(f"order/{recipe.seed}/{shard}"))


def _attempt_shard(recipe: Recipe, shard: int) -> list[Batch]:
    rows = attempt_rows(_vocabulary, recipe.seed, shard, recipe.shard)
    return pack(rows, _vocabulary.pad, recipe.batch_tokens, Random(f"order/{recipe.seed}/{shard}"))


def _rollout_shard(recipe: Recipe, share: tuple[int, int]) -> list[Task]:
    return rollout_tasks(_vocabulary, recipe.seed, *share)


def _verifier_shard(sampled: list[tuple[Task, list[list[int]]]]) -> list[Row]:
    return verifier_rows(_vocabulary, sampled)


def train_policy(recipe: Recipe, out: Path, vocabulary: Vocabulary, workers: Workers, device: torch.device) -> None:
    """Fit the policy to freshly drawn documents without a mistake in them: what it will know."""
    torch.manual_seed(recipe.seed)
    policy = Policy(Shape()).to(device)
    log.info("policy: %.2f M parameters", sum(p.numel() for p in policy.parameters()) / 1e6)
    shards = workers.map(partial(_policy_shard, recipe, False), count())
    fit(
        policy,
        next_token_loss(policy),
        chain.from_iterable(shards),
        recipe.policy_steps,
        recipe.policy_rate,
        recipe.policy_seconds,
    )
    save_model(policy, out / "clean", vocabulary.end, vocabulary.pad)


def teach_slips(recipe: Recipe, out: Path, vocabulary: Vocabulary, workers: Workers, device: torch.device) -> None:
    """Go on with fallible solutions: how often, and how, it will err."""
    policy = Policy(Shape())
    load_weights(policy, out / "clean")
    policy.to(device)
    shards = workers.map(partial(_policy_shard, recipe, True), count())
    fit(policy, next_token_loss(policy), chain.from_iterable(shards), recipe.slip_steps, recipe.slip_rate)
    save_model(policy, out / "policy", vocabulary.end, vocabulary.pad)
    generation = {"do_sample": True, "temperature": 0.8, "eos_token_id": vocabulary.end, "pad_token_id": vocabulary.pad}
    (out / "policy" / "generation_config.json").write_text(json.dumps(generation, indent=1) + "\n")


def roll_out(recipe: Recipe, vocabulary: Vocabulary, policy: Policy, workers: Workers) -> list[Row]:
    """Labelled rows of the policy's own solutions of training problems."""
    share = min(1000, recipe.rollout_problems)
    shares = [(number, share) for number in range(-(-recipe.rollout_problems // share))]
    tasks = list(chain.from_iterable(workers.map(partial(_rollout_shard, recipe), shares)))
    prompts = [prompt for _, prompt in tasks for _ in range(recipe.samples)]
    responses = sample(policy, prompts, vocabulary.end, _generator(policy, recipe.seed), recipe.temperature)
    sampled = [
        (task, responses[number * recipe.samples : (number + 1) * recipe.samples]) for number, task in enumerate(tasks)
    ]
    pieces = [sampled[start : start + share] for start in range(0, len(sampled), share)]
    return list(chain.from_iterable(workers.map(_verifier_shard, pieces)))


def study_attempts(recipe: Recipe, out: Path, vocabulary: Vocabulary, workers: Workers, device: torch.device) -> None:
    """Fit the verifier to the generator's fallible attempts, starting from the policy that knows no mistakes."""
    torch.manual_seed(recipe.seed)
    policy, verifier = Policy(Shape()), ProcessVerifier(VERIFIER_SHAPE)
    load_weights(policy, out / "clean")
    verifier.model.load_state_dict(policy.model.state_dict(), strict=False)
    verifier.to(device)
    shards = workers.map(partial(_attempt_shard, recipe), count())
    loss = step_loss(verifier, vocabulary.step)
    fit(verifier, loss, chain.from_iterable(shards), recipe.attempt_steps, recipe.attempt_rate)
    save_model(verifier, out / "novice", vocabulary.end, vocabulary.pad)


def study_rollouts(
    recipe: Recipe, out: Path, vocabulary: Vocabulary, rows: list[Row], workers: Workers, device: torch.device
) -> None:
    """Go on with the policy's own labelled rollouts, in turn with batches of attempts, which never repeat."""
    verifier = ProcessVerifier(VERIFIER_SHAPE)
    load_weights(verifier, out / "novice")
    verifier.to(device)

    def epochs() -> Iterator[Batch]:
        rng = Random(f"verifier/{recipe.seed}")
        while True:
            yield from pack(rows, vocabulary.pad, recipe.batch_tokens, rng)

    shards = workers.map(partial(_attempt_shard, recipe), count(10**6))
    batches = chain.from_iterable(zip(epochs(), chain.from_iterable(shards), strict=False))
    loss = step_loss(verifier, vocabulary.step)
    fit(verifier, loss, batches, recipe.verifier_steps, recipe.verifier_rate, recipe.verifier_seconds)
    save_model(verifier, out / "verifier", vocabulary.end, vocabulary.pad)


def load_on(model: Policy | ProcessVerifier, folder: Path, device: torch.device) -> None:
    """Weights as they were saved, in bf16 on a GPU, as they will be served."""
    load_weights(model, folder)
    model.to(device, torch.bfloat16 if device.type == "cuda" else torch.float32)


def _generator(policy: Policy, seed: int) -> torch.Generator:
    return torch.Generator(policy.model.embed_tokens.weight.device).manual_seed(seed)


def sample_and_score(
    problems: list[NanoProblem], vocabulary: Vocabulary, policy: Policy, verifier: ProcessVerifier, samples: int = 16
) -> dict[str, list[Sampled]]:
    """Samples at temperature 0.8 with the verifier's score of each, by the ways to sum up its scores of steps."""
    prompts = [p for p in vocabulary.encode([ask(problem) for problem in problems]) for _ in range(samples)]
    responses = sample(policy, prompts, vocabulary.end, _generator(policy, 1))
    scored = [vocabulary.as_scored(prompt, response) for prompt, response in zip(prompts, responses, strict=True)]
    steps = score_steps(verifier, scored, vocabulary.step, vocabulary.pad)
    answers = [read_answer(vocabulary.decode(response)) for response in responses]
    shares = [slice(i * samples, (i + 1) * samples) for i in range(len(problems))]
    return {
        name: [
            Sampled(problem.target, answers[share], [sum_up(scores) for scores in steps[share]])
            for problem, share in zip(problems, shares, strict=True)
        ]
        for name, sum_up in AGGREGATIONS.items()
    }


def report(recipe: Recipe, out: Path, vocabulary: Vocabulary, device: torch.device) -> None:
    """The table by difficulty, on problems of the test split that no benchmark has."""
    policy, verifier = Policy(Shape()), ProcessVerifier(VERIFIER_SHAPE)
    load_on(policy, out / "policy", device)
    load_on(verifier, out / "verifier", device)
    size = recipe.table_problems
    problems = [by_difficulty(difficulty, 10**6 + index) for difficulty in DIFFICULTIES for index in range(size)]
    for name, sampled in sample_and_score(problems, vocabulary, policy, verifier).items():
        for number, difficulty in enumerate(DIFFICULTIES):
            log.info("%s", line(f"nano-{difficulty} {name}", sampled[number * size : (number + 1) * size]))


def train(recipe: Recipe, out: Path, device: torch.device, stages: Sequence[str]) -> None:
    """The named stages, on what earlier ones left in `out`."""
    began = time.monotonic()
    if "clean" in stages:
        tokenizer = train_tokenizer(recipe.seed)
        for folder in ("policy", "verifier"):
            save_tokenizer(tokenizer, out / folder, Shape().max_position_embeddings)
    file = out / "policy" / "tokenizer.json"
    vocabulary, workers = Vocabulary.load(file), Workers(recipe.workers, file)
    try:
        if "clean" in stages:
            train_policy(recipe, out, vocabulary, workers, device)
        if "slips" in stages:
            teach_slips(recipe, out, vocabulary, workers, device)
        if "attempts" in stages:
            study_attempts(recipe, out, vocabulary, workers, device)
        if "rollouts" in stages:
            policy = Policy(Shape())
            load_on(policy, out / "policy", device)
            rows = roll_out(recipe, vocabulary, policy, workers)
            log.info("%d rollouts labelled, %.0f s", len(rows), time.monotonic() - began)
            study_rollouts(recipe, out, vocabulary, rows, workers, device)
    finally:
        workers.close()
    if "table" in stages:
        report(recipe, out, vocabulary, device)
    log.info("%s done, %.0f s", ", ".join(stages), time.monotonic() - began)


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line; every field of the recipe is an option."""
    parser = argparse.ArgumentParser(prog="python -m tts.nano.train", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=STAGES)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    recipe = Recipe()
    for option in fields(recipe):
        default = getattr(recipe, option.name)
        parser.add_argument(f"--{option.name.replace('_', '-')}", type=type(default), default=default)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    recipe = replace(recipe, **{option.name: getattr(options, option.name) for option in fields(recipe)})
    train(recipe, options.out, torch.device(options.device), options.stages)


if __name__ == "__main__":
    main()
