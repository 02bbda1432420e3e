"""`tts list`: what there is, with what each is for."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from tts import catalog, console
from tts.errors import InputError

VERIFIER_COLUMNS = ("name", "kind", "head", "model", "aggregation", "license", "description")


def list_(
    kind: Annotated[
        Literal["strategies", "benchmarks", "verifiers", "prompts"],
        typer.Argument(help="strategies, benchmarks, verifiers or prompts."),
    ],
    name: Annotated[
        str | None, typer.Argument(help="A strategy or a benchmark: all there is to say of it.", metavar="NAME")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """List strategies with their options, benchmarks, verifiers or prompts."""
    if name is not None:
        return _card(kind, name, json)
    content = {
        "strategies": _strategies,
        "benchmarks": _benchmarks,
        "verifiers": _verifiers,
        "prompts": _prompts,
    }[kind]()
    if json:
        console.say_json(content)
    elif kind == "strategies":
        for entry in content:
            console.say(f"{entry['name']}: {entry['description']}")
            _options(entry)
    else:
        columns = tuple(content[0]) if content else ("name",)
        console.table(None, columns, (tuple(entry.values()) for entry in content))
    return None


def _card(kind: str, name: str, as_json: bool) -> None:
    if kind == "strategies":
        return _strategy(name, as_json)
    if kind != "benchmarks":
        raise InputError(f"{kind} have no page of their own", f"tts list {kind} says all there is")
    from tts.benchmarks import Card

    card, source = catalog.load("evals", name, Card)
    content = {"name": card.name, "card": str(source.path), **card.model_dump(exclude_defaults=True)}
    if as_json:
        return console.say_json(content)
    return console.table(None, ("field", "value"), ((k, _shown(v)) for k, v in content.items()))


def _strategy(name: str, as_json: bool) -> None:
    from inspect import cleandoc

    from tts.strategies import STRATEGIES

    if name not in STRATEGIES:
        raise InputError(f"no strategy is called {name!r}", catalog.nearest(name, STRATEGIES))
    entry = next(e for e in _strategies() if e["name"] == name)
    if as_json:
        return console.say_json(entry)
    console.say(f"{name}: {cleandoc(STRATEGIES[name].__doc__ or '')}\n")
    return _options(entry)


def _options(entry: dict[str, Any]) -> None:
    for option in entry["options"]:
        console.say(f"    -o {option['name']}={option['default']}  ({option['type']}) {option['help']}")


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def _strategies() -> list[dict[str, Any]]:
    from tts.settings import strategy_options
    from tts.strategies import STRATEGIES

    keys = ("name", "type", "default", "help")
    return [
        {
            "name": name,
            "description": _first_paragraph(cls.__doc__),
            "options": [dict(zip(keys, option, strict=True)) for option in strategy_options(cls)],
        }
        for name, cls in STRATEGIES.items()
    ]


def _benchmarks() -> list[dict[str, Any]]:
    from tts.benchmarks import Card

    cards = (catalog.load("evals", name, Card)[0] for name in catalog.names("evals"))
    return [
        {"name": c.name, "size": c.size, "description": c.description, "source": c.source, "license": c.license}
        for c in cards
    ]


def _verifiers() -> list[dict[str, Any]]:
    import tomllib

    from tts.verify import cards

    found: list[dict[str, Any]] = []
    for name in catalog.names("verifiers"):
        raw = tomllib.loads(catalog.find("verifiers", name).text)
        if raw.get("kind") == "checker":
            known = {"name": name, "kind": "checker", "description": raw.get("description", "")}
            found.append(dict.fromkeys(VERIFIER_COLUMNS, "") | known)
            continue
        card, _ = cards.load(name)
        found.append(
            {
                "name": name,
                "kind": card.kind,
                "head": card.head,
                "model": cards.model_of(card) or ("the policy" if card.kind == "judge" else ""),
                "aggregation": getattr(card, "aggregation", "") if card.kind in ("process", "scripted") else "",
                "license": card.license,
                "description": card.description,
            }
        )
    return found


def _prompts() -> list[dict[str, Any]]:
    return [
        {"name": name, "description": _comment(catalog.find("prompts", name).text)} for name in catalog.names("prompts")
    ]


def _comment(template: str) -> str:
    """The comment at the head of a template."""
    head, closed, _ = template.partition("#}")
    return " ".join(head.removeprefix("{#").split()) if closed and head.startswith("{#") else ""


def _first_paragraph(docstring: str | None) -> str:
    return " ".join((docstring or "").split("\n\n")[0].split())
