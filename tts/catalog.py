"""Cards and templates: found by name or path, validated, hashed.

A name with a slash or a suffix is a path; any other is looked for in `$TTS_HOME/<kind>/`, then among the
built-in ones. Never in the current directory, so that a run does not depend on where it was started.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from tts.errors import CatalogError

if TYPE_CHECKING:
    from pydantic import BaseModel

    CardModel = TypeVar("CardModel", bound=BaseModel)

Kind = Literal["prompts", "verifiers", "evals"]
SUFFIX: dict[Kind, str] = {"prompts": ".j2", "verifiers": ".toml", "evals": ".toml"}


@dataclass(frozen=True, slots=True)
class Source:
    """A catalog entry as found: where, its text and the hash that goes into the manifest."""

    kind: Kind
    name: str
    path: Path
    text: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def nearest(word: str, known: Iterable[str]) -> str | None:
    """A hint naming the closest known word, or the whole list when it is short."""
    known = sorted(known)
    if close := difflib.get_close_matches(word, known, n=1, cutoff=0.5):
        return f"did you mean {close[0]!r}?"
    return f"known: {', '.join(known)}" if known else None


def builtin(kind: Kind) -> Path:
    """The folder of the built-in cards: inside the installed package, or at the top of a checkout."""
    here = Path(__file__).resolve().parent
    packaged = here / "_data" / kind
    return packaged if packaged.is_dir() else here.parent / kind


def folders(kind: Kind) -> list[Path]:
    """Where names are looked up, first match wins."""
    home = os.environ.get("TTS_HOME")
    return [*([Path(home).expanduser() / kind] if home else []), builtin(kind)]


def names(kind: Kind) -> list[str]:
    """Every name `find` knows, user's and built-in."""
    return sorted({p.stem for folder in folders(kind) for p in folder.glob(f"*{SUFFIX[kind]}")})


def exists(kind: Kind, name: str) -> bool:
    """Whether a bare name is in the catalog."""
    return name in names(kind)


@cache
def find(kind: Kind, name: str) -> Source:
    """The entry called `name`, or the file at that path.

    Raises:
        CatalogError: there is none, or it cannot be read.
    """
    candidates = (folder / f"{name}{SUFFIX[kind]}" for folder in folders(kind) if "/" not in name)
    found = next((c for c in candidates if c.is_file()), None)
    if found is not None:  # looked for first: a name may have a dot in it
        path = found
    elif "/" in name or Path(name).suffix in (*SUFFIX.values(), ".txt", ".md"):
        path = Path(name).expanduser()
        if not path.is_file():
            raise CatalogError(f"no such file: {name}", "a path from here, or a name without / and suffix")
    else:
        raise CatalogError(f"no {kind[:-1]} called {name!r}", nearest(name, names(kind)))
    try:
        return Source(kind, path.stem, path, path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogError(f"cannot read {path}: {error}", "a text file in UTF-8 that you may read") from error


def load(kind: Kind, name: str, model: type[CardModel]) -> tuple[CardModel, Source]:
    """A TOML card as a validated model; an unknown key is an error, so that a typo is never ignored.

    Raises:
        CatalogError: missing, not TOML, or not what `model` asks for.
    """
    import pydantic

    source = find(kind, name)
    try:
        data: dict[str, Any] = tomllib.loads(source.text)
        return model.model_validate({"name": source.name, **data}), source
    except tomllib.TOMLDecodeError as error:
        raise CatalogError(f"{source.path}: {error}", "mend the card") from error
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        hint = nearest(where, model.model_fields) if first["type"] == "extra_forbidden" else "mend the card"
        raise CatalogError(f"{source.path}: {where}: {first['msg']}", hint) from error


def render(template: str, /, **values: object) -> str:
    """Fill a prompt template. A variable it needs and does not get is an error, not an empty string.

    Raises:
        CatalogError: no such template, a syntax error in it, or a missing variable.
    """
    import jinja2

    source = find("prompts", template)
    try:
        return str(_template(source).render(**values)).strip()
    except jinja2.TemplateError as error:
        raise CatalogError(f"{source.path}: {error}", "mend the template") from error


@cache
def _template(source: Source) -> Any:
    import jinja2
    from jinja2.sandbox import SandboxedEnvironment

    environment = SandboxedEnvironment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    return environment.from_string(source.text)
