"""Real vLLM: the engine in process, the command line around it, and a real `vllm serve`."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Coroutine, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import records, tts, write_lines
from processes import vllm_server

from tts.errors import EngineUnavailable, InputError, RequestError
from tts.types import Candidate, Message, Prompt, Sampling

pytest.importorskip("vllm")
pytestmark = [pytest.mark.vllm, pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tiny_model import build

    return build(tmp_path_factory.mktemp("model"))


class Here:
    """An engine and the event loop it lives in."""

    def __init__(self, model: Path, log: Path) -> None:
        from tts.engines.vllm import VLLMEngine

        self.loop = asyncio.new_event_loop()
        self.engine = self.run(self._start(VLLMEngine, model, log))

    @staticmethod
    async def _start(kind: Any, model: Path, log: Path) -> Any:
        return kind(str(model), {"max_model_len": 1024, "block_size": 32}, {}, log)

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(asyncio.wait_for(coroutine, 120))

    def prompt(self, text: str = "What is 2 + 3?") -> Prompt:
        prompt: Prompt = self.engine.render([Message("user", text)])
        return prompt

    async def many(self, prompt: Prompt, n: int, sampling: Sampling, tag: str) -> list[Any]:
        calls = (self.engine.generate(prompt, sampling, 100 + i, f"{tag}{i}") for i in range(n))
        return list(await asyncio.gather(*calls))


@pytest.fixture(scope="module")
def here(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Here]:
    found = Here(tiny, tmp_path_factory.mktemp("logs") / "engine.log")
    yield found
    found.run(found.engine.close())
    found.run(found.engine.close())
    found.loop.close()


SHORT = Sampling(max_tokens=24)


def test_128_seeded_prompts_at_once_and_the_ledger_is_the_engines(here: Here) -> None:
    before = here.engine.counters()
    found = here.run(here.many(here.prompt(), 128, SHORT, "a"))
    after = here.engine.counters()
    assert {c.finish for c in found} <= {"stop", "length"}
    assert sum(c.generated_tokens for c in found) == after["generated_tokens"] - before["generated_tokens"]
    assert sum(c.prompt_tokens for c in found) == after["prompt_tokens"] - before["prompt_tokens"]
    assert all(c.queue_seconds is not None and c.seconds > 0 for c in found)
    assert all(c.generated_tokens == len(c.token_ids) for c in found)


def test_a_seed_decides_the_sample(here: Here) -> None:
    one, again, other = (
        here.run(here.engine.generate(here.prompt(), SHORT, seed, f"s{i}")) for i, seed in enumerate((5, 5, 6))
    )
    assert one.token_ids == again.token_ids
    assert one.token_ids != other.token_ids


def test_abort_returns_what_there_is(here: Here) -> None:
    async def main() -> Any:
        long = Sampling(max_tokens=900, ignore_eos=True)
        task = asyncio.ensure_future(here.engine.generate(here.prompt(), long, 1, "long"))
        while here.engine.counters()["generated_tokens"] == before:
            await asyncio.sleep(0.01)
        await here.engine.abort("long")
        return await task

    before = here.engine.counters()["generated_tokens"]
    completion = here.run(main())
    assert completion.finish == "abort"
    assert 0 < completion.generated_tokens < 900
    assert completion.generated_tokens == here.engine.counters()["generated_tokens"] - before


def test_stopping_early_keeps_the_ledger_and_waiting_costs_nothing(here: Here) -> None:
    """More siblings than places: those that waited when the rule fired are in no counter."""
    from tts.journal import Journal
    from tts.session import Session, Setup
    from tts.strategies.self_consistency import SelfConsistency
    from tts.types import Budget, Problem
    from tts.verify.pool import CheckerPool

    async def main() -> Any:
        with Journal(None) as journal:
            async with CheckerPool(workers=1) as checker:
                setup = Setup(here.engine, journal, checker, None, Sampling(max_tokens=40, ignore_eos=True), Budget())
                sessions = [Session(Problem(f"p{i}", f"What is {i} + 3?"), setup) for i in range(4)]

                async def one(session: Session) -> Any:
                    session.read = lambda completions: [Candidate(c, "5") for c in completions]  # type: ignore[method-assign]
                    return await SelfConsistency(n=200, stop="beta").solve(session.problem, session)

                solutions = await asyncio.gather(*map(one, sessions))
                return solutions, [session.close() for session in sessions]

    assert here.engine.by_priority
    before = here.engine.counters()
    solutions, usages = here.run(main())
    after = here.engine.counters()
    assert [len(s.candidates) >= 4 and s.answer == "5" for s in solutions] == [True] * 4
    assert sum(u.wasted_tokens for u in usages) > 0
    for name in ("prompt_tokens", "cached_tokens", "generated_tokens"):
        assert sum(getattr(u, name) for u in usages) == after[name] - before[name]
    asked = 4 * 200 * 40
    assert sum(u.generated_tokens for u in usages) < asked / 2


def test_a_doubtful_request_is_cut_in_mid_flight_and_others_do_not_stream(here: Here) -> None:
    """With the floor above what the model reaches, a request ends soon after its first full group; below, it does not,
    and its confidences are those of the same request that did not stream.
    """
    prompt = here.prompt()
    long = Sampling(max_tokens=300, ignore_eos=True, top_logprobs=5, confidence_window=8)
    whole = here.run(here.engine.generate(prompt, long, 3, "w"))
    lowest = whole.group_confidence
    assert lowest is not None
    assert not whole.doubted
    before = here.engine.counters()["generated_tokens"]
    kept = here.run(here.engine.generate(prompt, replace(long, confidence_floor=lowest - 0.5), 3, "k"))
    assert (kept.finish, kept.doubted, kept.token_ids) == ("length", False, whole.token_ids)
    assert kept.group_confidence == pytest.approx(lowest, abs=1e-3)
    assert kept.tail_confidence == pytest.approx(whole.tail_confidence, abs=1e-3)
    assert kept.logprob_sum == pytest.approx(whole.logprob_sum, abs=1e-2)
    cut = here.run(here.engine.generate(prompt, replace(long, confidence_floor=lowest + 50), 3, "x"))
    assert (cut.finish, cut.doubted) == ("abort", True)
    assert 8 <= cut.generated_tokens < 100
    assert cut.token_ids == whole.token_ids[: cut.generated_tokens]
    made = here.engine.counters()["generated_tokens"] - before
    assert made == kept.generated_tokens + cut.generated_tokens


def test_length_stop_and_stop_strings_are_told_apart(here: Here) -> None:
    cut = here.run(here.engine.generate(here.prompt(), replace(SHORT, ignore_eos=True), 3, "l"))
    assert (cut.finish, cut.generated_tokens) == ("length", 24)
    letter = cut.text[3]
    stopped = here.run(here.engine.generate(here.prompt(), replace(SHORT, ignore_eos=True, stop=(letter,)), 3, "t"))
    assert (stopped.finish, stopped.stop, stopped.complete) == ("stop", letter, False)
    assert stopped.token_ids == cut.token_ids[: len(stopped.token_ids)]
    assert letter in here.engine.decode(stopped.token_ids[-1:])
    assert letter not in here.engine.decode(stopped.token_ids[:-1])


def test_a_shared_prefix_is_cached(here: Here) -> None:
    prompt = here.prompt("a long question " * 20)
    first, second = (here.run(here.engine.generate(prompt, SHORT, i, f"c{i}")) for i in range(2))
    assert first.cached_tokens == 0
    assert second.cached_tokens >= len(prompt.token_ids) - 2 * 32


def test_confidence_comes_with_the_tokens(here: Here) -> None:
    completion = here.run(here.engine.generate(here.prompt(), replace(SHORT, top_logprobs=20), 3, "p"))
    plain = here.run(here.engine.generate(here.prompt(), SHORT, 3, "q"))
    assert completion.logprob_sum == pytest.approx(plain.logprob_sum, abs=1e-2)
    assert plain.self_certainty is None
    assert 0 < completion.self_certainty < 5
    bare = here.run(here.engine.generate(here.prompt(), replace(SHORT, top_logprobs=None), 3, "r"))
    assert bare == replace(
        plain.without_logprobs, queue_seconds=bare.queue_seconds, seconds=bare.seconds, cached_tokens=bare.cached_tokens
    )


def test_a_request_it_cannot_take_leaves_it_alive(here: Here) -> None:
    with pytest.raises(RequestError, match="maximum model length"):
        here.run(here.engine.generate(Prompt("x", (5,) * 2000), SHORT, 1, "x"))
    assert here.run(here.engine.generate(here.prompt(), SHORT, 1, "y")).generated_tokens


def test_the_models_defaults_are_used_and_told(here: Here) -> None:
    assert here.engine.sampling_defaults == {"temperature": 0.9}
    assert any("temperature=0.9" in note for note in here.engine.notes)
    assert here.prompt().text == "<|user|>What is 2 + 3?<|end|><|assistant|>"


def test_engine_arguments_are_checked(tiny: Path, tmp_path: Path) -> None:
    from tts.engines.vllm import VLLMEngine

    with pytest.raises(InputError, match="no engine argument 'max_model_length'") as caught:
        VLLMEngine(str(tiny), {"max_model_length": 5}, {}, tmp_path / "log")
    assert "max_model_len" in str(caught.value.hint)
    (tmp_path / "empty").mkdir()
    with pytest.raises(EngineUnavailable, match=r"no config\.json"):
        VLLMEngine(str(tmp_path / "empty"), {}, {}, tmp_path / "log")
    with pytest.raises(EngineUnavailable, match="no such model folder"):
        VLLMEngine("/no/such/model", {}, {}, tmp_path / "log")


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    rows = [{"question": f"What is {a} + 1?", "answer": str(a + 1)} for a in range(40)]
    return write_lines(tmp_path / "q.jsonl", rows)


def _words(questions: Path, model: Path, run: Path, *more: object) -> list[str]:
    words = ["eval", questions, "-m", model, "-n", 8, "--max-tokens", 400, "--output", run, "-M", "max_model_len=1024"]
    return [sys.executable, "-m", "tts", *map(str, (*words, *more))]


def _engine_processes(parent: int) -> set[int]:
    """Processes that descend from `parent` or were started with its mark."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                marked = f"TTS_ENGINE_PARENT={parent}".encode() in (entry / "environ").read_bytes()
            except OSError:
                continue
            if marked and int(entry.name) != parent:
                found.add(int(entry.name))
    return found


def _gone(processes: set[int], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not any(Path(f"/proc/{p}").exists() for p in processes):
            return True
        time.sleep(0.2)
    return False


def _running(words: list[str], run: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace", start_new_session=True
    )
    deadline = time.monotonic() + 240
    while not (run / "records.jsonl").exists() or not (run / "records.jsonl").stat().st_size:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return process


def _written(run: Path) -> int:
    """Whole lines: the last one may be cut, in mid-character too."""
    return (run / "records.jsonl").read_bytes().count(b"\n")


def test_killed_and_interrupted_and_resumed(questions: Path, tiny: Path, tmp_path: Path) -> None:
    """kill -9 leaves no engine behind; Ctrl-C to the whole group drains; a resume ends it, the ledger exact."""
    run = tmp_path / "run"
    process = _running(_words(questions, tiny, run, "--concurrency", 2), run)
    engines = _engine_processes(process.pid)
    assert engines
    process.kill()
    process.communicate()
    assert _gone(engines, 30), "an engine process outlived its parent"
    killed = _written(run)
    process = _running(_words(questions, tiny, run, "--concurrency", 2, "--resume"), run)
    engines = _engine_processes(process.pid)
    while _written(run) <= killed:
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, told = process.communicate(timeout=120)
    assert process.returncode == 130, told
    assert _gone(engines, 30)
    assert killed < len(records(run)) < 40
    done = subprocess.run(
        _words(questions, tiny, run, "--resume", "--json"), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["counts"]["records"] == 40
    lives = json.loads((run / "manifest.json").read_text())["lives"]
    assert [life["ended"] for life in lives] == ["killed", "drained", "complete"]


def test_the_ledger_over_an_interrupted_and_a_resumed_life(questions: Path, tiny: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = _running(_words(questions, tiny, run, "--concurrency", 8), run)
    time.sleep(2)  # the first eight problems end together: the next eight shall be under way
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=120)
    assert process.returncode == 130, told
    done = subprocess.run(_words(questions, tiny, run, "--resume"), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    usage = json.loads((run / "results.json").read_text())["usage"]
    lives = json.loads((run / "manifest.json").read_text())["lives"]
    assert usage["wasted_tokens"] > 0
    for name in ("prompt_tokens", "generated_tokens"):
        assert usage[name] == sum(life["engine"][name] for life in lives)


@pytest.fixture(scope="module")
def served(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    words = ("--model", tiny, "--served-model-name", "tiny", "--max-model-len", 1024, "--enable-prompt-tokens-details")
    with vllm_server(tmp_path_factory.mktemp("serve") / "log", *words) as url:
        yield url


def test_a_real_server_takes_token_ids_and_aborts(served: str) -> None:
    from tts.engines.server import ServerEngine

    async def main() -> None:
        engine = await ServerEngine.connect([served], None, {"stream": True}, {})
        assert engine.model == "tiny"
        assert engine.max_model_len == 1024
        prompt = engine.render([Message("user", "What is 2 + 3?")])
        assert prompt.token_ids
        calls = (engine.generate(prompt, replace(SHORT, top_logprobs=5), i, str(i)) for i in range(32))
        found = await asyncio.gather(*calls)
        assert all(c.generated_tokens == len(c.token_ids) and c.logprob_sum < 0 for c in found)
        assert all(c.prompt_tokens == len(prompt.token_ids) for c in found)
        assert all(c.cached_tokens is not None and c.self_certainty > 0 for c in found)
        bare = await engine.generate(prompt, replace(SHORT, top_logprobs=None), 1, "bare")
        assert bare.generated_tokens == len(bare.token_ids) > 0
        assert bare.logprob_sum is None
        long = Sampling(max_tokens=900, ignore_eos=True)
        task = asyncio.ensure_future(engine.generate(prompt, long, 1, "long"))
        await asyncio.sleep(1.0)
        await engine.abort("long")
        completion = await task
        assert completion.finish == "abort"
        assert 0 < completion.generated_tokens < 900
        with pytest.raises(RequestError):
            await engine.generate(prompt, Sampling(max_tokens=5000), 1, "big")
        await engine.close()

    asyncio.run(main())


def test_the_command_line_over_a_real_server(served: str, questions: Path, tmp_path: Path) -> None:
    words = ["eval", questions, "--engine", "server", "--base-url", served, "-n", 4, "--max-tokens", 30, "--limit", 10]
    done = tts(*words, "--output", tmp_path / "run", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["counts"]["candidates"] == 40
    assert told["usage"]["generated_tokens"] == sum(r["usage"]["generated_tokens"] for r in records(tmp_path / "run"))
