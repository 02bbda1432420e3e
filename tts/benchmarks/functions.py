"""Problems that a user's function yields: `FILE.py:FUNCTION?key=value&…`."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from tts.catalog import nearest
from tts.errors import DataError, InputError


def options_of(query: str | None) -> dict[str, Any]:
    """`size=100&seed=1` as keyword arguments; a value is JSON where it reads as JSON, text otherwise.

    Raises:
        InputError: something that is not key=value.
    """
    try:
        pairs = parse_qsl(query or "", keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        raise InputError(
            f"?{query}: key=value pairs joined by & are expected", "FILE.py:FUNCTION?size=100&seed=1, in quotes"
        ) from None
    return {key.replace("-", "_"): _value(value) for key, value in pairs}


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def call(file: Path, name: str, query: str | None) -> tuple[str, Iterator[tuple[int, Mapping[str, Any]]]]:
    """The revision (a hash of the file and the options) and the numbered rows that the function yields.

    The file is the user's own program, and is run. Rows are dicts with the columns of a problem file.

    Raises:
        InputError: no such file or function, options that it does not take, or an exception in it.
        DataError: it yields something that is not a row.
    """
    options = options_of(query)
    if not file.is_file():
        raise InputError(f"no such file: {file}", "FILE.py:FUNCTION, with the path from here")
    digest = hashlib.sha256(file.read_bytes() + json.dumps(options, sort_keys=True).encode()).hexdigest()
    return digest, _rows(file, name, options)


def _rows(file: Path, name: str, options: Mapping[str, Any]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    try:
        spec = importlib.util.spec_from_file_location(f"tts_user_{file.stem}", file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    except Exception as error:
        raise InputError(
            f"cannot run {file}: {type(error).__name__}: {error}", f"`python {file}` shows where"
        ) from error
    function = getattr(module, name, None)
    if not callable(function):
        known = [n for n, f in vars(module).items() if inspect.isfunction(f) and not n.startswith("_")]
        raise InputError(f"{file} has no function {name!r}", nearest(name, known))
    try:
        inspect.signature(function).bind(**options)
    except TypeError as error:
        raise InputError(f"{file}:{name}: {error}", f"it takes {inspect.signature(function)}") from None
    try:
        rows: Any = function(**options)
        for number, row in enumerate(rows, 1):
            if not isinstance(row, Mapping):
                raise DataError(
                    f"{file}:{name}: row {number} is {type(row).__name__}, a dict is expected",
                    "rows are {'question': …, 'answer': …}",
                )
            yield number, row
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"{file}:{name} failed: {type(error).__name__}: {error}", "call it in Python to see where"
        ) from error
