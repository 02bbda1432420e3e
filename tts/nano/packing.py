"""Training rows and batches: built by worker processes from a seed and a shard number, so that runs repeat."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from tts.nano.dialogue import STATEFUL, ask, draw_document
from tts.nano.families import ODD_FAMILIES
from tts.nano.labels import SEPARATOR, label_steps
from tts.nano.problems import DIFFICULTIES, ODD_TRAINING, draw, draw_stateful
from tts.nano.story import NanoProblem, Noise, response
from tts.nano.tokenizer import BLANK_LINE, END, PAD, STEP

WIDTHS = 32
"""Batches are as wide as a multiple of this."""


@dataclass(frozen=True, slots=True)
class Row:
    """A sequence, the positions where something is predicted, and what is right there."""

    ids: Sequence[int]
    where: Sequence[int]
    targets: Sequence[int]


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of about one length, padded; `where` counts positions through the flattened ids."""

    ids: NDArray[np.int64]
    where: NDArray[np.int64]
    targets: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The tokenizer with the ids that training needs by name."""

    tokenizer: Tokenizer
    pad: int
    end: int
    step: int
    blank: int

    @classmethod
    def load(cls, file: Path) -> Vocabulary:
        tokenizer = Tokenizer.from_file(str(file))
        pad, end, step, blank = tokenizer.encode(PAD + END + STEP + BLANK_LINE, add_special_tokens=False).ids
        return cls(tokenizer, pad, end, step, blank)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        return [encoding.ids for encoding in self.tokenizer.encode_batch(texts, add_special_tokens=False)]

    def decode(self, ids: Sequence[int]) -> str:
        text: str = self.tokenizer.decode(ids, skip_special_tokens=True)
        return text

    def as_scored(self, prompt: Sequence[int], response: Sequence[int]) -> list[int]:
        """What the verifier reads: the step token in place of every blank line, and once more at the end."""
        body = [self.step if token == self.blank else token for token in response if token != self.end]
        return [*prompt, *body, self.step]


def policy_rows(vocabulary: Vocabulary, seed: int, shard: int, count: int, errs: bool) -> list[Row]:
    """Rows of freshly drawn documents; the response is what is learnt."""
    rng = Random(f"policy/{seed}/{errs}/{shard}")
    documents = [draw_document(rng, errs=errs) for _ in range(count)]
    given = vocabulary.encode([document.given for document in documents])
    written = vocabulary.encode([document.written for document in documents])
    rows = []
    for prompt, learnt in zip(given, written, strict=True):
        ids = [*prompt, *learnt, vocabulary.end]
        rows.append(Row(ids[:-1], range(len(prompt) - 1, len(ids) - 1), ids[len(prompt) :]))
    return rows


Task = tuple[NanoProblem, list[int]]
"""A problem and its prompt's token ids."""


def rollout_tasks(vocabulary: Vocabulary, seed: int, shard: int, count: int) -> list[Task]:
    """Problems of the training split to sample solutions of: difficulties 2 to 5, and one in eight with a context."""
    rng = Random(f"rollouts/{seed}/{shard}")
    problems = [
        rng.choice(draw_stateful(rng, *STATEFUL, "train"))
        if rng.random() < 0.125
        else draw(rng, *DIFFICULTIES[rng.randint(2, 5)], "train")
        for _ in range(count)
    ]
    return list(zip(problems, vocabulary.encode([ask(problem) for problem in problems]), strict=True))


def attempt_rows(vocabulary: Vocabulary, seed: int, shard: int, count: int) -> list[Row]:
    """Labelled rows of the generator's own attempts at short problems, wrong only where something was misread."""
    rng = Random(f"attempts/{seed}/{shard}")
    problems = [
        draw(rng, *ODD_TRAINING, "train", rng.choice(ODD_FAMILIES), Noise(Random(rng.random()), slips=(0.0,)))
        for _ in range(count)
    ]
    prompts = vocabulary.encode([ask(problem) for problem in problems])
    responses = vocabulary.encode([response(problem.attempt) for problem in problems])
    tasks = zip(problems, prompts, strict=True)
    return verifier_rows(vocabulary, [(task, [answer]) for task, answer in zip(tasks, responses, strict=True)])


def verifier_rows(vocabulary: Vocabulary, sampled: Iterable[tuple[Task, list[list[int]]]]) -> list[Row]:
    """Rows of responses with a label at every token: whether everything is right so far.

    Only the labels at step tokens are ever asked for; the others say where in its step a mistake was made, of which
    the verifier learns many times faster.
    """
    rows = []
    for (problem, prompt), responses in sampled:
        (solution,) = vocabulary.encode([problem.solution])
        for answer in responses:
            ids, reference = vocabulary.as_scored(prompt, answer), vocabulary.as_scored(prompt, solution)
            labels = label_steps(problem, vocabulary.decode(answer))
            common = next((i for i, (a, b) in enumerate(zip(ids, reference, strict=False)) if a != b), len(reference))
            targets, step = [], 0
            for position in range(len(prompt), len(ids)):
                targets.append(int(step < len(labels) and (labels[step] or position < common)))
                step += ids[position] == vocabulary.step
            if step == len(labels):
                rows.append(Row(ids, range(len(prompt), len(ids)), targets))
    return rows


def pack(rows: Sequence[Row], pad: int, tokens: int, rng: Random) -> list[Batch]:
    """Batches of at most so many tokens, each of rows of similar length, in random order."""
    ordered = sorted(rows, key=lambda row: len(row.ids))
    batches = []
    while ordered:
        width = -(-len(ordered[-1].ids) // WIDTHS) * WIDTHS
        count = max(1, tokens // width)
        ordered, taken = ordered[:-count], ordered[-count:]
        ids = np.full((len(taken), width), pad, dtype=np.int64)
        where, targets = [], []
        for number, row in enumerate(taken):
            ids[number, : len(row.ids)] = row.ids
            where.append(np.asarray(row.where, dtype=np.int64) + number * width)
            targets.append(np.asarray(row.targets, dtype=np.int64))
        batches.append(Batch(ids, np.concatenate(where), np.concatenate(targets)))
    rng.shuffle(batches)
    return batches


assert SEPARATOR == BLANK_LINE
