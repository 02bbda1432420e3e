"""What a sweep will take, from a few problems solved beforehand: samples, tokens, minutes, memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

BYTES_A_WEIGHT = 2
"""bfloat16."""


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What a sample of a benchmark showed on an engine: tokens of a prompt and of a response, responses cut at their
    limit (a share), and generated tokens a second while `sequences` requests were there to run.
    """

    requests: int
    prompt_tokens: float
    generated_tokens: float
    truncated: float
    tokens_per_second: float
    sequences: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """One run: samples, generated tokens, minutes at the calibrated rate."""

    samples: int
    generated_tokens: float
    minutes: float


def calibrated(results: Mapping[str, Any], manifest: Mapping[str, Any], sequences: int) -> Calibrated:
    """From a finished run's results.json and manifest.json.

    Raises:
        ValueError: the run made no call, or no token.
    """
    usage, counts, life = results["usage"], results["counts"], manifest["lives"][-1]
    if not usage["calls"] or not usage["generated_tokens"] or not life["seconds"]:
        raise ValueError("the calibration generated nothing")
    calls = usage["calls"]
    return Calibrated(
        calls,
        usage["prompt_tokens"] / calls,
        usage["generated_tokens"] / calls,
        counts["truncated"] / max(1, counts["candidates"]),
        usage["generated_tokens"] / life["seconds"],
        min(calls, sequences),
    )


def forecast(samples: int, sample: Calibrated) -> Forecast:
    """What so many responses like those of the sample take. A fuller batch makes more tokens a second than the sample
    did: the minutes are an upper bound where the sample did not fill the engine.
    """
    tokens = samples * sample.generated_tokens
    return Forecast(samples, tokens, tokens / sample.tokens_per_second / 60)


def memory_bytes(config: Mapping[str, Any], sequences: int, context: float) -> int | None:
    """Weights in bfloat16, and keys and values of `sequences` responses of `context` tokens at once; None for an
    architecture that is not understood.
    """
    from tts.flops import kv_bytes_per_token, total_parameters

    parameters, each = total_parameters(config), kv_bytes_per_token(config)
    if parameters is None or each is None:
        return None
    return BYTES_A_WEIGHT * parameters + round(each * sequences * context)
