"""Tokens per second of `tts eval -s self-consistency` against `vllm.LLM.generate` on the same work.

    python tests/perf/throughput.py MODEL PROBLEMS.jsonl [-n 8] [--limit 16] [--max-tokens 128] [--rounds 2]

Same prompts, n, sampling, seeds and engine arguments; one process an engine, ours and theirs in turn; the time
from the first submission to the last result (ours: with journal, grading, records and results), engine start
left out. Ratios are per round, as the machine's speed drifts. A last column has `LLM.generate` without seeds and
without log-probabilities, for what those cost.

`--apart`: only `LLM.generate`, on one engine, with and without each of the two in turn, so that each one's cost is
seen; end of text is ignored, so that the batch stays full. Processor seconds are those of the engine's process, in
which on CPU the model runs too, and of this one.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any


def ours(a: argparse.Namespace) -> float:
    """Generated tokens per second of the command line, by the engine's own counter."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        words = ["-m", "tts", "eval", a.problems, "-m", a.model, "-s", "self-consistency", "-n", a.n]
        words += ["--limit", a.limit, "--max-tokens", a.max_tokens, "--output", run]
        words += ["--no-logprobs"] if a.no_logprobs else []
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
    words += ["--no-logprobs"] if a.no_logprobs else []
    for argument in a.engine_arg:
        words += ["-M", argument]
    done = subprocess.run([sys.executable, *map(str, words)], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return float(done.stdout.splitlines()[-1])


def requests(
    template: Any,
    defaults: Any,
    problems: str,
    limit: str,
    n: int,
    max_tokens: int,
    *,
    seeded: bool,
    logprobs: bool,
    **sampled: float,
) -> tuple[list[Any], list[Any]]:
    """Prompts and sampling parameters of what `tts eval -s self-consistency -n N` asks the engine for, with or without
    its seeds and log-probabilities. `sampled` goes over the `defaults`: temperature and top_p."""
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
            if seeded:
                sampling.seed = derive_seed(0, p.id, prompt_digest(prompt), index)
            if logprobs:
                sampling.logprobs = 0
            prompts.append(TokensPrompt(prompt_token_ids=list(prompt.token_ids)))
            params.append(sampling)
    return prompts, params


def load(a: argparse.Namespace, **more: Any) -> Any:
    """A `vllm.LLM` with the arguments that ours has."""
    os.environ["VLLM_LOGGING_STREAM"] = "ext://sys.stderr"
    from vllm import LLM

    from tts.engines.startup import engine_arguments

    given: dict[str, Any] = {k: json.loads(v) for k, _, v in (s.partition("=") for s in a.engine_arg)}
    arguments = engine_arguments(a.model, given)
    arguments.pop("disable_log_stats")
    return LLM(model=a.model, **{**more, **arguments})


def asked(llm: Any, a: argparse.Namespace, *, seeded: bool, logprobs: bool, **sampled: float) -> tuple[Any, Any]:
    from tts.engines.templates import ChatTemplate

    template, defaults, limit = ChatTemplate(llm.get_tokenizer(), {}), llm.get_default_sampling_params(), str(a.limit)
    how = {"seeded": seeded, "logprobs": logprobs, **sampled}
    return requests(template, defaults, a.problems, limit, a.n, a.max_tokens, **how)


def generate(a: argparse.Namespace) -> None:
    """The other side: what a script that knows vLLM would do."""
    llm = load(a)
    prompts, params = asked(llm, a, seeded=not a.plain, logprobs=not (a.plain or a.no_logprobs))
    began = time.perf_counter()
    outputs = llm.generate(prompts, params, use_tqdm=False)
    seconds = time.perf_counter() - began
    print(sum(len(o.outputs[0].token_ids) for o in outputs) / seconds)


def apart(a: argparse.Namespace) -> None:
    """What seeds and log-probabilities cost, each by itself and together."""
    from search import children, cpu_of
    from vllm.v1.executor.uniproc_executor import UniProcExecutor

    # As tts has it on two cores: a process or threads of its own for the model would spin.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    llm = load(a, distributed_executor_backend=UniProcExecutor)
    engine = children(os.getpid())
    found: dict[tuple[bool, bool], list[tuple[float, ...]]] = defaultdict(list)
    print("round  seeds  logprobs  tokens/s   processor seconds per 1,000 tokens: engine, this process")
    kinds = list(product((False, True), repeat=2))
    for number, (seeded, logprobs) in [(0, kinds[-1]), *product(range(1, a.rounds + 1), kinds)]:  # 0 warms up
        prompts, params = asked(llm, a, seeded=seeded, logprobs=logprobs, ignore_eos=True)
        llm.reset_prefix_cache()
        began, cpu = time.perf_counter(), (cpu_of(engine), time.process_time())
        outputs = llm.generate(prompts, params, use_tqdm=False)
        seconds = time.perf_counter() - began
        thousands = sum(len(o.outputs[0].token_ids) for o in outputs) / 1000
        spent = ((cpu_of(engine) - cpu[0]) / thousands, (time.process_time() - cpu[1]) / thousands)
        if number:
            found[seeded, logprobs].append((1000 * thousands / seconds, *spent))
            print(_line(number, seeded, logprobs, found[seeded, logprobs][-1]), flush=True)
    for (seeded, logprobs), rows in found.items():
        print(_line("median", seeded, logprobs, [median(column) for column in zip(*rows, strict=True)]))


def _line(number: int | str, seeded: bool, logprobs: bool, row: Sequence[float]) -> str:
    rate, engine, ours = row
    return f"{number:>6}  {seeded!s:5}  {logprobs!s:8}  {rate:8.0f}   {engine:.3f}  {ours:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("problems")
    parser.add_argument("-n", type=int, default=8)
    parser.add_argument("--limit", type=int, default=16)
    parser.add_argument("--max-tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("-M", "--engine-arg", action="append", default=[])
    parser.add_argument("--no-logprobs", action="store_true", help="no log-probabilities on either side")
    parser.add_argument("--apart", action="store_true", help="seeds and log-probabilities each by itself")
    parser.add_argument("--theirs", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--plain", action="store_true", help=argparse.SUPPRESS)
    a = parser.parse_args()
    if a.theirs:
        return generate(a)
    if a.apart:
        return apart(a)
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
