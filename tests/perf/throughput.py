"""Tokens per second of `tts eval -s self-consistency` against `vllm.LLM.generate` on the same work.

    python tests/perf/throughput.py MODEL PROBLEMS.jsonl [-n 8] [--limit 16] [--max-tokens 128] [--rounds 2]

Same prompts, n, sampling, seeds and engine arguments; one process an engine, ours and theirs in turn; the time
from the first submission to the last result (ours: with journal, grading, records and results), engine start
left out. Ratios are per round, as the machine's speed drifts. A last column has `LLM.generate` without seeds and
without log-probabilities, for what those cost.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any


def ours(a: argparse.Namespace) -> float:
    """Generated tokens per second of the command line, by the engine's own counter."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        words = ["-m", "tts", "eval", a.problems, "-m", a.model, "-s", "self-consistency", "-n", a.n]
        words += ["--limit", a.limit, "--max-tokens", a.max_tokens, "--output", run]
        for argument in a.engine_arg:
            words += ["-M", argument]
        done = subprocess.run([sys.executable, *map(str, words)], capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(done.stderr)
        life = json.loads((run / "manifest.json").read_text())["lives"][0]
        return float(life["engine"]["generated_tokens"] / life["seconds"])


def theirs(a: argparse.Namespace, *, plain: bool) -> float:
    """Generated tokens per second of `LLM.generate` in a process of its own."""
    words = [__file__, a.model, a.problems, "-n", a.n, "--limit", a.limit, "--max-tokens", a.max_tokens, "--theirs"]
    words += ["--plain"] if plain else []
    for argument in a.engine_arg:
        words += ["-M", argument]
    done = subprocess.run([sys.executable, *map(str, words)], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return float(done.stdout.splitlines()[-1])


def requests(
    template: Any, defaults: Any, problems: str, limit: str, n: int, max_tokens: int, *, plain: bool, **sampled: float
) -> tuple[list[Any], list[Any]]:
    """Prompts and sampling parameters of what `tts eval -s self-consistency -n N` asks the engine for; `plain`: without
    seeds and log-probabilities. `sampled` goes over the `defaults`: temperature and top_p."""
    from vllm import TokensPrompt

    from tts import benchmarks, catalog
    from tts.journal import prompt_digest
    from tts.session import derive_seed
    from tts.types import Message

    prompts, params = [], []
    benchmark = benchmarks.load(problems)
    for example in benchmarks.select(benchmark.examples, limit):
        p = example.problem
        text = catalog.render(benchmark.prompt, question=p.question, context=p.context, choices=p.choices)
        prompt = template.render([Message("user", text)])
        for index in range(n):
            sampling = defaults.clone()
            sampling.max_tokens = max_tokens
            for name, value in sampled.items():
                setattr(sampling, name, value)
            if not plain:
                sampling.seed = derive_seed(0, p.id, prompt_digest(prompt), index)
                sampling.logprobs = 0
            prompts.append(TokensPrompt(prompt_token_ids=list(prompt.token_ids)))
            params.append(sampling)
    return prompts, params


def generate(a: argparse.Namespace) -> None:
    """The other side: what a script that knows vLLM would do."""
    os.environ["VLLM_LOGGING_STREAM"] = "ext://sys.stderr"
    from vllm import LLM

    from tts.engines.startup import engine_arguments
    from tts.engines.templates import ChatTemplate

    given: dict[str, Any] = {k: json.loads(v) for k, _, v in (s.partition("=") for s in a.engine_arg)}
    arguments = engine_arguments(a.model, given)
    arguments.pop("disable_log_stats")
    llm = LLM(model=a.model, **arguments)
    template = ChatTemplate(llm.get_tokenizer(), {})
    defaults = llm.get_default_sampling_params()
    prompts, params = requests(template, defaults, a.problems, str(a.limit), a.n, a.max_tokens, plain=a.plain)
    began = time.perf_counter()
    outputs = llm.generate(prompts, params, use_tqdm=False)
    seconds = time.perf_counter() - began
    print(sum(len(o.outputs[0].token_ids) for o in outputs) / seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("problems")
    parser.add_argument("-n", type=int, default=8)
    parser.add_argument("--limit", type=int, default=16)
    parser.add_argument("--max-tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("-M", "--engine-arg", action="append", default=[])
    parser.add_argument("--theirs", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--plain", action="store_true", help=argparse.SUPPRESS)
    a = parser.parse_args()
    if a.theirs:
        return generate(a)
    ratios = []
    print("round  tts eval tok/s  LLM.generate tok/s  ratio   unseeded, no logprobs")
    for number in range(1, a.rounds + 1):
        we, they, bare = ours(a), theirs(a, plain=False), theirs(a, plain=True)
        ratios.append(we / they)
        print(f"{number:5}  {we:14.1f}  {they:18.1f}  {ratios[-1]:5.3f}   {bare:.1f}", flush=True)
    print(f"median ratio {median(ratios):.3f}")
    return None


if __name__ == "__main__":
    main()
