"""Reward models on vLLM's pooling runner, read token by token so that the prefix cache serves them.

vLLM skips reading its cache for token pooling, and its own step pooling cannot be used with one. So every token is
pooled, reading the cache is switched on, and the rows that come back are those after the cached prefix.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tts import nano
from tts.engines.apart import Apart
from tts.engines.startup import check_model, installed_version
from tts.engines.templates import ChatTemplate
from tts.errors import EngineUnavailable, RequestError
from tts.flops import cost
from tts.types import Message
from tts.verify.cards import RewardCard
from tts.verify.reward import Reading, Scorer

AGREEMENT = 0.1
"""How far a logit read after a cached prefix may lie from the same read in full (relative to 1 + its size), in the
self-test: bfloat16 alone makes hundredths."""


class VLLMScorer:
    """A model that classifies tokens, in an engine of its own.

    Raises (from `open`):
        EngineUnavailable: vLLM is absent, too old or installed twice; the model is missing or does not fit.
    """

    def __init__(self, card: RewardCard, share: float, log: Path) -> None:
        installed_version()
        path = check_model(folder_of(card.model))
        self._template = ChatTemplate(load_tokenizer(card.model), {})
        arguments = {**engine_arguments(card, self._template.tokenizer), "gpu_memory_utilization": share, **card.engine}
        self._apart = Apart("tts.engines.classifier:Classifier", (path, arguments, log), card.model, log)
        facts = self._apart.facts
        self.max_model_len: int = facts["max_model_len"]
        self.cost = cost(facts["hf_config"])
        self.flops_per_token = self.cost.body if self.cost else None
        self.notes: list[str] = []
        self.block: int = facts["block"]
        self.cached: bool = facts["cached"]

    @classmethod
    async def open(cls, card: RewardCard, share: float, log: Path) -> VLLMScorer:
        """Start the engine, on this share of a GPU's memory unless the card names another, and see whether what it
        reads after a cached prefix is what it reads in full.
        """
        scorer = cls(card, card.gpu_memory_utilization or share, log)
        try:
            if scorer.cached and (trouble := await cache_trouble(scorer, scorer.block)):
                scorer.cached = False
                scorer.notes.append(f"the verifier goes without its prefix cache: {trouble}")
        except BaseException:
            await scorer.close()
            raise
        return scorer

    def transcript(self, messages: Sequence[Message], *, reply: bool) -> str:
        return self._template.transcript(messages, reply=reply)

    @property
    def bos(self) -> str:
        return self._template.bos

    def encode(self, text: str) -> tuple[int, ...]:
        return self._template.encode(text)

    def counters(self) -> Mapping[str, int]:
        """The engine's own totals: prompt_tokens, of which cached_tokens."""
        return self._apart.totals

    async def classify(
        self, token_ids: Sequence[int], positions: Sequence[int], request_id: str, *, cached: bool = True
    ) -> Reading:
        wanted = cached and self.cached
        rows, first = await self._apart.call("classify", tuple(token_ids), tuple(positions), request_id, wanted)
        return Reading(rows, first)

    async def abort(self, request_id: str) -> None:
        await self._apart.call("abort", request_id)

    async def reset_prefix_cache(self) -> None:
        """Forget what was read."""
        await self._apart.call("reset_prefix_cache")

    async def close(self) -> None:
        await self._apart.close()


async def cache_trouble(scorer: Scorer, block: int) -> str | None:
    """What is wrong with scores that are read after a cached prefix; None where they are those read in full. `block`:
    tokens that the cache keeps together.
    """
    length = min(4 * block, scorer.max_model_len - 1)
    words = scorer.encode("One and two make three.\n") or (0,)
    ids = (words * (length // len(words) + 1))[:length]
    middle, end = length // 2, length - 1
    try:
        whole = await scorer.classify(ids, [end], "self-test/whole", cached=False)
        await scorer.classify(ids[: middle + 1], [middle], "self-test/prefix")
        after = await scorer.classify(ids, [end], "self-test/after")
    except RequestError as error:
        return error.message
    if not after.cached_tokens:
        return "the engine read nothing from it"
    worst = max(abs(a - b) / (1 + abs(a)) for a, b in zip(whole.rows[end], after.rows[end], strict=True))
    return None if worst <= AGREEMENT else f"a score read after it is off by {worst:.3g}"


def engine_arguments(card: RewardCard, tokenizer: Any) -> dict[str, Any]:
    """What vLLM is told so that it gives the card's logits at every token.

    A generative head becomes a classifier of the two rows of the output layer that belong to its tokens: the softmax of
    its logits is then the probability of the one against the other, at every position of one reading.

    Raises:
        EngineUnavailable: the tokenizer does not know one of the tokens.
    """
    arguments: dict[str, Any] = {"runner": "pooling", "pooler_config": {"tok_pooling_type": "ALL"}}
    overrides: dict[str, Any] = {}
    if card.architecture is not None:
        overrides["architectures"] = [card.architecture]
    if card.tokens is not None:
        known = tokenizer.get_vocab()
        for token in card.tokens:
            if token not in known:
                raise EngineUnavailable(
                    f"the tokenizer of {card.model} has no token {token!r}",
                    "mend the card's tokens or separator, or its model",
                )
        overrides |= {"classifier_from_token": list(card.tokens), "method": "no_post_processing", "num_labels": 2}
        arguments["convert"] = "classify"
    if overrides:
        arguments["hf_overrides"] = overrides
    if card.max_length is not None:
        arguments["max_model_len"] = card.max_length
    return arguments


def folder_of(model: str) -> str:
    """Where a verifier's weights are: the embedded ones by their name, else as the card says."""
    return str(nano.VERIFIER) if model == nano.NAME else str(Path(model).expanduser()) if model[:1] == "~" else model


def load_tokenizer(model: str) -> Any:
    """The tokenizer of a local folder or a Hugging Face id.

    Raises:
        EngineUnavailable: there is none, or it cannot be read or fetched.
    """
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(folder_of(model))
    except (OSError, ValueError, KeyError) as error:
        said = str(error).strip().split("\n")[0]
        raise EngineUnavailable(
            f"cannot load the tokenizer of {model}: {said}", "a local folder with the model can be given instead"
        ) from error
