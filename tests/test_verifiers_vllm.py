"""Reward models on real vLLM against the same weights in transformers, one of each head, from the prefix cache."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from processes import vllm_server
from tiny_model import make_config, make_tokenizer

from tts import nano
from tts.engines.remote_scorer import RemoteScorer
from tts.engines.scorer import VLLMScorer
from tts.errors import EngineUnavailable, RequestError
from tts.types import Completion, Message, Problem, Prompt
from tts.verify import cards
from tts.verify.cards import RewardCard
from tts.verify.reward import RewardVerifier

pytest.importorskip("vllm")
pytestmark = [pytest.mark.vllm, pytest.mark.filterwarnings("default")]

QUESTION = "Ann has 3 apples and buys 4 bags of 5. How many has she now?"
STEPS = ("She buys 4 times 5, which makes 20 apples.", "With the 3 she had, 20 + 3 = 23.", "The answer is 23.")
SESSION = cast(Any, SimpleNamespace(problem=Problem("p", QUESTION)))
ASKED = Prompt("", (), (Message("user", QUESTION),))
ENGINE = {"dtype": "float32", "enforce_eager": True, "max_model_len": 1024}


def save(folder: Path, model: Any, tokenizer: Any, heads: dict[str, Any], architecture: str) -> Path:
    """Write a model whose head transformers has no class for."""
    from safetensors.torch import load_file, save_file

    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    weights = load_file(folder / "model.safetensors")
    weights = {(k if k.startswith(("model.", "lm_head", "score")) else f"model.{k}"): v for k, v in weights.items()}
    save_file({**weights, **heads}, folder / "model.safetensors", {"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "architectures": [architecture]}))
    return folder


def hidden_states(model: Any, ids: Sequence[int]) -> Any:
    import torch

    with torch.no_grad():
        return model(input_ids=torch.tensor([list(ids)])).last_hidden_state[0]


def as_turns(steps: Sequence[str]) -> str:
    """RLHFlow's conversation up to the header of the last reply, as its evaluation script builds it."""
    said = "".join(
        f"<|user|>{f'{QUESTION} {step}' if i == 0 else step}<|end|><|assistant|>+<|end|>"
        for i, step in enumerate(steps)
    )
    return said.removesuffix("+<|end|>")


def token_classification(folder: Path) -> tuple[RewardCard, list[float]]:
    """Qwen2.5-Math-PRM: two linear layers, softmax at the separator."""
    import torch
    from transformers import Qwen2Model

    tokenizer = make_tokenizer("<extra_0>")
    model = Qwen2Model(make_config(tokenizer.eos_token_id)).eval()
    first, second = torch.nn.Linear(64, 64), torch.nn.Linear(64, 2)
    heads = {"score.0.weight": first.weight, "score.0.bias": first.bias}
    heads |= {"score.2.weight": second.weight, "score.2.bias": second.bias}
    save(folder, model, tokenizer, {k: v.detach() for k, v in heads.items()}, "Qwen2ForProcessRewardModel")
    card = of("qwen2.5-math-prm-7b", folder)
    text = (
        f"<|system|>{card.system}<|end|><|user|>{QUESTION}<|end|><|assistant|>" + "<extra_0>".join(STEPS) + "<extra_0>"
    )
    ids = tokenizer.encode(text)
    with torch.no_grad():
        shares = second(torch.relu(first(hidden_states(model, ids)))).softmax(-1)[:, 1]
    tag = tokenizer.convert_tokens_to_ids("<extra_0>")
    return card, [float(shares[i]) for i, token in enumerate(ids) if token == tag]


def value_head(folder: Path) -> tuple[RewardCard, list[float]]:
    """Skywork-o1-Open-PRM: one linear layer, sigmoid at each newline that ends a step."""
    import torch
    from transformers import Qwen2Model

    tokenizer = make_tokenizer()
    model = Qwen2Model(make_config(tokenizer.eos_token_id)).eval()
    head = torch.nn.Linear(64, 1)
    heads = {"v_head.summary.weight": head.weight.detach(), "v_head.summary.bias": head.bias.detach()}
    save(folder, model, tokenizer, heads, "Qwen2ForPrmModel")
    ids, ends = tokenizer.encode(QUESTION + "\n"), []
    for step in STEPS:
        ids += [*tokenizer.encode(step), tokenizer.encode("\n")[-1]]
        ends.append(len(ids) - 1)
    with torch.no_grad():
        values = head(hidden_states(model, ids)).sigmoid()[:, 0]
    return of("skywork-o1-prm-1.5b", folder, step="\n\n"), [float(values[i]) for i in ends]


def generative(folder: Path) -> tuple[RewardCard, list[float]]:
    """RLHFlow: how likely + is against - as the reply to each step."""
    import torch
    from transformers import Qwen2ForCausalLM

    tokenizer = make_tokenizer()
    model = Qwen2ForCausalLM(make_config(tokenizer.eos_token_id)).eval()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    pair = tokenizer.convert_tokens_to_ids(["+", "-"])
    shares = []
    for count in range(1, len(STEPS) + 1):
        with torch.no_grad():
            logits = model(torch.tensor([tokenizer.encode(as_turns(STEPS[:count]))])).logits[0, -1]
        shares.append(float(logits[pair].softmax(-1)[0]))
    return of("rlhflow-prm-deepseek", folder), shares


def outcome(folder: Path) -> tuple[RewardCard, list[float]]:
    """Skywork-Reward: one number for the whole conversation, at its last token."""
    import torch
    from transformers import Qwen2ForSequenceClassification

    tokenizer = make_tokenizer()
    model = Qwen2ForSequenceClassification(make_config(tokenizer.eos_token_id, num_labels=1)).eval()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    response = "\n\n".join(STEPS)
    ids = tokenizer.encode(f"<|user|>{QUESTION}<|end|><|assistant|>{response}<|end|>")
    with torch.no_grad():
        value = torch.nn.functional.linear(hidden_states(model.model, ids)[-1], model.score.weight)
    return of("skywork-reward-v2-llama-3.1-8b", folder), [float(value.sigmoid())]


def of(name: str, folder: str | Path, **changes: Any) -> RewardCard:
    card, _ = cards.load(name)
    assert isinstance(card, RewardCard)
    return card.model_copy(update={"model": str(folder), "engine": ENGINE, "max_length": None, **changes})


@pytest.mark.parametrize("head", [token_classification, value_head, generative, outcome])
def test_scores_are_those_of_transformers(head: Any, tmp_path: Path) -> None:
    import torch

    torch.manual_seed(1)
    card, wanted = head(tmp_path / "model")

    async def main() -> None:
        scorer = await VLLMScorer.open(card, 0.3, tmp_path / "log")
        verifier = RewardVerifier(card, scorer)
        try:
            assert scorer.cached, scorer.notes
            for count in range(1, len(STEPS) + 1):
                response = Completion("\n\n".join(STEPS[:count]), "stop")
                found = await verifier.score(ASKED, response, SESSION, f"grown/{count}")
            assert found.cached_tokens >= 64, "the last reading began where the one before ended"
            assert found.steps == pytest.approx(wanted, abs=2e-4)
            whole = await RewardVerifier(card, scorer).score(ASKED, response, SESSION, "whole")
            assert whole.steps == pytest.approx(wanted, abs=2e-4)
            assert len(set(wanted)) == len(wanted)
        finally:
            await verifier.close()

    asyncio.run(main())


def test_a_model_that_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(EngineUnavailable, match="cannot load the tokenizer"):
        asyncio.run(VLLMScorer.open(of("nano", tmp_path), 0.3, tmp_path / "log"))
    make_tokenizer().save_pretrained(tmp_path)
    with pytest.raises(EngineUnavailable, match=r"has no token '▁\+'"):
        asyncio.run(VLLMScorer.open(of("math-shepherd", tmp_path), 0.3, tmp_path / "log"))


@pytest.fixture
def pooling_server(tmp_path: Path) -> Iterator[str]:
    words = ("--model", nano.VERIFIER, "--enforce-eager", "--dtype", "float32", "--runner", "pooling")
    with vllm_server(tmp_path / "serve.log", *words, "--pooler-config", '{"tok_pooling_type": "ALL"}') as url:
        yield url


def test_a_second_server_scores_as_the_engine_here_does(pooling_server: str, tmp_path: Path) -> None:
    card = of("nano", nano.VERIFIER)
    response = Completion("\n\n".join(STEPS), "stop")

    async def main() -> None:
        there = RewardVerifier(card, await RemoteScorer.open(card, pooling_server))
        here = RewardVerifier(card, await VLLMScorer.open(card, 0.3, tmp_path / "log"))
        try:
            remote = await there.score(ASKED, response, SESSION, "a")
            local = await here.score(ASKED, response, SESSION, "a")
            assert remote.steps == pytest.approx(local.steps, abs=1e-3)
            assert remote.tokens == local.tokens
            with pytest.raises(RequestError, match="refused"):
                await there._scorer.classify([5] * 5000, [0], "long")
        finally:
            await there.close()
            await here.close()

    asyncio.run(main())
