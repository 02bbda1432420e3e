"""A run's configuration: defaults, then the configuration file, then the command line; checked before any engine."""

from __future__ import annotations

import json
import tomllib
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from tts import catalog
from tts.benchmarks import Benchmark, Columns
from tts.errors import InputError
from tts.selection import SCORERS
from tts.strategies import STRATEGIES, VOTING
from tts.strategies.declared import Declared, declared
from tts.types import Budget, Sampling, Strategy
from tts.verify import cards
from tts.verify.cards import Card

DEFAULT_MAX_TOKENS = 2048
DEFAULT_MODEL = {"vllm": "nano", "scripted": "scripted"}
"""What an engine runs when no -m is given; a server runs what it serves."""
EngineName = Literal["vllm", "server", "scripted"]


class Settings(BaseModel):
    """Every option of `run` and `eval`, by its long name with underscores."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)

    benchmarks: tuple[str, ...] = ()
    model: str | None = None
    strategy: str = "self-consistency"
    n: int | None = Field(None, ge=1, le=1_000_000)
    option: dict[str, Any] = {}
    verifier: str | None = None
    verifier_model: str | None = None
    verifier_url: str | None = None
    prompt: str | None = None
    temperature: float | None = Field(None, ge=0)
    top_p: float | None = Field(None, gt=0, le=1)
    top_k: int | None = Field(None, ge=-1)
    min_p: float | None = Field(None, ge=0, le=1)
    max_tokens: int | None = Field(None, ge=1)
    logprobs: bool = True
    budget_tokens: int | None = Field(None, ge=1)
    budget_seconds: float | None = Field(None, gt=0)
    budget_calls: int | None = Field(None, ge=1)
    budget_flops: float | None = Field(None, gt=0)
    total_seconds: float | None = Field(None, gt=0)
    total_tokens: int | None = Field(None, ge=1)
    against_uniform: bool = False
    seed: int = 0
    concurrency: int | None = Field(None, ge=1)
    engine: EngineName = "vllm"
    base_url: tuple[str, ...] = ()
    engine_arg: dict[str, Any] = {}
    template_arg: dict[str, Any] = {}
    limit: str | None = None
    repeats: int = Field(1, ge=1)
    output: Path | None = None
    resume: bool = False
    reuse: tuple[Path, ...] = ()
    permute: Literal["per-record", "per-attempt"] | None = None
    question_field: str | None = None
    target_field: str | None = None
    context_field: str | None = None
    id_field: str | None = None
    csv: str | None = None

    @field_validator("benchmarks", "base_url", "reuse", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        """A configuration file may give one where several may stand."""
        return (value,) if isinstance(value, str) else value

    @property
    def budget(self) -> Budget:
        return Budget(self.budget_tokens, self.budget_seconds, self.budget_calls, self.budget_flops)

    @property
    def columns(self) -> Columns:
        return Columns(self.question_field, self.target_field, self.context_field)

    def sampling(self, strategy: Strategy, benchmark: Benchmark | None = None) -> Sampling:
        """The sampling asked for, with what the strategy needs to know of each token.

        The benchmark's card says how long an answer may be unless the user does.
        """
        longest = self.max_tokens or (benchmark.max_tokens if benchmark else None) or DEFAULT_MAX_TOKENS
        told = 0 if self.logprobs else None
        asked = Sampling(self.temperature, self.top_p, self.top_k, self.min_p, longest, top_logprobs=told)
        shaped = declared(strategy).sampling(asked, self.verifier)
        card = load_verifier(self)[0] if self.verifier else None
        return card.sampling(shaped) if isinstance(card, cards.ConfidenceCard) else shaped


def resolve(given: Mapping[str, Any], config: Path | None) -> Settings:
    """Merge and validate. `given` holds what the command line said, None for what it did not.

    Raises:
        InputError: an unknown key, a value out of range, or a combination that cannot work.
    """
    file = _read_config(config) if config else {}
    file, given = _one_n(file), _one_n(given)
    if given.get("n") is not None:
        file = {**file, "option": {k: v for k, v in pairs(file.get("option", {}), "option").items() if k != "n"}}
    merged = {**file, **{name: value for name, value in given.items() if value not in (None, ())}}
    for name in ("option", "engine_arg", "template_arg"):
        merged[name] = {**pairs(file.get(name, {}), name), **pairs(given.get(name) or (), name)}
    try:
        settings = Settings.model_validate(merged)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        spelled = name.replace("_", "-")
        if first["type"] == "extra_forbidden":
            raise InputError(
                f"{config}: no option is called {spelled!r}", catalog.nearest(name, Settings.model_fields)
            ) from error
        option = f"-{spelled}" if len(spelled) == 1 else f"--{spelled}"
        message = first["msg"][0].lower() + first["msg"][1:]
        raise InputError(f"{option} {first['input']}: {message}", "`tts eval --help` says what it takes") from error
    _check_combinations(settings)
    return settings


def _one_n(source: Mapping[str, Any]) -> dict[str, Any]:
    """`-o n=` is `-n`.

    Raises:
        InputError: both were given, and differ.
    """
    option = pairs(source.get("option") or (), "option")
    if "n" not in option:
        return dict(source)
    n, said = option.pop("n"), source.get("n")
    if said not in (None, n):
        raise InputError(f"-n {said} and -o n={n} differ", "give one of them")
    return {**source, "n": n, "option": option}


def _check_combinations(settings: Settings) -> None:
    if settings.engine == "server" and not settings.base_url:
        raise InputError(
            "--engine server needs --base-url", "for `vllm serve` on this machine: http://127.0.0.1:8000/v1"
        )
    if settings.engine != "server" and settings.base_url:
        raise InputError("--base-url is for --engine server", "add --engine server")
    strategy = build_strategy(settings)
    said = declared(strategy)
    if settings.verifier and not said.takes_verifier:
        raise InputError(
            f"strategy {settings.strategy!r} uses no verifier",
            "best-of-n, self-consistency, infty-think, searches do",
        )
    for option in ("verifier_model", "verifier_url"):
        if getattr(settings, option) is not None and not settings.verifier:
            raise InputError(f"--{option.replace('_', '-')} needs --verifier NAME", "`tts list verifiers` shows them")
    said.check(settings.verifier)
    if settings.verifier:
        check_verifier(settings, strategy)
    elif said.needs_verifier:
        raise InputError(f"strategy {settings.strategy!r} goes by a verifier's scores", "--verifier NAME")
    if not settings.logprobs:
        _check_no_logprobs(settings, said)
    if settings.against_uniform and not settings.total_tokens:
        raise InputError("--against-uniform compares two ways of spending --total-tokens", "--total-tokens T")
    if settings.total_tokens and settings.strategy not in VOTING:
        raise InputError(
            f"--total-tokens gives out samples one by one: strategy {settings.strategy!r} does not vote",
            "-s " + " or ".join(VOTING),
        )
    if settings.total_tokens and said.aborts:
        raise InputError("--total-tokens decides by itself when a problem has enough", "without -o stop=")
    if settings.total_tokens and settings.verifier:
        card, _ = load_verifier(settings)
        if card.compares:
            raise InputError(
                f"--total-tokens gives out samples one by one: {settings.verifier!r} compares all at the end",
                "a judge of single responses: --verifier judge-score",
            )
    if settings.temperature == 0 and said.n > 1:
        raise InputError(f"at temperature 0 all {said.n} samples would be the same", "-n 1, or a temperature above 0")


def _check_no_logprobs(settings: Settings, said: Declared) -> None:
    """Raises InputError where the verifier or the strategy goes by log-probabilities."""
    if settings.verifier and load_verifier(settings)[0].needs_logprobs:
        raise InputError(
            f"verifier {settings.verifier!r} goes by log-probabilities, and --no-logprobs asks for none",
            "leave --no-logprobs out, or another --verifier",
        )
    if said.sampling(Sampling(top_logprobs=None), settings.verifier).top_logprobs is not None:
        select = said.selector(settings.verifier)
        how = f" with select={select}" if select in SCORERS else ""
        raise InputError(
            f"strategy {settings.strategy!r}{how} goes by log-probabilities, and --no-logprobs asks for none",
            "leave --no-logprobs out" + (", or choose by votes (-o select=majority) or a verifier" if how else ""),
        )


def check_verifier(settings: Settings, strategy: Strategy) -> None:
    """What can be known about a verifier before any model loads.

    Raises:
        InputError: there is none by that name, its model or prompt is missing, or the strategy cannot use its kind.
    """
    card, _ = load_verifier(settings)
    said = declared(strategy)
    if isinstance(card, cards.ConfidenceCard) and card.grouped and said.piecewise:
        raise InputError(
            f"strategy {settings.strategy!r} writes a response piece by piece; {settings.verifier!r} is of a whole one",
            "--verifier logprob-mean, perplexity, self-certainty or entropy",
        )
    if isinstance(card, cards.JudgeCard):
        catalog.find("prompts", card.prompt)
        if card.compares and not said.scores_together:
            raise InputError(
                f"strategy {settings.strategy!r} scores one response at a time; {settings.verifier!r} compares several",
                "best-of-n and self-consistency take it",
            )
    model = cards.model_of(card)
    if model is not None and model.startswith((".", "/", "~")) and not settings.verifier_url:
        folder = Path(model).expanduser()
        if not (folder / "config.json").is_file():
            raise InputError(
                f"verifier {settings.verifier!r}: {model} is no model folder (no config.json in it)",
                "--verifier-model takes a folder or a hub id",
            )
    if isinstance(card, cards.RewardCard) and settings.engine == "scripted" and settings.verifier_url is None:
        import importlib.util

        if importlib.util.find_spec("vllm") is None:
            raise InputError(
                f"verifier {settings.verifier!r} is a model and vLLM is not installed",
                "--verifier scripted rehearses without; --verifier-url reaches a server",
            )


def load_verifier(settings: Settings) -> tuple[Card, str]:
    """The verifier's card with the model that was asked for in place of its own, and the card's hash.

    Raises:
        CatalogError: there is none by that name, or it is a checker's, which needs the target.
        InputError: it has no model that another could stand in for, or that a URL could lead to.
    """
    assert settings.verifier is not None
    card, sha256 = cards.load(settings.verifier)
    if isinstance(card, cards.RewardCard | cards.JudgeCard):
        return card.model_copy(update={"model": settings.verifier_model or card.model}), sha256
    for option in ("verifier_model", "verifier_url"):
        if getattr(settings, option) is not None:
            raise InputError(
                f"verifier {settings.verifier!r} has no model: --{option.replace('_', '-')} does not fit",
                "leave it out",
            )
    return card, sha256


def build_strategy(settings: Settings) -> Strategy:
    """The strategy with its options.

    Raises:
        InputError: an unknown strategy or option, with the nearest name; a value that does not fit.
    """
    options = dict(settings.option)
    if settings.n is not None:
        options["n"] = settings.n
    return _built(settings.strategy, options)


def may_abort(settings: Settings) -> bool:
    """Whether calls may be cut in mid-flight, so that an engine should hand over replies as they grow."""
    deadline = settings.budget.seconds or settings.total_seconds
    return bool(deadline or declared(build_strategy(settings)).aborts)


def _built(name: str, options: dict[str, Any]) -> Strategy:
    """A strategy by name. One that wraps another passes on the options it does not know."""
    cls: Any = STRATEGIES.get(name)
    if cls is None:
        raise InputError(f"no strategy is called {name!r}", catalog.nearest(name, STRATEGIES))
    known = {f.name: f for f in fields(cls)}
    annotations = typing.get_type_hints(cls)
    values = {}
    if wrapped := getattr(cls, "wraps", None):
        inner = str(options.pop(wrapped, "single"))
        if inner == name:
            raise InputError(f"-o {wrapped}={inner}: a strategy cannot wrap itself", f"-o {wrapped}=self-consistency")
        passed = {key: options.pop(key) for key in list(options) if key not in known}
        values[wrapped] = _built(inner, passed)
    for key, value in options.items():
        if key == "n" and key not in known:
            if value != 1:
                raise InputError(f"strategy {name!r} draws one sample: it has no n", "leave -n out, or --repeats R")
        elif key not in known:
            raise InputError(f"strategy {name!r} has no option {key!r}", catalog.nearest(key, known))
        else:
            values[key] = _typed(f"-o {key}={value}", annotations[key], value, known[key].metadata)
    strategy: Strategy = cls(**values)
    return strategy


def _typed(where: str, annotation: Any, value: Any, limits: Mapping[str, Any]) -> Any:
    try:
        typed = TypeAdapter(annotation).validate_python(value)
    except ValidationError as error:
        raise InputError(
            f"{where}: {error.errors()[0]['msg'].lower()}", "`tts list strategies` says what each option takes"
        ) from error
    least, most = limits.get("min"), limits.get("max")
    if least is not None and typed < least:
        raise InputError(f"{where}: must be at least {least}", f"{where.partition('=')[0]}={least}")
    if most is not None and typed > most:
        raise InputError(f"{where}: must be at most {most}", f"{where.partition('=')[0]}={most}")
    return typed


def strategy_options(cls: Any) -> list[tuple[str, str, str, str]]:
    """(name, type, default, help) of each option of a strategy class, for `tts list strategies`."""
    annotations = typing.get_type_hints(cls)
    return [
        (
            f.name,
            _type_name(annotations[f.name]),
            _default(f.default),
            f.metadata.get("help", ""),
        )
        for f in fields(cls)
    ]


def _default(value: Any) -> str:
    """A default as one would type it: a strategy by its name."""
    if value is MISSING:
        return "required"
    return next((name for name, cls in STRATEGIES.items() if cls is type(value)), str(value))


def _type_name(annotation: Any) -> str:
    if typing.get_origin(annotation) is Literal:
        return " | ".join(map(str, typing.get_args(annotation)))
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return " | ".join(_type_name(a) for a in typing.get_args(annotation) if a is not types.NoneType)
    return getattr(annotation, "__name__", str(annotation))


def pairs(given: Mapping[str, Any] | Iterable[str], name: str) -> dict[str, Any]:
    """`key=value` strings as a dict; a value is JSON where it reads as JSON, text otherwise."""
    if isinstance(given, Mapping):
        return dict(given)
    pairs: dict[str, Any] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise InputError(f"{text!r}: key=value is expected", f"for --{name.replace('_', '-')}")
        key = key.replace("-", "_")
        try:
            read = json.loads(value)
        except ValueError:
            read = value
        if pairs.setdefault(key, read) != read:
            raise InputError(f"{key} is given twice: {pairs[key]} and {read}", "give one of them")
    return pairs


def _read_config(path: Path) -> dict[str, Any]:
    """A TOML file of options, or the manifest.json of an earlier run."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        data = json.loads(text).get("config", {}) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise InputError(
            f"cannot read --config {path}: {error.strerror}", "a TOML file, or a run's manifest.json"
        ) from error
    except (tomllib.TOMLDecodeError, json.JSONDecodeError, UnicodeDecodeError, AttributeError) as error:
        raise InputError(
            f"--config {path}: {error}", "a TOML file of long option names, or a run's manifest.json"
        ) from error
    return {name.replace("-", "_"): value for name, value in data.items()}


def as_config(settings: Settings) -> dict[str, Any]:
    """The settings as plain values, defaults left out: what the manifest records and `--config` reads back."""
    return settings.model_dump(mode="json", exclude_defaults=True, exclude={"resume", "output", "csv"})


def strategy_record(strategy: Strategy) -> dict[str, Any]:
    """Every option of a strategy with its value; a strategy inside it by its name and options."""
    record: dict[str, Any] = asdict(strategy)  # type: ignore[call-overload]
    if wrapped := getattr(strategy, "wraps", None):
        inner = getattr(strategy, wrapped)
        name = next(name for name, cls in STRATEGIES.items() if cls is type(inner))
        record[wrapped] = {"name": name, **strategy_record(inner)}
    return record
