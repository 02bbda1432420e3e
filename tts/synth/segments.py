"""A long chain of thought cut into segments, and the training rows of one: pure functions.

Yan et al. 2025, arXiv:2503.06692, section 3; packing below the limit and dropping what cannot be packed after the
follow-up, arXiv:2602.06960, appendix on data.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tts import catalog

_BLANK_LINES = re.compile(r"\n[^\S\n]*\n\s*")


def parse(response: str, think: str = "think") -> tuple[str, str] | None:
    """(reasoning, conclusion) of a response that thinks and then answers; None where either is missing."""
    found = re.match(rf"\s*<{re.escape(think)}>(.+?)</{re.escape(think)}>(.+)\Z", response, re.DOTALL)
    if found is None or not found[1].strip() or not found[2].strip():
        return None
    return found[1].strip(), found[2].strip()


def paragraphs(text: str) -> list[str]:
    """The text cut at blank lines; a piece that does not begin with a capital letter belongs to the one before."""
    found: list[str] = []
    for piece in filter(None, _BLANK_LINES.split(text.strip())):
        if found and not piece[0].isupper():
            found[-1] += f"\n\n{piece}"
        else:
            found.append(piece)
    return found


def segments(text: str, limit: int, count: Callable[[str], int]) -> list[str] | None:
    """Paragraphs packed in order into segments of at most `limit` tokens; None where one alone has more.

    `count` says how many tokens a text has. Segments are filled by the sum of their paragraphs' tokens; where the whole
    has more than its parts (a tokenizer need not add up), the last ones go to the next segment.
    """
    waiting = [(p, count(f"\n\n{p}")) for p in paragraphs(text)][::-1]
    packed: list[str] = []
    while waiting:
        taken = [waiting.pop()]
        size = taken[0][1]
        while waiting and size + waiting[-1][1] <= limit:
            taken.append(waiting.pop())
            size += taken[-1][1]
        while count(whole := "\n\n".join(p for p, _ in taken)) > limit:
            if len(taken) == 1:
                return None
            waiting.append(taken.pop())
        packed.append(whole)
    return packed


def rows(
    case: str,
    question: str,
    parts: Sequence[str],
    summaries: Sequence[str],
    conclusion: str,
    tags: tuple[str, str, str],
    prompt: str,
) -> list[dict[str, Any]]:
    """One training row a segment: question and last summary to segment and summary, the last one to the conclusion.

    `messages` is the chat: the user's turn under the template `prompt`, the assistant's with the history block first.
    `loss_spans` are the (start, end) characters of the assistant's turn that are learnt: all but the history.
    """
    user = catalog.render(prompt, question=question, context=None, choices=None)
    made = []
    for index, part in enumerate(parts):
        history = summaries[index - 1] if index else None
        last = index == len(parts) - 1
        given = "" if history is None else catalog.render("infty-history", summary=history, tag=tags[0])
        thought = f"<{tags[1]}>\n{part}\n</{tags[1]}>" if tags[1] else part
        ending = conclusion if last else f"<{tags[2]}>\n{summaries[index]}\n</{tags[2]}>"
        content = f"{given}{thought}\n\n{ending}"
        made.append(
            {
                "id": f"{case}/{index + 1}",
                "case": case,
                "round": index + 1,
                "rounds": len(parts),
                "question": question,
                "history": history,
                "segment": part,
                "summary": None if last else summaries[index],
                "conclusion": conclusion if last else None,
                "messages": [{"role": "user", "content": user}, {"role": "assistant", "content": content}],
                "loss_spans": [[len(given), len(content)]],
            }
        )
    return made


def tally(cases: Mapping[str, int], histogram: Mapping[int, int]) -> dict[str, Any]:
    """Counts beside the paper's, which made 333 K rows of 220 K cases with segments of 4 K tokens.

    `cases` counts what became of each (`kept`, or why it was dropped); `histogram` the kept ones by their rounds.
    """
    kept, made = cases.get("kept", 0), sum(rounds * n for rounds, n in histogram.items())
    return {
        "cases": sum(cases.values()),
        "kept": kept,
        "dropped": {reason: n for reason, n in sorted(cases.items()) if reason != "kept"},
        "rows": made,
        "rows_per_case": round(made / kept, 4) if kept else None,
        "rows_per_case_in_the_paper": round(333 / 220, 4),
        "cases_by_rounds": {str(rounds): n for rounds, n in sorted(histogram.items())},
    }
