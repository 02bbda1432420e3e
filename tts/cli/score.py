"""`tts score`: a verifier's scores for a run's stored candidates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tts import console
from tts.cli import options as o
from tts.cli.driving import AGAIN, drive, engines_for, hinted, interruptible
from tts.errors import InputError

if TYPE_CHECKING:
    from tts.settings import Settings
    from tts.types import Engine, Example, Verifier


OF_THE_RUN = (
    "benchmarks", "model", "seed", "engine", "base_url", "engine_arg", "template_arg", "concurrency",
    "permute", "question_field", "target_field", "context_field", "id_field",
)  # fmt: skip
"""What scoring takes from the run's configuration."""


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
    from tts.store import read_manifest

    manifest = read_manifest(run)
    if verifier is None:
        raise InputError("--verifier NAME is needed", "tts list verifiers")
    given: dict[str, Any] = {
        "verifier": verifier, "verifier_model": verifier_model, "verifier_url": verifier_url,
        "engine_arg": engine_arg, "concurrency": concurrency,
    }  # fmt: skip
    before = manifest.get("config", {})
    own = ("verifier_model", "verifier_url") if before.get("verifier") == verifier else ()
    config = {k: v for k, v in before.items() if k in (*OF_THE_RUN, *own)}
    given |= {"strategy": "best-of-n", "n": 1}  # the run's own may know no verifier, or not this kind
    settings = resolve({**config, **{k: v for k, v in given.items() if v is not None}}, None)
    _demand_measured(settings, manifest)
    examples = _examples(settings, manifest)
    raise typer.Exit(drive(_score(run, settings, examples, manifest, json)))


def _demand_measured(settings: Settings, manifest: dict[str, Any]) -> None:
    """Raises InputError where the verifier goes by what the run's completions have not."""
    from tts.settings import load_verifier
    from tts.types import Sampling
    from tts.verify.cards import ConfidenceCard

    card, _ = load_verifier(settings)
    if isinstance(card, ConfidenceCard):
        card.demand(Sampling(**manifest["identity"]["sampling"]))


def _examples(settings: Settings, manifest: dict[str, Any]) -> dict[str, Example]:
    """The run's problems as its candidates saw them, by id."""
    from tts import benchmarks
    from tts.cli.eval import repeated

    for given in settings.benchmarks:
        found = benchmarks.load(repeated(given, 1)[0], settings.columns, settings.id_field)
        if found.name == manifest["identity"]["benchmark"]:
            if settings.permute:
                found = benchmarks.with_permutation(found)
            return {e.problem.id: e for e in found.examples}
    name = manifest["identity"].get("benchmark")
    raise InputError(f"the manifest does not say where the problems of {name!r} are", "make the run again, or another")


async def _score(
    run: Path, settings: Settings, examples: dict[str, Example], manifest: dict[str, Any], as_json: bool
) -> int:
    from dataclasses import asdict

    from tts.evaluate import Stop
    from tts.rescoring import score_run
    from tts.running import by_attempt

    stop = Stop()
    async with engines_for(settings, run / "logs" / "engine.log", policy=_asks_policy(settings)) as (engine, verifier):
        assert verifier is not None
        with interruptible(stop), hinted(AGAIN):
            outcome = await score_run(
                run, examples, engine, verifier,
                prompt=manifest["identity"]["prompt"], seed=settings.seed,
                concurrency=settings.concurrency or 64, stop=stop,
                mark=_mark(settings, engine, verifier), own=_is_own(settings, manifest),
                vary=by_attempt if settings.permute == "per-attempt" else None,
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


def _mark(settings: Settings, engine: Engine, verifier: Verifier) -> str:
    """What the verifier's name stands for: its card, and the model that reads or judges."""
    from tts.settings import load_verifier

    if verifier.key is not None:
        return verifier.key
    card, sha256 = load_verifier(settings)
    model = getattr(verifier, "model", None) or engine.model if card.kind == "judge" else ""
    return f"{sha256} {model}".strip()


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
