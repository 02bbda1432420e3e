"""Engines, and how the one that was asked for is started. Each lives in a module that loads only when used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tts.catalog import nearest
from tts.errors import InputError
from tts.types import Engine, Verifier

if TYPE_CHECKING:
    from tts.verify.cards import Card, JudgeCard, RewardCard

POLICY_SHARE, VERIFIER_SHARE = 0.55, 0.35
"""Of a GPU's memory, where both run on one; the rest is for what they do not account for."""


async def start(
    kind: str,
    model: str | None,
    *,
    arguments: Mapping[str, Any],
    template: Mapping[str, Any],
    base_urls: Sequence[str],
    log: Path,
    may_abort: bool,
    beside_verifier: bool,
) -> Engine:
    """Start or reach an engine.

    `may_abort`: calls may be cut at a deadline, so replies should be kept in part. `beside_verifier`: a verifier
    will want its share of the memory.

    Raises:
        EngineUnavailable: it cannot be had, with what to do about it.
        InputError: an unknown engine argument.
    """
    if kind == "scripted":
        return _scripted(model, arguments)
    if kind == "server":
        from tts.engines.server import ServerEngine

        return await ServerEngine.connect(base_urls, model, {"stream": may_abort, **arguments}, template)
    from tts.engines.vllm import VLLMEngine

    assert model is not None, "vllm has a default model"
    share: dict[str, Any] = {"gpu_memory_utilization": POLICY_SHARE} if beside_verifier else {}
    return VLLMEngine(model, {**share, **arguments}, template, log)


def check_verifier(card: Card) -> None:
    """What a verifier's model needs that can be known without starting it: its tokenizer.

    Raises:
        EngineUnavailable: it is not there.
    """
    from tts.verify.cards import RewardCard

    if isinstance(card, RewardCard):
        from tts.engines.scorer import load_tokenizer

        load_tokenizer(card.model)


async def start_verifier(card: Card, url: str | None, log: Path, *, alone: bool) -> Verifier:
    """Start or reach what a card asks for: a reward model on vLLM's pooling runner or on a server at `url`, another
    model that judges, or nothing at all. `alone`: no policy runs beside it.

    Raises:
        EngineUnavailable: it cannot be had, with what to do about it.
        InputError: this kind has no engine that a URL could lead to.
    """
    from tts.verify import cards

    match card:
        case cards.RewardCard():
            return await _reward(card, url, log, alone)
        case cards.JudgeCard():
            from tts.verify.judge import JudgeVerifier, PairwiseJudge

            kind = PairwiseJudge if card.compares else JudgeVerifier
            return kind(card, await _judging(card, url, log, alone))
        case cards.ConfidenceCard():
            from tts.verify.confidence import ConfidenceVerifier

            return ConfidenceVerifier(card)
        case cards.ScriptedCard():
            from tts.engines.scripted import load_function
            from tts.verify.rule import RuleVerifier

            return RuleVerifier(card, load_function(card.script) if card.script else None)


async def _reward(card: RewardCard, url: str | None, log: Path, alone: bool) -> Verifier:
    from tts.verify.reward import RewardVerifier, Scorer

    scorer: Scorer
    if url is not None:
        from tts.engines.remote_scorer import RemoteScorer

        scorer = await RemoteScorer.open(card, url)
    else:
        from tts.engines.scorer import VLLMScorer

        scorer = await VLLMScorer.open(card, POLICY_SHARE + VERIFIER_SHARE if alone else VERIFIER_SHARE, log)
    try:
        return RewardVerifier(card, scorer)
    except BaseException:
        await scorer.close()
        raise


async def _judging(card: JudgeCard, url: str | None, log: Path, alone: bool) -> Engine | None:
    """The model that judges; None where it is the policy itself."""
    if url is not None:
        from tts.engines.server import ServerEngine

        return await ServerEngine.connect([url], card.model, {}, {})
    if card.model is None:
        return None
    from tts.engines.vllm import VLLMEngine

    share = card.gpu_memory_utilization or (POLICY_SHARE + VERIFIER_SHARE if alone else VERIFIER_SHARE)
    return VLLMEngine(card.model, {"gpu_memory_utilization": share, **card.engine}, {}, log)


def _scripted(model: str | None, arguments: Mapping[str, Any]) -> Engine:
    from tts.engines.scripted import ScriptedEngine, load_script

    known = ("script", "max_sequences", "max_model_len")
    for name in arguments:
        if name not in known:
            raise InputError(f"the scripted engine has no option {name!r}", nearest(name, known))
    options = dict(arguments)
    script = options.pop("script", None)
    for name, value in options.items():
        if not isinstance(value, int) or value < 1:
            raise InputError(f"-M {name}={value}: a whole number above 0 is expected", f"-M {name}=8")
    return ScriptedEngine(load_script(str(script)) if script else None, model or "scripted", **options)
