"""The server engine against a small HTTP server that answers, fails and hangs on demand.

`test_vllm.py` does the same against a real `vllm serve`.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from conftest import tts

from tts.engines.server import ServerEngine
from tts.errors import EngineDead, EngineUnavailable, InputError, RequestError
from tts.types import Completion, Message, Prompt, Sampling


class Stand:
    """A chat server; `plan` holds the status of the next replies, 200 when it is empty."""

    def __init__(self) -> None:
        self.plan: list[int] = []
        self.bodies: list[dict[str, Any]] = []
        self.delay = 0.0
        self.headers: dict[str, str] = {}
        self.page: bytes | None = None
        stand = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._send(200, {"object": "list", "data": [{"id": "m", "object": "model", "owned_by": "us"}]})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                stand.bodies.append(body)
                status = stand.plan.pop(0) if stand.plan else 200
                if status == -1:
                    self.close_connection = True
                elif status != 200:
                    self._send(status, {"error": {"message": f"status {status} as planned"}})
                elif body.get("stream"):
                    self._stream()
                else:
                    time.sleep(stand.delay)
                    self._send(200, stand.reply())

            def _stream(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Connection", "close")
                self.end_headers()
                for index, word in enumerate(("one ", "two ", "three")):
                    if index == 2:
                        time.sleep(stand.delay)
                    chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
                    chunk["choices"] = [{"index": 0, "delta": {"content": word}, "finish_reason": None}]
                    chunk["usage"] = {"prompt_tokens": 4, "completion_tokens": index + 1, "total_tokens": 5 + index}
                    try:
                        self.wfile.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
                        self.wfile.flush()
                    except OSError:
                        return
                self.wfile.write(b"data: [DONE]\n\n")
                self.close_connection = True

            def _send(self, status: int, content: dict[str, Any]) -> None:
                data = stand.page or json.dumps(content).encode()
                try:
                    self.send_response(status)
                    self.send_header("Content-Type", "text/html" if stand.page else "application/json")
                    for name, value in stand.headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)
                except OSError:
                    pass

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    @staticmethod
    def reply() -> dict[str, Any]:
        logprobs = {"content": [{"token": "a", "logprob": -0.5, "bytes": None, "top_logprobs": []}] * 3}
        message = {"role": "assistant", "content": "The answer is \\boxed{5}."}
        return {
            "id": "1", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": logprobs}],
            "usage": {"prompt_tokens": 4, "completion_tokens": 3, "total_tokens": 7},
        }  # fmt: skip

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def stand() -> Iterator[Stand]:
    server = Stand()
    yield server
    server.close()


async def _engine(*urls: str, **options: Any) -> ServerEngine:
    return await ServerEngine.connect(urls, None, options, {})


async def _once(engine: ServerEngine, **sampling: Any) -> Completion:
    prompt = engine.render([Message("user", "2 + 3?")])
    try:
        return await engine.generate(prompt, Sampling(max_tokens=20, **sampling), 7, "r")
    finally:
        await engine.close()


def test_a_chat_reply_is_read_whole(stand: Stand) -> None:
    async def main() -> Completion:
        return await _once(await _engine(stand.url))

    completion = asyncio.run(main())
    assert completion.text == "The answer is \\boxed{5}."
    assert (completion.prompt_tokens, completion.generated_tokens, completion.cached_tokens) == (4, 3, None)
    assert completion.logprob_mean == pytest.approx(-0.5)
    assert stand.bodies[0]["seed"] == 7
    assert stand.bodies[0]["messages"] == [{"role": "user", "content": "2 + 3?"}]
    assert stand.bodies[0]["logprobs"] is True


def test_log_probabilities_that_nobody_wants_are_not_asked_for(stand: Stand) -> None:
    async def main() -> Completion:
        return await _once(await _engine(stand.url), top_logprobs=None)

    assert asyncio.run(main()).logprob_mean is None
    assert not {"logprobs", "top_logprobs"} & stand.bodies[0].keys()


@pytest.mark.parametrize("plan", [[429, 503], [500], [-1]], ids=str)
def test_passing_failures_are_tried_again(stand: Stand, plan: list[int]) -> None:
    async def main() -> Completion:
        stand.plan[:] = plan
        return await _once(await _engine(stand.url))

    assert asyncio.run(main()).finish == "stop"
    assert len(stand.bodies) == len(plan) + 1


def test_a_refusal_is_the_requests_own_error(stand: Stand) -> None:
    async def main() -> Completion:
        stand.plan[:] = [400]
        return await _once(await _engine(stand.url))

    with pytest.raises(RequestError, match=r"400.*as planned"):
        asyncio.run(main())
    assert len(stand.bodies) == 1


def test_a_server_that_stays_away_is_a_dead_engine(stand: Stand) -> None:
    async def main() -> Completion:
        stand.plan[:] = [-1] * 9
        return await _once(await _engine(stand.url, attempts=2))

    with pytest.raises(EngineDead, match="2 attempts"):
        asyncio.run(main())


def test_each_attempt_has_a_timeout(stand: Stand) -> None:
    async def main() -> Completion:
        stand.delay = 3.0
        return await _once(await _engine(stand.url, attempts=1, timeout=0.3))

    began = time.monotonic()
    with pytest.raises(RequestError, match="no reply within"):
        asyncio.run(main())
    assert time.monotonic() - began < 2.5


def test_an_aborted_stream_keeps_its_text_and_tokens(stand: Stand) -> None:
    async def main() -> Completion:
        stand.delay = 5.0
        engine = await _engine(stand.url, stream=True)
        task = asyncio.ensure_future(_once(engine))
        await asyncio.sleep(1.0)
        await engine.abort("r")
        return await task

    began = time.monotonic()
    completion = asyncio.run(main())
    assert time.monotonic() - began < 4
    assert (completion.finish, completion.text, completion.generated_tokens) == ("abort", "one two ", 2)


def test_two_servers_share_the_load(stand: Stand) -> None:
    other = Stand()

    async def main() -> None:
        engine = await _engine(stand.url, other.url)
        assert engine.max_sequences == 256
        prompt = engine.render([Message("user", "q")])
        stand.delay = other.delay = 0.2
        await asyncio.gather(*(engine.generate(prompt, Sampling(max_tokens=5), i, str(i)) for i in range(8)))
        await engine.close()

    asyncio.run(main())
    counts = sorted((len(stand.bodies), len(other.bodies)))
    other.close()
    assert counts == [4, 4]


def test_what_cannot_be_reached_or_asked_is_said(stand: Stand) -> None:
    with pytest.raises(EngineUnavailable, match="no server answers"):
        asyncio.run(_engine("http://127.0.0.1:9/v1"))
    with pytest.raises(EngineUnavailable, match="does not serve 'n'"):
        asyncio.run(ServerEngine.connect([stand.url], "n", {}, {}))
    with pytest.raises(InputError, match="no option 'tokeniser'"):
        asyncio.run(_engine(stand.url, tokeniser="x"))
    with pytest.raises(EngineUnavailable, match="no tokenizer"):
        asyncio.run(_engine(stand.url, tokenizer="/nowhere"))
    with pytest.raises(RequestError, match="top_k"):
        asyncio.run(_top_k(stand.url))


async def _top_k(url: str) -> None:
    engine = await _engine(url)
    await _once(engine, top_k=5)


def test_a_prefill_needs_the_tokenizer(stand: Stand) -> None:
    async def main() -> Prompt:
        engine = await _engine(stand.url)
        try:
            return engine.render([Message("user", "q")], "Let me")
        finally:
            await engine.close()

    with pytest.raises(InputError, match="tokenizer"):
        asyncio.run(main())


def test_the_command_line_over_a_server(stand: Stand) -> None:
    done = tts("run", "2 + 3?", "--engine", "server", "--base-url", stand.url, "-n", 3)
    assert (done.returncode, done.stdout) == (0, "5\n"), done.stderr
    assert "as messages" in done.stderr


def test_a_web_page_instead_of_a_reply_is_an_error_in_one_line(stand: Stand) -> None:
    async def main() -> None:
        engine = await _engine(stand.url)
        stand.page = b"<html>Log in first</html>"
        with pytest.raises(RequestError, match="cannot be used"):
            await _once(engine)
        with pytest.raises(EngineUnavailable, match="does not list its models"):
            await _engine(stand.url)

    asyncio.run(main())


def test_it_waits_as_long_as_the_server_says(stand: Stand) -> None:
    """Twelve waits of its own choice would take minutes."""

    async def main() -> float:
        engine = await _engine(stand.url, attempts=13)
        stand.plan, stand.headers = [429] * 12, {"Retry-After": "0"}
        began = time.monotonic()
        await _once(engine)
        return time.monotonic() - began

    assert asyncio.run(main()) < 15


def test_template_arguments_reach_a_server_that_is_addressed_by_messages(stand: Stand) -> None:
    async def main() -> None:
        await _once(await ServerEngine.connect([stand.url], None, {}, {"enable_thinking": False}))

    asyncio.run(main())
    assert stand.bodies[-1]["chat_template_kwargs"] == {"enable_thinking": False}
