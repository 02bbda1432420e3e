"""Batched sampling from a policy on one device, for rollouts and for the tables that training prints."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tts.nano.model import Cache, Policy, ProcessVerifier

MOST_SCORES = {"cuda": 2**31, "cpu": 2**26}
"""Attention scores of a prompt batch stay below this many, which bounds memory."""


@torch.inference_mode()
def sample(
    policy: Policy,
    prompts: Sequence[Sequence[int]],
    end: int,
    generator: torch.Generator,
    temperature: float = 0.8,
    max_tokens: int = 256,
    batch: int = 4096,
) -> list[list[int]]:
    """One continuation for each prompt, its end token included if it came.

    Prompts of about one length make a batch, padded on the left. A temperature of 0 takes the likeliest token.
    """
    most = MOST_SCORES[policy.model.embed_tokens.weight.device.type]
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    written: list[list[int]] = [[] for _ in prompts]
    while order:
        width = len(prompts[order[-1]])
        count = max(1, min(batch, most // (width * width * policy.model.shape.num_attention_heads)))
        order, chosen = order[:-count], order[-count:]
        rows = _decode(policy, [prompts[i] for i in chosen], end, generator, temperature, max_tokens)
        for index, row in zip(chosen, rows, strict=True):
            written[index] = row
    return written


def _decode(
    policy: Policy,
    prompts: Sequence[Sequence[int]],
    end: int,
    generator: torch.Generator,
    temperature: float,
    max_tokens: int,
) -> list[list[int]]:
    weight = policy.model.embed_tokens.weight
    width = max(map(len, prompts))
    padded = torch.tensor([[end] * (width - len(prompt)) + list(prompt) for prompt in prompts])
    starts = torch.tensor([width - len(prompt) for prompt in prompts], device=weight.device)
    seen = torch.arange(width + max_tokens, device=weight.device) >= starts[:, None]
    cache = Cache(policy.model.shape, len(prompts), width + max_tokens, weight)
    output = torch.full((len(prompts), max_tokens), end, device=weight.device)
    rows = torch.arange(len(prompts), device=weight.device)
    ids = padded.to(weight.device)
    mask = seen[:, None, :width] & torch.ones(width, width, dtype=torch.bool, device=weight.device).tril()
    for position in range(max_tokens):
        ids = _pick(policy.logits(policy.model(ids, cache, mask)[:, -1]).float(), temperature, generator)
        output[rows, position] = ids[:, 0]
        if position % 16 == 15:
            going = (output[rows, : position + 1] != end).all(dim=1).nonzero()[:, 0]
            if not len(going):
                break
            if len(going) < 0.7 * len(rows):
                cache.keep(going)
                rows, ids, seen = rows[going], ids[going], seen[going]
        mask = seen[:, None, : cache.length + 1]
    return [_cut(row, end) for row in output.tolist()]


def _pick(logits: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    if temperature == 0:
        return logits.argmax(dim=-1, keepdim=True)
    return torch.multinomial((logits / temperature).softmax(dim=-1), 1, generator=generator)


def _cut(row: list[int], end: int) -> list[int]:
    return row[: row.index(end) + 1] if end in row else row


@torch.inference_mode()
def score_steps(
    verifier: ProcessVerifier, sequences: Sequence[Sequence[int]], step: int, pad: int, tokens: int = 2**18
) -> list[list[float]]:
    """The probability that everything is right so far, at every step token of each sequence."""
    device = verifier.model.embed_tokens.weight.device
    order = sorted(range(len(sequences)), key=lambda i: len(sequences[i]))
    scores: list[list[float]] = [[] for _ in sequences]
    while order:
        width = len(sequences[order[-1]])
        taken, order = order[-max(1, tokens // width) :], order[: -max(1, tokens // width)]
        ids = torch.full((len(taken), width), pad)
        for row, index in enumerate(taken):
            ids[row, : len(sequences[index])] = torch.tensor(sequences[index])
        right = verifier.score(verifier.model(ids.to(device))).float().softmax(dim=-1)[..., 1].cpu()
        for row, index in enumerate(taken):
            scores[index] = right[row][ids[row] == step].tolist()
    return scores
