"""What more test-time compute makes of the embedded model, on real vLLM.

    python tests/perf/nano.py [--problems 200] [-n 16] [--only nano-3 nano-4 nano-long nano-stateful] [--out FILE]

Problems of the test split, one request a sample with a seed of its own, temperature 0.8. For nano-1 to nano-5:
accuracies in percent, and the gains that the model was made to show, with 95 % intervals over problems. For
nano-long: InftyThink rounds of 4 steps against one response cut at the window. For nano-stateful: accuracy and
tokens of an answer from notes against one without, at five verbosities.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import time
from dataclasses import asdict
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "2")
os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")

from tts import stats
from tts.catalog import render
from tts.nano import POLICY, VERIFIER
from tts.nano.dialogue import VERBOSITIES, as_chat, ask
from tts.nano.labels import read_answer
from tts.nano.problems import STEPS_PER_WINDOW, benchmark_problems
from tts.nano.story import NanoProblem
from tts.nano.tables import Sampled, line

STEP, BLANK, END = "<extra_0>", "\n\n", "<|im_end|>"
ENGINE: dict[str, Any] = {"enable_chunked_prefill": False, "max_num_batched_tokens": 8192, "max_model_len": 2048}
GAINS = (("maj", "pass@1", 10), ("weighted", "maj", 4), ("pass@n", "best", 0))
LADDER = ["nano-1", "nano-2", "nano-3", "nano-4", "nano-5"]
WINDOW_TOKENS = 104
WHOLE_TOKENS = 1000
ROUNDS = 12


class Policy:
    """The policy on an engine of its own."""

    def __init__(self, folder: Path) -> None:
        from vllm import LLM

        self.llm = LLM(str(folder), max_num_seqs=256, **ENGINE)
        self.seed = 0

    def sample(self, prompts: list[list[int]], max_tokens: int) -> list[tuple[str, list[int]]]:
        """A text and its token ids for each prompt."""
        from vllm import SamplingParams

        requests = [{"prompt_token_ids": prompt} for prompt in prompts]
        seeds = range(self.seed, self.seed + len(requests))
        self.seed += len(requests)
        sampling = [SamplingParams(temperature=0.8, max_tokens=max_tokens, seed=seed) for seed in seeds]
        began = time.monotonic()
        outputs = [output.outputs[0] for output in self.llm.generate(requests, sampling, use_tqdm=False)]
        tokens = sum(len(output.token_ids) for output in outputs)
        print(f"{len(outputs)} samples, {tokens / (time.monotonic() - began):.0f} tokens/s", flush=True)
        return [(output.text, list(output.token_ids)) for output in outputs]

    def encode(self, text: str) -> list[int]:
        ids: list[int] = self.llm.get_tokenizer().encode(text, add_special_tokens=False)
        return ids


def score(folder: Path, sequences: list[tuple[int, ...]], step: int) -> dict[tuple[int, ...], list[float]]:
    """The probability of right at every step token, for each different sequence."""
    from vllm import LLM
    from vllm.config import PoolerConfig

    pooler = PoolerConfig(tok_pooling_type="STEP", step_tag_id=step)
    llm = LLM(str(folder), runner="pooling", pooler_config=pooler, max_num_seqs=256, **ENGINE)
    different = sorted(set(sequences))
    requests = [{"prompt_token_ids": list(sequence)} for sequence in different]
    began = time.monotonic()
    outputs = llm.encode(requests, pooling_task="token_classify", use_tqdm=False)
    print(f"{len(different)} different responses scored, {time.monotonic() - began:.0f} s", flush=True)
    return {s: output.outputs.data[:, 1].tolist() for s, output in zip(different, outputs, strict=True)}


def ladder(policy: Policy, options: argparse.Namespace, names: list[str]) -> None:
    """The table by difficulty."""
    n, size = options.n, options.problems
    problems = [problem for name in names for problem in benchmark_problems(name, size)]
    prompts = [policy.encode(ask(problem)) for problem in problems for _ in range(n)]
    samples = policy.sample(prompts, 256)
    step, blank, end = (policy.encode(token)[0] for token in (STEP, BLANK, END))
    sequences = [
        (*prompt, *(step if token == blank else token for token in ids if token != end), step)
        for prompt, (_, ids) in zip(prompts, samples, strict=True)
    ]
    scores = score(options.verifier, sequences, step)
    rows = []
    for i, problem in enumerate(problems):
        mine = slice(i * n, (i + 1) * n)
        answers = [read_answer(text) for text, _ in samples[mine]]
        rows.append(Sampled(problem.target, answers, [min(scores[sequence]) for sequence in sequences[mine]]))
    for number, name in enumerate(names):
        here = rows[number * size : (number + 1) * size]
        print(line(name, here), flush=True)
        for better, worse, wanted in GAINS:
            gains = [100 * (outcome[better] - outcome[worse]) for outcome in (row.outcome() for row in here)]
            mean, half = fmean(gains), stats.Z95 * stdev(gains) / len(gains) ** 0.5
            print(f"    {better} - {worse}: {mean:+.1f} [{mean - half:+.1f}, {mean + half:+.1f}], wanted >= {wanted}")
    if options.out:
        detail = [{**asdict(row), "question": p.statement} for row, p in zip(rows, problems, strict=True)]
        options.out.write_text(json.dumps(detail))


def share(answers: list[str | None], problems: list[NanoProblem]) -> str:
    """How many are right, with Wilson's interval."""
    right = sum(answer == problem.target for answer, problem in zip(answers, problems, strict=True))
    low, high = stats.wilson(right, len(problems))
    return f"{100 * right / len(problems):.1f} % [{100 * low:.1f}, {100 * high:.1f}]"


def infty(policy: Policy, problems: list[NanoProblem]) -> None:
    """Rounds that hand on a summary, and one response as long as a round."""
    prompts = [
        as_chat(render("infty-round", question=p.statement, context=None, steps=STEPS_PER_WINDOW)) for p in problems
    ]
    answers: list[str | None] = [None] * len(problems)
    going = dict.fromkeys(range(len(problems)), "")
    rounds = 0
    for _ in range(ROUNDS):
        texts = policy.sample([policy.encode(prompts[i] + history) for i, history in going.items()], WINDOW_TOKENS)
        rounds += len(going)
        after = {}
        for index, (text, _) in zip(going, texts, strict=True):
            summary = text.partition("<summary>")[2].partition("</summary>")[0]
            answers[index] = read_answer(text)
            if summary:
                after[index] = render("infty-history", summary=summary)
        going = after
        if not going:
            break
    cut = [read_answer(text) for text, _ in policy.sample([policy.encode(ask(p)) for p in problems], WINDOW_TOKENS)]
    chains = policy.sample([policy.encode(ask(p)) for p in problems], WHOLE_TOKENS)
    whole = [read_answer(text) for text, _ in chains]
    length = fmean(len(ids) for _, ids in chains)
    print(f"nano-long      {share(answers, problems)} in {rounds / len(problems):.1f} rounds a problem")
    print(f"    one response cut at a window: {share(cut, problems)}; uncut: {share(whole, problems)}")
    print(f"    an uncut response has {length:.0f} tokens, a round at most {WINDOW_TOKENS}", flush=True)


def sleep(policy: Policy, problems: list[NanoProblem]) -> None:
    """Notes written before the question, and answers with and without them."""
    contexts = list(dict.fromkeys(problem.body for problem in problems))
    written = policy.sample([policy.encode(as_chat(render("sleep-notes", context=c))) for c in contexts], 256)
    notes = {context: text for context, (text, _) in zip(contexts, written, strict=True)}
    print(f"nano-stateful  notes have {fmean(len(ids) for _, ids in written):.0f} tokens")
    plain = policy.sample([policy.encode(ask(problem)) for problem in problems], 256)
    report("plain", plain, problems)
    for verbosity, noted in itertools.product(range(VERBOSITIES), (False, True)):
        prompts = [
            render(
                "sleep-answer",
                context=p.body,
                notes=notes[p.body] if noted else None,
                question=p.question,
                verbosity=verbosity,
            )
            for p in problems
        ]
        samples = policy.sample([policy.encode(as_chat(prompt)) for prompt in prompts], 256)
        report(f"{'with' if noted else 'without'} notes, verbosity {verbosity}", samples, problems)


def report(name: str, samples: list[tuple[str, list[int]]], problems: list[NanoProblem]) -> None:
    """A row: accuracy and tokens."""
    tokens = fmean(len(ids) for _, ids in samples)
    print(f"    {name}: {share([read_answer(t) for t, _ in samples], problems)}, {tokens:.1f} tokens", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=200)
    parser.add_argument("-n", type=int, default=16)
    parser.add_argument("--only", nargs="+", default=[*LADDER, "nano-long", "nano-stateful"])
    parser.add_argument("--policy", type=Path, default=POLICY)
    parser.add_argument("--verifier", type=Path, default=VERIFIER)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    policy = Policy(options.policy)
    if "nano-long" in options.only:
        infty(policy, benchmark_problems("nano-long", options.problems))
    if "nano-stateful" in options.only:
        sleep(policy, benchmark_problems("nano-stateful", options.problems))
    if names := [name for name in LADDER if name in options.only]:
        ladder(policy, options, names)


if __name__ == "__main__":
    main()
