"""`tts show`: what a run did, problem by problem."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from tts import console
from tts.errors import InputError


def show(
    run: Annotated[Path, typer.Argument(help="A run directory.", metavar="RUN")],
    problem: Annotated[str | None, typer.Argument(help="A problem's id.", metavar="ID")] = None,
    rounds: Annotated[
        bool, typer.Option("--rounds", help="Rounds: of all problems together, or the texts of one.")
    ] = False,
    tree: Annotated[bool, typer.Option("--tree", help="The search of one problem, step by step.")] = False,
    wrong: Annotated[bool, typer.Option("--wrong", help="Only problems answered wrongly.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Records as JSON.")] = False,
) -> None:
    """List a run's problems, or show one with all its candidates, or the tree of its search."""
    from tts.store import read_records

    records = read_records(run)
    if problem is None and rounds:
        return _by_round(run, json)
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
        _tree(record) if tree else _detail(record, texts=rounds)
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
        ((*_row(r), console.clipped(r["question"], 60)) for r in records),
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


def _detail(record: dict[str, Any], *, texts: bool) -> None:
    console.say(record["question"])
    console.say("")
    console.table(None, ("id", "status", "answer", "target", "correct", "samples", "agree", "tokens"), [_row(record)])
    if record["error"]:
        console.say(f"\nerror: {record['error']}")
    if record["solution"].get("rounds"):
        _rounds(record["solution"], texts=texts)
    for index, candidate in enumerate(record["solution"]["candidates"]):
        scores = "".join(f", {name} {_number(score)}" for name, score in candidate["scores"].items())
        logprob = "" if candidate["logprob_mean"] is None else f", logprob {candidate['logprob_mean']:.3f}"
        console.say(
            f"\n── sample {index}: answer {candidate['answer'] or 'none'}, {_verdict(candidate['correct'])}, "
            f"{candidate['finish']}, {candidate['generated_tokens']} tokens{logprob}{scores}"
        )
        console.say(candidate["text"].strip())


def _by_round(run: Path, as_json: bool) -> None:
    """How far chains of rounds went, and the accuracy if they had stopped earlier."""
    from tts.report.rounds import by_round_table
    from tts.sawtooth import by_round
    from tts.store import read_records

    rows = by_round(read_records(run))
    if not rows:
        raise InputError(f"{run} has no rounds", "infty-think makes them")
    if as_json:
        return console.say_json([asdict(row) for row in rows])
    table = by_round_table(rows)
    return console.table(None, table.columns, table.rows)


def _rounds(solution: dict[str, Any], *, texts: bool) -> None:
    """A table of a chain-of-rounds solution: the bars are the sawtooth of its context."""
    from tts.report.sections import memory

    rounds = solution["rounds"]
    widest = max(r["context"] for r in rounds)
    rows = (
        (
            *(r["chain"], r["round"], r["finish"], r["prompt_tokens"], r["tokens"], r["context"]),
            "█" * max(1, round(24 * r["context"] / widest)),
            f"{r['seconds']:.2f}",
            *(r["answer"], None if r["answer"] is None else _verdict(r["correct"])),
        )
        for r in rounds
    )
    columns = ("chain", "round", "ends with", "prompt", "tokens", "context", "", "seconds", "answer", "correct")
    console.say(f"\nrounds ({solution['mode']}):")
    console.table(None, columns, rows)
    for c in solution["chains"]:
        one = c["one_chain"]
        kv = "" if c["kv_bytes"] is None else f", cache {memory(c['kv_bytes'])} (one chain: {memory(one['kv_bytes'])})"
        console.say(
            f"chain {c['chain']}: {c['finish']}, peak context {c['peak_context']:,} "
            f"(one chain: {one['peak_context']:,}), "
            f"Σ tokens {c['tokens']:,} ({one['tokens']:,}), Σ context² {c['context_squared']:,} "
            f"({one['context_squared']:,}){kv}"
        )
    for r in rounds if texts else ():
        console.say(f"\n── chain {r['chain']}, round {r['round']}: {r['finish']}")
        console.say(r["text"].strip())


def _number(score: Any) -> str:
    return " ".join(f"{s:.3f}" for s in score) if isinstance(score, list) else f"{score:.3f}"


def _verdict(correct: bool | None) -> str:
    return {True: "yes", False: "no", None: "unscored"}[correct]
