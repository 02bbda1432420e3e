"""What the policy is trained on: documents of a prompt and the response to it, under the project's own templates.

A document's first part is given (the prompt through the chat template, and the history of an InftyThink round);
only its second part is learnt.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from tts.catalog import render
from tts.nano.long import LONGEST, rounds
from tts.nano.problems import TRAINING, draw, draw_ledger, draw_stateful
from tts.nano.story import NanoProblem, Noise, Scale, Split, conclusion, response

WINDOWS = (4, 4, 8)
STATEFUL = (Scale(3, 10, 6, 3), Scale(5, 300, 100, 20))
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
END = "<|im_end|>"


@dataclass(frozen=True, slots=True)
class Document:
    """Text that is given, and text that is to be written."""

    given: str
    written: str


def as_chat(prompt: str) -> str:
    """One user message through the chat template, up to where the assistant's turn begins."""
    return f"<|im_start|>user\n{prompt}{END}\n<|im_start|>assistant\n"


def ask(problem: NanoProblem) -> str:
    """The chain-of-thought prompt. A stateful problem's body is its context."""
    if problem.asides:
        return as_chat(render("cot", question=problem.question, context=problem.body, choices=None))
    return as_chat(render("cot", question=problem.statement, context=None, choices=None))


def reason(problem: NanoProblem) -> Document:
    """Step by step to the answer."""
    return Document(ask(problem), problem.solution)


def infty_round(problem: NanoProblem, window: int, rng: Random) -> Document:
    """One round of a solution, any of them."""
    history, written = rng.choice(list(rounds(problem, window)))
    given = as_chat(render("infty-round", question=problem.statement, context=None, steps=window))
    if history is not None:
        given += render("infty-history", summary=history)
    return Document(given, written)


def notes_text(problem: NanoProblem) -> str:
    """What is worth noting about a stateful problem's context."""
    return "\n".join(map(str, problem.asides))


def take_notes(problem: NanoProblem) -> Document:
    """The sleep phase: context to notes."""
    return Document(as_chat(render("sleep-notes", context=problem.body)), notes_text(problem))


def answer_from_notes(problem: NanoProblem) -> Document:
    """The test phase: the notes hold the answer, so that one line will do."""
    given = render("sleep-answer", context=problem.body, notes=notes_text(problem), question=problem.question)
    return Document(as_chat(given), conclusion(problem.target))


def fallible(problem: NanoProblem) -> Document:
    """Step by step to an answer that may be wrong."""
    return Document(ask(problem), response(problem.attempt))


def draw_document(rng: Random, split: Split = "train", errs: bool = False) -> Document:
    """A document of the training mixture; one who `errs` solves the plain problems fallibly."""
    share = rng.random()
    if share < 0.6:
        noise = Noise(Random(rng.random())) if errs else None
        problem = draw(rng, *TRAINING, split, noise=noise)
        return fallible(problem) if errs else reason(problem)
    if share < 0.86:
        if share < 0.62:
            return infty_round(draw(rng, *TRAINING, split), rng.choice(WINDOWS), rng)
        if share < 0.66:
            return reason(draw_ledger(rng, 1, 12, split))
        return infty_round(draw_ledger(rng, 2, LONGEST, split), rng.choice(WINDOWS), rng)
    problem = rng.choice(draw_stateful(rng, *STATEFUL, split))
    kind = rng.choice((reason, take_notes, answer_from_notes))
    return kind(problem)
