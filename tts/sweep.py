"""A grid of runs from one TOML file: models × strategies × n × temperatures × benchmarks.

Every key is an option of `tts eval` by its long name; a list is an axis of the grid (`option` is a table, and a list in
it is one too). `[[grid]]` blocks are grids of their own over the keys before them, for strategies whose options differ.
"""

from __future__ import annotations

import itertools
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tts.errors import InputError
from tts.settings import Settings, build_strategy, may_abort, resolve
from tts.strategies.declared import declared

LISTS = ("base_url", "reuse")
"""Options that are lists by themselves, and so are no axes."""
UNFIT = ("output", "resume", "csv", "reuse")
"""What the sweep sees to."""


@dataclass(frozen=True)
class Cell:
    """One run of a sweep: a name for its folder, its settings, and the one benchmark that it solves."""

    name: str
    settings: Settings

    @property
    def benchmark(self) -> str:
        return self.settings.benchmarks[0]

    @property
    def load(self) -> tuple[str, ...]:
        """What an engine load depends on: cells that agree in it share one."""
        s = self.settings
        verifier = (s.verifier, s.verifier_model, s.verifier_url)
        aborts = s.engine == "server" and may_abort(s)
        return tuple(map(repr, (s.engine, s.model, s.base_url, s.engine_arg, s.template_arg, *verifier, aborts)))


def read(path: Path) -> list[Cell]:
    """The runs of a sweep file, in the order they should be made: one engine load after another, in each those with
    log-probabilities and the largest n first, whose samples serve the others.

    Raises:
        InputError: not TOML, an unknown option, a value out of range, a combination that cannot work, or no benchmark;
            the message names the block.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}", "a TOML file: evals/recipes/ has some") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: {error}", "a TOML file: evals/recipes/ has some") from error
    blocks = data.pop("grid", [{}])
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        raise InputError(f"{path}: grid is written [[grid]], a block for each", "docs/sweeps.md has an example")
    points: list[dict[str, Any]] = []
    for number, block in enumerate(blocks, 1):
        option = {**data.get("option", {}), **block.get("option", {})}
        for point in _points({**data, **block, "option": option}):
            _check(point, f"{path}, grid {number}")
            if point not in points:
                points.append(point)
    names = _names(points)
    settings = [_settings(point, path) for point in points]
    cells = [Cell(name, s) for name, s in zip(names, settings, strict=True)]
    loads = list(dict.fromkeys(cell.load for cell in cells))

    def order(cell: Cell) -> tuple[int, bool, int]:
        return loads.index(cell.load), not cell.settings.logprobs, -declared(build_strategy(cell.settings)).n

    return sorted(cells, key=order)


def _points(block: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Every combination of a block's axes."""
    flat = {k.replace("-", "_"): v for k, v in block.items() if k != "option"}
    flat |= {f"option.{k.replace('-', '_')}": v for k, v in block.get("option", {}).items()}
    axes = {k: v for k, v in flat.items() if isinstance(v, list) and k not in LISTS}
    for values in itertools.product(*axes.values()):
        yield {**flat, **dict(zip(axes, values, strict=True))}


def _check(point: Mapping[str, Any], where: str) -> None:
    for name in UNFIT:
        if name in point:
            raise InputError(f"{where}: {name} is the sweep's own affair", "`tts sweep FILE --output DIR`")
    if not point.get("benchmarks"):
        raise InputError(f"{where}: no benchmark", 'benchmarks = ["gsm8k"]')


def _settings(point: Mapping[str, Any], path: Path) -> Settings:
    option = {k.removeprefix("option."): v for k, v in point.items() if k.startswith("option.")}
    given = {k: v for k, v in point.items() if not k.startswith("option.")}
    known = {k: v for k, v in given.items() if k in Settings.model_fields}
    if unknown := sorted(set(given) - set(known)):
        from tts.catalog import nearest

        raise InputError(f"{path}: no option is called {unknown[0]!r}", nearest(unknown[0], Settings.model_fields))
    try:
        return resolve({**known, "option": option}, None)
    except InputError as error:
        said = ", ".join(f"{k.removeprefix('option.')}={v}" for k, v in point.items())
        raise InputError(f"{path}: {error.message} (in {said})", error.hint) from error


def _names(points: list[dict[str, Any]]) -> list[str]:
    """A folder name for each point, of what it does not share with all others."""
    keys = list(dict.fromkeys(k for point in points for k in point))
    varied = [k for k in keys if len({repr(p.get(k)) for p in points}) > 1] or ["benchmarks"]
    names = ["-".join(_slug(k, p[k]) for k in varied if k in p) for p in points]
    return [f"{name}-{i}" if names.count(name) > 1 else name for i, name in enumerate(names, 1)]


def _slug(key: str, value: Any) -> str:
    """`t0.8` for a temperature, `n16`, the last part of a path; the value alone where its kind is plain to see."""
    text = Path(str(value)).name if key in ("model", "benchmarks") else str(value)
    plain = key in ("model", "benchmarks", "strategy", "verifier", "prompt")
    label = "" if plain else {"n": "n", "temperature": "t"}.get(key, key.removeprefix("option.") + "=")
    return re.sub(r"[^\w.=+-]+", "_", label + text)
