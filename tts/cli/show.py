"""`tts show`: what a run did, problem by problem."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tts import console
from tts.errors import InputError


def show(
    run: Annotated[Path, typer.Argument(help="A run directory.", metavar="RUN")],
    problem: Annotated[str | None, typer.Argument(help="A problem's id.", metavar="ID")] = None,
    tree: Annotated[bool, typer.Option("--tree", help="The search of one problem, step by step.")] = False,
    wrong: Annotated[bool, typer.Option("--wrong", help="Only problems answered wrongly.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Records as JSON.")] = False,
) -> None:
    """List a run's problems, or show one with all its candidates, or the tree of its search."""
    from tts.store import read_records

    records = read_records(run)
    if tree and problem is None:
        raise InputError("--tree is for one problem", f"tts show {run} lists them")
    if problem is None:
        chosen = (r for r in records if not wrong or r["grade"]["correct"] is False)
        return _list(list(chosen), json)
    found = [r for r in records if r["problem_id"] == problem]
    if not found:
        raise InputError(f"{run} has no problem {problem!r}", f"tts show {run} lists them")
    if json:
        return console.say_json(found[0] if len(found) == 1 else found)
    for record in found:
        _tree(record) if tree else _detail(record)
    return None


def _tree(record: dict[str, Any]) -> None:
    nodes = record["solution"].get("tree")
    if not nodes:
        raise InputError(
            f"problem {record['problem_id']!r} has no tree", "search strategies leave one: tts list strategies"
        )
    steps = sum(node["kind"] != "lookahead" for node in nodes)
    pruned = sum(node["pruned"] is not None for node in nodes)
    console.say(record["question"])
    console.say("")
    answer = record["solution"]["answer"]
    title = f"{steps} steps, {pruned} pruned, {sum(node['tokens'] for node in nodes)} tokens; answer {answer or 'none'}"
    console.tree(title, nodes)


def _list(records: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        return console.say_json(records)
    return console.table(
        None,
        ("id", "status", "answer", "target", "correct", "samples", "agree", "tokens", "question"),
        ((*_row(r), _clipped(r["question"], 60)) for r in records),
    )


def _row(record: dict[str, Any]) -> tuple[Any, ...]:
    candidates, answer = record["solution"]["candidates"], record["solution"]["answer"]
    agree = sum(c["class"] == _class_of(answer, candidates) for c in candidates) if answer is not None else 0
    name = record["problem_id"] + (f"#{record['attempt']}" if record["attempt"] else "")
    status = (
        record["status"] if record["grade"]["status"] == "ok" else f"{record['status']}, {record['grade']['status']}"
    )
    return (
        *(name, status, answer, record["grade"]["target"], _verdict(record["grade"]["correct"])),
        *(len(candidates), agree, record["usage"]["generated_tokens"]),
    )


def _class_of(answer: str, candidates: list[dict[str, Any]]) -> int:
    return next((c["class"] for c in candidates if c["answer"] == answer), -1)


def _detail(record: dict[str, Any]) -> None:
    console.say(record["question"])
    console.say("")
    console.table(None, ("id", "status", "answer", "target", "correct", "samples", "agree", "tokens"), [_row(record)])
    if record["error"]:
        console.say(f"\nerror: {record['error']}")
    for index, candidate in enumerate(record["solution"]["candidates"]):
        scores = "".join(f", {name} {_number(score)}" for name, score in candidate["scores"].items())
        logprob = "" if candidate["logprob_mean"] is None else f", logprob {candidate['logprob_mean']:.3f}"
        console.say(
            f"\n── sample {index}: answer {candidate['answer'] or 'none'}, {_verdict(candidate['correct'])}, "
            f"{candidate['finish']}, {candidate['generated_tokens']} tokens{logprob}{scores}"
        )
        console.say(candidate["text"].strip())


def _number(score: Any) -> str:
    return " ".join(f"{s:.3f}" for s in score) if isinstance(score, list) else f"{score:.3f}"


def _verdict(correct: bool | None) -> str:
    return {True: "yes", False: "no", None: "unscored"}[correct]


def _clipped(text: str, width: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1] + "…"
