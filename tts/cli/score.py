"""`tts score`: a verifier's scores for a run's stored candidates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tts import console
from tts.cli import options as o
from tts.cli.driving import drive, engines_for, interruptible
from tts.errors import InputError

if TYPE_CHECKING:
    from tts.settings import Settings
    from tts.types import Problem


def score(
    run: Annotated[Path, typer.Argument(help="A run directory.", metavar="RUN")],
    verifier: o.VerifierName = None,
    verifier_model: o.VerifierModel = None,
    verifier_url: o.VerifierUrl = None,
    engine_arg: o.EngineArg = None,
    concurrency: o.Concurrency = None,
    json: o.Json = False,
) -> None:
    """Score a run's stored candidates, with no new samples; what is scored already is not scored again."""
    from tts.settings import resolve
    from tts.store import read_json

    manifest = read_json(run / "manifest.json")
    if verifier is None:
        raise InputError("--verifier NAME is needed", "tts list verifiers")
    given: dict[str, Any] = {
        "verifier": verifier, "verifier_model": verifier_model, "verifier_url": verifier_url,
        "engine_arg": engine_arg, "concurrency": concurrency,
    }  # fmt: skip
    config = manifest.get("config", {})
    if not manifest["identity"].get("verifier"):  # the run's own strategy may know no verifier
        given["strategy"], given["option"] = "best-of-n", ()
        config = {k: v for k, v in config.items() if k not in ("strategy", "option", "n")}
    settings = resolve({**config, **{k: v for k, v in given.items() if v is not None}}, None)
    _demand_groups(settings, manifest)
    problems = _problems(settings, manifest)
    raise typer.Exit(drive(_score(run, settings, problems, manifest, json)))


def _demand_groups(settings: Settings, manifest: dict[str, Any]) -> None:
    """Raises InputError where the verifier is of groups of tokens that the run's completions have not."""
    from tts.settings import load_verifier
    from tts.types import Sampling
    from tts.verify.cards import ConfidenceCard

    card, _ = load_verifier(settings)
    if isinstance(card, ConfidenceCard):
        card.demand_groups(Sampling(**manifest["identity"]["sampling"]))


def _problems(settings: Settings, manifest: dict[str, Any]) -> dict[str, Problem]:
    from tts import benchmarks
    from tts.cli.eval import repeated

    for given in settings.benchmarks:
        found = benchmarks.load(repeated(given, 1)[0], settings.columns, settings.id_field)
        if found.name == manifest["identity"]["benchmark"]:
            return {e.problem.id: e.problem for e in found.examples}
    raise InputError(f"the manifest does not say where the problems of {manifest['identity']['benchmark']!r} are")


async def _score(
    run: Path, settings: Settings, problems: dict[str, Problem], manifest: dict[str, Any], as_json: bool
) -> int:
    from dataclasses import asdict

    from tts.evaluate import Stop
    from tts.rescoring import score_run

    stop = Stop()
    async with engines_for(settings, run / "logs" / "engine.log", policy=_asks_policy(settings)) as (engine, verifier):
        assert verifier is not None
        with interruptible(stop):
            outcome = await score_run(
                run, problems, engine, verifier,
                prompt=manifest["identity"]["prompt"], seed=settings.seed,
                concurrency=settings.concurrency or 64, stop=stop, own=_is_own(settings, manifest),
            )  # fmt: skip
    if outcome.failed:
        console.warn(f"{outcome.failed} problems could not be scored: {outcome.first_error}")
    if as_json:
        from tts.store import read_json

        console.say_json({**asdict(outcome), "results": read_json(run / "results.json")})
    else:
        console.say(f"{run}: {outcome.scored} problems scored by {verifier.name}, {outcome.known} were already")
    if stop.draining and outcome.left:
        console.warn(f"interrupted, {outcome.left} problems left; the same command goes on")
        return 130
    return 1 if outcome.failed else 0


def _is_own(settings: Settings, manifest: dict[str, Any]) -> bool:
    """Whether the run was made with this verifier, card and weights."""
    from tts.settings import load_verifier

    made = manifest["identity"]
    mine = (settings.verifier, load_verifier(settings)[1], settings.verifier_model)
    return mine == (made.get("verifier"), made.get("verifier_sha256"), made.get("verifier_model"))


def _asks_policy(settings: Settings) -> bool:
    """Whether the verifier generates with the policy itself."""
    from tts.settings import load_verifier
    from tts.verify.cards import JudgeCard

    card, _ = load_verifier(settings)
    return isinstance(card, JudgeCard) and card.model is None and settings.verifier_url is None
