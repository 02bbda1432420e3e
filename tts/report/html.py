"""One page that works offline: the plots, a table of problems with filters, and a reader of samples.

Each record is packed by itself (`tts.report.packing`) and unpacked by the browser when somebody opens it, so that a
page of many samples opens at once. Mathematics is set by KaTeX, inlined with its fonts. Text of models reaches the page
as text only.
"""

from __future__ import annotations

import base64
import json
import os
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from html import escape
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import IO, Any

from tts.report.build import Wanted, compute, everything
from tts.report.curves import Result, read_result
from tts.report.packing import codes, dictionary, pack
from tts.report.questions import read_questions
from tts.report.summary import summary
from tts.store import read_records
from tts.writing import whole

LOOK = 4_000_000
"""Characters of a run from which the page's dictionary is made, at most twice as many."""


def write_html(paths: Sequence[Path], path: Path, wanted: Wanted | None = None, keep: int | None = None) -> int:
    """Write the page, with every analysis that the runs allow, and return its size in bytes. `keep`: samples a problem
    in the reader (None: all); the page says how many it leaves out.

    Raises:
        RunDirectoryError: a run that is missing or damaged.
        InputError: nothing scored, or the file cannot be written.
    """
    wanted, results = wanted or Wanted(), [read_result(p) for p in paths]
    sections = [summary(results), *compute(results, wanted)[0]]
    for result in results:
        sections += everything(result, read_questions(result.path), wanted.bins)
    words = _words(results, keep)
    with whole(path) as page, tempfile.TemporaryFile("w+", encoding="utf-8", newline="") as packed:
        runs = [_pack(result, i, keep, codes(words), packed) for i, result in enumerate(results)]
        packed.seek(0)
        data = {"sections": [asdict(s) for s in sections], "runs": runs, "words": words}
        _fill(page, data, _title(results), packed)
        page.flush()
        return os.fstat(page.fileno()).st_size


def _title(results: Sequence[Result]) -> str:
    return "tts: " + ", ".join(dict.fromkeys(result.benchmark for result in results))


def _words(results: Sequence[Result], keep: int | None) -> list[str]:
    """The dictionary of the page, from about `LOOK` characters of each run, evenly over it."""

    def looked_at() -> Iterator[dict[str, Any]]:
        for result in results:
            stride = 1 + (result.path / "records.jsonl").stat().st_size // LOOK
            yield from (_shown(r, keep) for r in islice(read_records(result.path), 0, None, stride))

    return dictionary(looked_at())


def _pack(result: Result, index: int, keep: int | None, coded: Mapping[str, str], packed: IO[str]) -> dict[str, Any]:
    """Write a run's records, packed, and return the rows of its table."""
    rows = []
    for at, record in enumerate(read_records(result.path)):
        rows.append({"at": at, **_row(record)})
        packed.write(f'<script type="text/plain" id="b{index}-{at}">{pack(_shown(record, keep), coded)}</script>\n')
    return {"name": str(result.path), "problems": rows}


def _shown(record: dict[str, Any], keep: int | None) -> dict[str, Any]:
    """A record as the reader shows it: the first `keep` samples, numbers of six digits."""
    solution = record["solution"]
    candidates = [
        {
            **{k: v for k, v in c.items() if k != "seed"},
            "scores": {name: _brief(score) for name, score in (c["scores"] or {}).items()},
            "logprob_mean": _brief(c["logprob_mean"]),
        }
        for c in solution["candidates"][:keep]
    ]
    left = len(solution["candidates"]) - len(candidates)
    return {**record, "solution": {**solution, "candidates": candidates}, **({"left_out": left} if left else {})}


def _brief(value: Any) -> Any:
    if isinstance(value, list):
        return [_brief(x) for x in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _row(record: Mapping[str, Any]) -> dict[str, Any]:
    candidates, metadata = record["solution"]["candidates"], record.get("metadata") or {}
    votes = Counter(c["class"] for c in candidates if c["class"] >= 0)
    n = len(candidates)
    return {
        "id": record["problem_id"] + (f"#{record['attempt']}" if record["attempt"] else ""),
        "correct": record["grade"]["correct"],
        "answer": record["solution"]["answer"],
        "target": record["grade"]["target"],
        "pass1": sum(c["correct"] is True for c in candidates) / n if n else None,
        "share": max(votes.values(), default=0) / n if n else None,
        "truncated": sum(c["finish"] == "length" for c in candidates),
        "tokens": record["usage"]["generated_tokens"],
        "level": metadata.get("level"),
        "status": record["grade"]["status"] if record["status"] == "ok" else record["status"],
        "question": " ".join(record["question"].split())[:160],
    }


def _fill(page: IO[str], data: Mapping[str, Any], title: str, packed: IO[str]) -> None:
    # A closing tag inside a script would end it: in JSON every < can be written as an escape.
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    parts = {
        "TITLE": escape(title),
        "STYLE": _asset("report.css") + _katex_style(),
        "DATA": text,
        "KATEX": _asset("katex/katex.min.js"),
        "SCRIPT": _asset("report.js"),
    }
    for piece in re.split(r"@([A-Z]+)@", _asset("report.html")):
        if piece == "BLOBS":
            for chunk in iter(lambda: packed.read(1 << 20), ""):
                page.write(chunk)
        else:
            page.write(parts.get(piece, piece))


def _asset(name: str) -> str:
    return files("tts.report").joinpath("assets", *name.split("/")).read_text(encoding="utf-8")


def _katex_style() -> str:
    """KaTeX's style with its fonts inside; the older font formats are left out."""
    folder = files("tts.report").joinpath("assets", "katex", "fonts")

    def embedded(match: re.Match[str]) -> str:
        data = base64.b64encode(folder.joinpath(f"{match[1]}.woff2").read_bytes()).decode()
        return f'src:url(data:font/woff2;base64,{data}) format("woff2")'

    return re.sub(r"src:url\(fonts/([\w-]+)\.woff2\)[^;}]*", embedded, _asset("katex/katex.min.css"))
