"""A reward model behind HTTP: a server that answers /pooling as vLLM's does."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tts.engines.remote_scorer import RemoteScorer
from tts.errors import EngineUnavailable, RequestError
from tts.types import Completion, Message, Problem, Prompt
from tts.verify import cards
from tts.verify.reward import RewardVerifier


class Pooling:
    """Gives every token the logits (0, its place); `plan` holds statuses for the next requests, `delay` seconds."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.plan: list[int] = []
        self.delay = 0.0
        self.short = False
        pooling = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._send(200, {"data": [{"id": "prm", "max_model_len": 512}]})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                pooling.asked.append(body)
                time.sleep(pooling.delay)
                status = pooling.plan.pop() if pooling.plan else 200
                places = range(len(body["input"]) - pooling.short)
                rows = [[0.0, place / 100] for place in places]
                self._send(status, {"data": [{"index": 0, "data": rows}]})

            def _send(self, status: int, content: dict[str, Any]) -> None:
                data = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def pooling() -> Iterator[Pooling]:
    found = Pooling()
    yield found
    found.close()


SESSION = cast(Any, SimpleNamespace(problem=Problem("p", "What is 2 + 3?")))
ASKED = Prompt("", (), (Message("user", "What is 2 + 3?"),))


async def score(pooling: Pooling, *texts: str, abort: bool = False) -> list[Any]:
    card, _ = cards.load("nano")
    assert isinstance(card, cards.RewardCard)
    verifier = RewardVerifier(card, await RemoteScorer.open(card, pooling.url))
    try:
        tasks = [
            asyncio.ensure_future(verifier.score(ASKED, Completion(t, "stop"), SESSION, str(i)))
            for i, t in enumerate(texts)
        ]
        if abort:
            await asyncio.sleep(0.2)
            await verifier.abort("0")
        return list(await asyncio.gather(*tasks))
    finally:
        await verifier.close()


def test_a_server_scores_by_token_ids(pooling: Pooling) -> None:
    (found,) = asyncio.run(score(pooling, "It is 5.\n\nThe answer is 5."))
    (body,) = pooling.asked
    assert (body["task"], body["use_activation"], body["model"]) == ("token_classify", False, "prm")
    assert found.tokens == len(body["input"])
    assert found.cached_tokens == 0
    assert len(found.steps) == 2
    assert 0.5 < found.steps[0] < found.steps[1]


def test_a_refusal_a_wrong_pooling_and_an_abort_are_the_requests_own_errors(pooling: Pooling) -> None:
    pooling.plan = [400]
    with pytest.raises(RequestError, match="refused the request"):
        asyncio.run(score(pooling, "a"))
    pooling.short = True
    with pytest.raises(RequestError, match="rows for") as caught:
        asyncio.run(score(pooling, "a"))
    assert "pooler-config" in str(caught.value.hint)
    pooling.delay = 1.0
    with pytest.raises(RequestError, match="aborted"):
        asyncio.run(score(pooling, "a", abort=True))


def test_a_verifier_that_cannot_be_reached_is_said(pooling: Pooling) -> None:
    card, _ = cards.load("nano")
    assert isinstance(card, cards.RewardCard)
    for url in ("http://127.0.0.1:9/v1", "nonsense"):
        with pytest.raises(EngineUnavailable, match="no server answers at"):
            asyncio.run(RemoteScorer.open(card, url))


def test_a_missing_tokenizer_is_one_clear_error(pooling: Pooling, tmp_path: Path) -> None:
    card, _ = cards.load("nano")
    assert isinstance(card, cards.RewardCard)
    with pytest.raises(EngineUnavailable, match="cannot load the tokenizer"):
        asyncio.run(RemoteScorer.open(card.model_copy(update={"model": str(tmp_path)}), pooling.url))
