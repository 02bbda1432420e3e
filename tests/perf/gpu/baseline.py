"""`vllm.LLM.generate` on the work of the throughput cells: what a script that knows vLLM would get from this GPU.

    python baseline.py --model DIR --data DIR --out DIR --label NAME [--work gsm8k:200:16 …] [-M KEY=VALUE]

One engine load with the arguments of bench.py, and for each piece of work two lines: with the very seeds and
log-probabilities that `tts eval` asks for, and without either. Nothing is graded or kept. A short warm-up goes first.
Results: OUT/LABEL/baseline.json, written after each line; a line that is there already is not measured again.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("VLLM_LOGGING_STREAM", "ext://sys.stderr")

from cells import LENGTH, SAMPLING, local
from machine import GRAPHS, engine_arguments, machine

MOST_WARM = 512
"""Requests of the warm-up at most."""


def measure(llm: Any, prompts: list[Any], params: list[Any]) -> dict[str, float]:
    llm.reset_prefix_cache()
    began = time.perf_counter()
    outputs = llm.generate(prompts, params, use_tqdm=False)
    seconds = time.perf_counter() - began
    generated = sum(len(o.outputs[0].token_ids) for o in outputs)
    return {
        "requests": len(prompts),
        "generated_tokens": generated,
        "prompt_tokens": sum(len(o.prompt_token_ids) for o in outputs),
        "seconds": seconds,
        "tokens_per_second": generated / seconds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--label", default="scaling")
    parser.add_argument("--work", nargs="+", default=["gsm8k:200:16"], help="BENCHMARK:PROBLEMS:N")
    parser.add_argument("--rehearse", type=int, help="two problems, four samples, responses this long")
    parser.add_argument(
        "--after", type=Path, help="file to wait for once the engine is up, so that engines start together"
    )
    parser.add_argument("--commit", default="unknown")
    parser.add_argument("--graphs", choices=list(GRAPHS), default="compiled", help="compilation and CUDA graphs")
    parser.add_argument("-M", "--engine-arg", action="append", default=[], metavar="KEY=VALUE")
    a = parser.parse_args()
    file = a.out / a.label / "baseline.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    content: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {"lines": {}, "loads": []}
    before, start = machine(a.commit), time.monotonic()

    from vllm import LLM

    sys.path.append(str(Path(__file__).parents[1]))
    from runs import wait_for
    from throughput import requests

    from tts import nano
    from tts.engines.startup import engine_arguments as for_platform
    from tts.engines.templates import ChatTemplate

    model = str(nano.POLICY) if a.model == nano.NAME else a.model
    arguments = for_platform(model, engine_arguments(a.graphs, a.engine_arg))
    arguments.pop("disable_log_stats")
    llm = LLM(model=model, **arguments)
    load: dict[str, Any] = {"start_seconds": round(time.monotonic() - start, 1), "before": before}
    content["loads"].append(load)
    print(f"engine up after {load['start_seconds']} s", flush=True)
    wait_for(a.after)
    template, defaults = ChatTemplate(llm.get_tokenizer(), {}), llm.get_default_sampling_params()
    for work in a.work:
        benchmark, limit, n = work.split(":")
        if a.rehearse:
            limit, n = "2", "4"
        longest = a.rehearse or LENGTH[benchmark]
        for kind, both in (("seeded", True), ("plain", False)):
            name = f"{benchmark}-{limit}x{n}-{kind}"
            if name in content["lines"]:
                continue
            how = {"seeded": both, "logprobs": both, **SAMPLING}
            prompts, params = requests(template, defaults, local(benchmark, a.data), limit, int(n), longest, **how)
            measure(llm, prompts[:MOST_WARM], params[:MOST_WARM])
            content["lines"][name] = line = measure(llm, prompts, params)
            load["after"] = machine(a.commit)
            file.write_text(json.dumps(content, indent=2))
            print(f"{name:28} {line['tokens_per_second']:9.0f} tokens/s  {line['seconds']:7.1f} s", flush=True)


if __name__ == "__main__":
    main()
