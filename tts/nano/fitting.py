"""One training loop for both models: cross-entropy at chosen positions, AdamW, warm-up and linear decay."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from numpy.typing import NDArray
from torch import Tensor

from tts.nano.model import Decoder, Policy, ProcessVerifier
from tts.nano.packing import NONE, Batch

log = logging.getLogger(__name__)
WARM_UP = 200
LOG_EVERY = 20
FORESIGHT = 0.5
"""The weight of the tokens that would rightly follow."""
Loss = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""Of the hidden states, token ids, targets and following tokens at the chosen positions."""
COMPILED = 20
"""After so many steps everything is compiled, and the clock starts."""


def fit(
    model: Policy | ProcessVerifier,
    loss_of: Loss,
    batches: Iterator[Batch],
    steps: int,
    learning_rate: float,
    seconds: float = 0.0,
    batches_a_step: int = 2,
) -> None:
    """Train `model` in place by a loss of the hidden states at the chosen positions.

    With `seconds`, the schedule follows the clock instead (after a few steps, in which things are compiled) and
    `steps` is only a ceiling: for finding out how many steps fit.
    """
    device = model.model.embed_tokens.weight.device
    on_gpu = device.type == "cuda"
    optimizer = _optimizer(model, learning_rate, fused=on_gpu)
    warm_up = max(1, min(WARM_UP, steps // 10))
    if on_gpu:
        _compile(model.model)
    began, seen, total = time.monotonic(), 0, torch.zeros((), device=device)
    for step in range(1, steps + 1):
        if step == COMPILED:
            began, seen = time.monotonic(), 0
        done = min(1.0, (time.monotonic() - began) / seconds if seconds and step >= COMPILED else step / steps)
        if seconds and done >= 1.0:
            log.info("stopped by the clock before step %d", step)
            break
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * min(step / warm_up, 0.02 + 0.98 * (1 - done))
        for _ in range(batches_a_step):
            batch = next(batches)
            arrays = (batch.ids, batch.where, batch.targets, batch.follows)
            ids, where, targets, follows = (_moved(array, device) for array in arrays)
            with torch.autocast(device.type, torch.bfloat16):
                hidden = model.model(ids).flatten(0, 1)[where]
                loss = loss_of(hidden, ids.flatten()[where], targets, follows) / batches_a_step
            loss.backward()  # type: ignore[no-untyped-call]
            seen += batch.ids.size
            total += loss.detach()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if step % LOG_EVERY == 0 or step == steps:
            loss_mean, elapsed = total.item() / (step % LOG_EVERY or LOG_EVERY), time.monotonic() - began
            log.info("step %d/%d loss %.4f, %.0f s, %.0f tokens/s", step, steps, loss_mean, elapsed, seen / elapsed)
            total.zero_()


def next_token_loss(policy: Policy) -> Loss:
    """What a policy learns."""

    def loss(hidden: Tensor, ids: Tensor, targets: Tensor, follows: Tensor) -> Tensor:
        return F.cross_entropy(policy.logits(hidden).float(), targets)

    return loss


def step_loss(verifier: ProcessVerifier, step: int) -> Loss:
    """What a verifier learns: the label of every token, those of step tokens twice, and what would rightly follow.

    The last keeps it reading digits as well as the policy writes them; the head for it is the tied embedding.
    """

    def loss(hidden: Tensor, ids: Tensor, targets: Tensor, follows: Tensor) -> Tensor:
        each = F.cross_entropy(verifier.score(hidden).float(), targets, reduction="none")
        next_token = F.linear(hidden, verifier.model.embed_tokens.weight).float()
        asked = (ids == step).float()
        labels = each.mean() + (each * asked).sum() / asked.sum()
        known = (follows != NONE).sum().clamp(min=1)
        return labels + FORESIGHT * F.cross_entropy(next_token, follows, ignore_index=NONE, reduction="sum") / known

    return loss


def _moved(array: NDArray[Any], device: torch.device) -> Tensor:
    """To the device without waiting for it."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


def _optimizer(model: torch.nn.Module, learning_rate: float, fused: bool) -> torch.optim.Optimizer:
    matrices = [p for p in model.parameters() if p.dim() == 2]
    vectors = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.95), fused=fused)


def _compile(decoder: Decoder) -> None:
    """Compile one block for all layers and widths: seconds, where the whole model would take minutes."""
    for layer in decoder.layers:
        layer.compile(dynamic=True)
