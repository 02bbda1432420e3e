"""Training rows and batches: built by worker processes from a seed and a shard number, so that runs repeat."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from tts.nano.dialogue import STATEFUL, ask, draw_attempt, draw_document
from tts.nano.labels import SEPARATOR, label_steps
from tts.nano.problems import DIFFICULTIES, draw, draw_stateful
from tts.nano.story import NanoProblem
from tts.nano.tokenizer import BLANK_LINE, END, PAD, STEP

Array = NDArray[np.integer[Any]]
WIDTHS = 32
"""Batches are as wide as a multiple of this."""
NONE = -100
"""What cross-entropy leaves out."""


@dataclass(frozen=True, slots=True)
class Row:
    """A sequence, the positions where something is predicted, and what is right there.

    `follows`, for the verifier, is the token that would rightly come next at each of these positions, or `NONE`.
    """

    ids: Sequence[int] | Array
    where: Sequence[int]
    targets: Sequence[int] | Array
    follows: Sequence[int] | Array = ()


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of about one length, padded; `where` counts positions through the flattened ids."""

    ids: NDArray[np.int64]
    where: NDArray[np.int64]
    targets: NDArray[np.int64]
    follows: NDArray[np.int64]


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
    """Labelled rows of the generator's own attempts, most of them cut soon after the first mistake."""
    rng = Random(f"attempts/{seed}/{shard}")
    documents = [draw_attempt(rng) for _ in range(count)]
    given, solutions, attempts = (
        vocabulary.encode([getattr(document, part) for document in documents])
        for part in ("given", "written", "attempt")
    )
    rows = []
    for prompt, solution, attempt in zip(given, solutions, attempts, strict=True):
        kept = len(attempt)
        if rng.random() < 0.75:
            kept = _shared(attempt, solution)
            for _ in range(rng.choice((1, 1, 2))):
                kept = next((i for i in range(kept + 1, len(attempt)) if attempt[i] == vocabulary.blank), len(attempt))
        rows.append(_labelled(vocabulary, prompt, attempt[:kept], solution, []))
    return rows


def verifier_rows(vocabulary: Vocabulary, sampled: Iterable[tuple[Task, list[list[int]]]]) -> list[Row]:
    """Labelled rows of sampled responses, each different one once."""
    rows = []
    for (problem, prompt), responses in sampled:
        (solution,) = vocabulary.encode([problem.solution])
        for answer in dict.fromkeys(map(tuple, responses)):
            text = vocabulary.decode(answer)
            rows.append(_labelled(vocabulary, prompt, answer, solution, label_steps(problem, text)))
    return rows


def _labelled(
    vocabulary: Vocabulary, prompt: Sequence[int], answer: Sequence[int], solution: Sequence[int], labels: list[bool]
) -> Row:
    """A label at every token: everything is right so far. A token is right where its step is, or the solution has it.

    Only the labels at step tokens are ever asked for. The others, and the tokens that would rightly follow, say where
    in its step a mistake was made and what was right instead, of which the verifier learns many times faster.
    """
    ids, reference = vocabulary.as_scored(prompt, answer), vocabulary.as_scored(prompt, solution)
    common = _shared(ids, reference)
    targets, step = [], 0
    for position in range(len(prompt), len(ids)):
        targets.append(int(position < common or (step < len(labels) and labels[step])))
        step += ids[position] == vocabulary.step
    follows = [
        reference[i + 1] if i + 1 < len(reference) and i < common else NONE for i in range(len(prompt), len(ids))
    ]
    return Row(
        np.asarray(ids, np.int32),
        range(len(prompt), len(ids)),
        np.asarray(targets, np.int32),
        np.asarray(follows, np.int32),
    )


def _shared(one: Sequence[int], other: Sequence[int]) -> int:
    """The length of what both begin with."""
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def pack(rows: Sequence[Row], pad: int, tokens: int, rng: Random) -> list[Batch]:
    """Batches of at most so many tokens, each of rows of similar length, in random order."""
    ordered = sorted(rows, key=lambda row: len(row.ids))
    batches = []
    while ordered:
        width = -(-len(ordered[-1].ids) // WIDTHS) * WIDTHS
        count = max(1, tokens // width)
        ordered, taken = ordered[:-count], ordered[-count:]
        ids = np.full((len(taken), width), pad, dtype=np.int64)
        where, targets, follows = [], [], []
        for number, row in enumerate(taken):
            ids[number, : len(row.ids)] = row.ids
            where.append(np.asarray(row.where, dtype=np.int64) + number * width)
            targets.append(np.asarray(row.targets, dtype=np.int64))
            follows.append(np.asarray(row.follows, dtype=np.int64))
        batches.append(Batch(ids, *map(np.concatenate, (where, targets, follows))))
    rng.shuffle(batches)
    return batches


assert SEPARATOR == BLANK_LINE
