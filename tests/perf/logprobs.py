"""What the log-probability of each token costs vLLM outside of the model: processor microseconds a token.

    python tests/perf/logprobs.py [--sequences 256 512] [--steps 100]

vLLM's own functions on one decode step's output after another. Engine: cutting each request's part out of the batch's,
and packing the message. Here: unpacking it, and adding it to each request, as tts asks for it (a flat table, no text)
and as `LLM.generate` has it by default (a dictionary a token, with its text). A second table: drawing the tokens on
CPU, where each request with a seed draws from a generator of its own (on GPU one kernel draws for all); vocabulary
1,024.
"""

from __future__ import annotations

import argparse
import itertools
import os
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("VLLM_LOGGING_STREAM", "ext://sys.stderr")


def outputs(sequences: int, *, logprobs: bool) -> Callable[[], Any]:
    """What the scheduler does to send one step's tokens."""
    import numpy as np
    from vllm.v1.engine import EngineCoreOutput, EngineCoreOutputs
    from vllm.v1.outputs import LogprobsLists

    ids = np.arange(sequences, dtype=np.int32).reshape(-1, 1)
    batch = LogprobsLists(ids, np.full((sequences, 1), -0.5, np.float32), np.ones(sequences, np.int64))
    names = [f"{i}-{i:08x}" for i in range(sequences)]

    def step() -> Any:
        parts = [
            EngineCoreOutput(name, [i], new_logprobs=batch.slice_request(i, 1) if logprobs else None)
            for i, name in enumerate(names)
        ]
        return EngineCoreOutputs(outputs=parts)

    return step


def microseconds(work: Callable[[], Any], steps: int, sequences: int) -> float:
    """The least of five times, a token."""
    found = []
    for _ in range(5):
        began = time.process_time()
        for _ in range(steps):
            work()
        found.append(time.process_time() - began)
    return 1e6 * min(found) / steps / sequences


def costs(sequences: int, steps: int, tokenizer: Any, *, logprobs: bool) -> list[float]:
    from vllm.logprobs import create_sample_logprobs
    from vllm.v1.engine import EngineCoreOutputs
    from vllm.v1.engine.logprobs import LogprobsProcessor
    from vllm.v1.serial_utils import MsgpackDecoder, MsgpackEncoder

    step, encoder, decoder = outputs(sequences, logprobs=logprobs), MsgpackEncoder(), MsgpackDecoder(EngineCoreOutputs)
    made, packed = step(), [bytes(part) for part in encoder.encode(step())]

    def adding(*, flat: bool) -> Callable[[], Any]:
        names = None if flat else tokenizer
        each = [LogprobsProcessor(names, create_sample_logprobs(flat), None, 0.0, 0, None) for _ in range(sequences)]
        return lambda: [one.update_from_output(output) for one, output in zip(each, made.outputs, strict=True)]

    work = [step, lambda: encoder.encode(made), lambda: decoder.decode(packed)]
    work += [adding(flat=True), adding(flat=False)] if logprobs else []
    return [microseconds(each, steps, sequences) for each in work] + [0.0] * (5 - len(work))


def drawing(sequences: int, *, seeded: bool) -> Callable[[], Any]:
    """vLLM's choice of a token for each request, on CPU."""
    import torch
    from vllm.platforms import current_platform
    from vllm.v1.sample.ops.topk_topp_sampler import TopKTopPSampler

    current_platform.import_kernels()
    torch.set_num_threads(1)
    logits = torch.randn(sequences, 1024)
    generators = {i: torch.Generator().manual_seed(i) for i in range(sequences if seeded else 0)}
    sampler = TopKTopPSampler()
    return lambda: sampler.forward_cpu(logits, generators, None, None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sequences", type=int, nargs="+", default=[256, 512])
    parser.add_argument("--steps", type=int, default=100)
    a = parser.parse_args()

    from transformers import AutoTokenizer

    from tts import nano

    tokenizer = AutoTokenizer.from_pretrained(nano.POLICY)
    print("sequences  logprobs  engine: cut   pack   here: unpack  add (flat)  add (LLM.generate)")
    for sequences, logprobs in itertools.product(a.sequences, (False, True)):
        cut, pack, unpack, flat, full = costs(sequences, a.steps, tokenizer, logprobs=logprobs)
        print(f"{sequences:9}  {logprobs!s:8}  {cut:11.2f}  {pack:5.2f}   {unpack:12.2f}  {flat:10.2f}  {full:18.2f}")
    print("sequences  seeds  draw")
    for sequences, seeded in itertools.product(a.sequences, (False, True)):
        draw = microseconds(drawing(sequences, seeded=seeded), a.steps, sequences)
        print(f"{sequences:9}  {seeded!s:5}  {draw:4.2f}")


if __name__ == "__main__":
    main()
