"""What the policy is trained on: documents of a prompt and the response to it, under the project's own templates.

A document's first part is given (the prompt through the chat template, and the history of an InftyThink round);
only its second part is learnt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from tts.catalog import render
from tts.nano.long import LONGEST, one_round
from tts.nano.problems import TRAINING, draw, draw_ledger, draw_stateful
from tts.nano.story import SLIPS, NanoProblem, Noise, Scale, Split, Step, conclusion, response

WINDOWS = (4, 4, 4, 6, 8)
VERBOSITIES = 5
STATEFUL = (Scale(3, 10, 6, 3), Scale(5, 300, 100, 20))
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
END = "<|im_end|>"


@dataclass(frozen=True, slots=True)
class Document:
    """Text that is given, text that is to be written, and a fallible attempt at it, if one was asked for."""

    given: str
    written: str
    attempt: str = ""


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
    return Document(ask(problem), problem.solution, response(problem.attempt) if problem.attempt else "")


def infty_round(problem: NanoProblem, window: int, start: int) -> Document:
    """The round of a solution that goes on after `start` right steps."""
    history, written = one_round(problem, problem.steps, start, window)
    given = as_chat(render("infty-round", question=problem.statement, context=None, steps=window))
    if history is not None:
        given += render("infty-history", summary=history)
    attempt = one_round(problem, problem.attempt, start, window)[1] if problem.attempt else ""
    return Document(given, written, attempt)


def draw_round(problem: NanoProblem, rng: Random) -> Document:
    """Any round: the first, the last and those between about as often; others start anywhere, as after a slip."""
    window, end = rng.choice(WINDOWS), len(problem.steps)
    start = rng.choice((0, rng.randint(max(0, end - window), end - 1), rng.randrange(end)))
    return infty_round(problem, window, start)


def notes_text(problem: NanoProblem) -> str:
    """What is worth noting about a stateful problem's context."""
    return "\n".join(map(str, problem.asides))


def take_notes(problem: NanoProblem) -> Document:
    """The sleep phase: context to notes."""
    return Document(as_chat(render("sleep-notes", context=problem.body)), notes_text(problem))


def answer(problem: NanoProblem, notes: bool, verbosity: int) -> Document:
    """The test phase, at a verbosity from 0 (the bare answer) to 4 (every step, and every step again)."""
    given = render(
        "sleep-answer",
        context=problem.body,
        notes=notes_text(problem) if notes else None,
        question=problem.question,
        verbosity=verbosity,
    )
    attempt = _said(problem.attempt, verbosity) if problem.attempt else ""
    return Document(as_chat(given), _said(problem.steps, verbosity), attempt)


def _said(steps: Sequence[Step], verbosity: int) -> str:
    said, value = [str(step) for step in steps], str(steps[-1].value)
    match verbosity:
        case 0:
            return f"\\boxed{{{value}}}"
        case 1:
            said = []
        case 2:
            said = said[-1:]
        case 4:
            said += [f"check {step}" for step in said]
    return "\n\n".join([*said, conclusion(value)])


def draw_document(rng: Random, split: Split = "train", errs: bool = False) -> Document:
    """A document of the training mixture; who `errs` solves the plain problems fallibly."""
    share = rng.random()
    if share < 0.56:
        problem = draw(rng, *TRAINING, split, noise=Noise(Random(rng.random())) if errs else None)
        document = reason(problem)
        return Document(document.given, document.attempt) if errs else document
    if share < 0.58:
        return draw_round(draw(rng, *TRAINING, split), rng)
    if share < 0.67:
        return reason(draw_ledger(rng, 1, LONGEST, split))
    if share < 0.80:
        return draw_round(draw_ledger(rng, 2, LONGEST, split), rng)
    problem = rng.choice(draw_stateful(rng, *STATEFUL, split))
    kind = rng.choice(("reason", "notes", "answer", "answer"))
    if kind == "answer":
        return answer(problem, rng.random() < 0.6, rng.randrange(VERBOSITIES))
    return reason(problem) if kind == "reason" else take_notes(problem)


def draw_attempt(rng: Random, split: Split = "train") -> Document:
    """What the verifier learns from at first: fallible attempts, by solvers who err more or less often."""
    severity = rng.choice((0.1, 0.3, 0.6, 1.0))
    noise = Noise(Random(rng.random()), tuple(severity * slip for slip in SLIPS), rng.choice((0.2, 0.5)))
    share = rng.random()
    if share < 0.86:
        return reason(draw(rng, *TRAINING, split, noise=noise))
    if share < 0.90:
        return reason(rng.choice(draw_stateful(rng, *STATEFUL, split, noise)))
    if share < 0.92:
        problem = rng.choice(draw_stateful(rng, *STATEFUL, split, noise))
        return answer(problem, rng.random() < 0.6, rng.randrange(VERBOSITIES))
    noise = Noise(Random(rng.random()), (0.05,) * 5)
    if share < 0.95:
        return reason(draw_ledger(rng, 1, LONGEST, split, noise))
    return draw_round(draw_ledger(rng, 2, LONGEST, split, noise), rng)
