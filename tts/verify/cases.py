"""The catalog of cases: pairs with the verdict they must get and the reason, read from TSV files and run."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tts.errors import DataError
from tts.types import Checker
from tts.verify.pair import read_pair
from tts.verify.pool import CheckerPool

EXPECTED: dict[str, bool | None] = {"true": True, "false": False, "unscored": None}
_OTHER = r"\text{quite another answer}"
_COLUMNS = ("answer", "target", "expected", "source")


@dataclass(frozen=True, slots=True)
class Case:
    """A pair, its right verdict, where it comes from or why it is so; `place` is file:line."""

    answer: str
    target: str
    expected: bool | None
    source: str
    place: str


@dataclass(frozen=True, slots=True)
class Failure:
    """A pair that did not get the verdict it must."""

    place: str
    answer: str
    target: str
    expected: bool | None
    correct: bool | None
    status: str


def read_cases(path: Path) -> Iterator[Case]:
    """The cases of a TSV file: answer, target, expected (true, false, unscored), source.

    No quoting, so that LaTeX stands as it is. Lines that begin with "# " and a header line are skipped.

    Raises:
        DataError: missing, not UTF-8, another number of columns, an unknown verdict; with the line number.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            for number, row in enumerate(rows, 1):
                if not row or row[0].startswith("# ") or tuple(row) == _COLUMNS:
                    continue
                place = f"{path}:{number}"
                if len(row) != len(_COLUMNS):
                    raise DataError(
                        f"{place}: {len(row)} column{'s' * (len(row) != 1)}, not 4",
                        "answer, target, expected and source, with tabs between them",
                    )
                answer, target, expected, source = row
                if expected not in EXPECTED:
                    raise DataError(f"{place}: expected is {expected!r}", "it is true, false or unscored")
                yield Case(answer, target, EXPECTED[expected], source, place)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not UTF-8 text: {error.reason} at byte {error.start}", "iconv -t utf-8 converts it"
        ) from error
    except csv.Error as error:
        raise DataError(f"{path}: {error}", "answer, target and what is expected, with tabs between them") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}", "a .tsv file that you may read") from error


async def run_case(pool: CheckerPool, case: Case) -> Failure | None:
    """The failure of a case; None if the checker says what it must."""
    got = await pool.grade(*read_pair(case.answer, case.target))
    if got.correct is case.expected:
        return None
    return Failure(case.place, case.answer, case.target, case.expected, got.correct, got.status)


async def accepts_itself(pool: CheckerPool, place: str, target: str, checker: Checker | None = None) -> Failure | None:
    """The failure of a target that its checker (the symbolic one unless another is given) does not accept from a model
    that is right; None if all is well.

    Three things are asked: the target itself is correct, so it is in a box within a response, and another answer is
    wrong rather than unscored.
    """
    boxed = f"So the answer is $\\boxed{{{target}}}$."
    for answer, expected in ((target, True), (boxed, True), (_OTHER, False)):
        got = await pool.grade(*(read_pair(answer, target) if answer is boxed else (answer, target)), checker)
        if got.correct is not expected:
            return Failure(place, answer, target, expected, got.correct, got.status)
    return None
