"""An object in a process of its own: calls, errors, totals, and how both processes end."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

from tts.engines.apart import Apart
from tts.errors import EngineDead, EngineUnavailable, InputError, RequestError
from tts.types import Completion, Sampling


class Counter:
    """What runs in the other process."""

    def __init__(self, start: int, says: str = "") -> None:
        self.totals = {"calls": start}
        self._cancelled = 0
        if says == "refuse":
            raise InputError("not like this", "like that")
        if says == "hang":
            Path(f"hanging-{os.getpid()}").touch()
            time.sleep(60)
        if says == "exit":
            sys.stdout.write("RuntimeError: no more memory\n")
            sys.stdout.flush()
            os._exit(3)
        sys.stdout.write(f"made with {start}\n")
        sys.stdout.flush()

    def facts(self) -> dict[str, Any]:
        return {"pid": os.getpid(), "group": os.getpgid(0), "here": str(Path.cwd())}

    async def echo(self, *values: Any) -> Any:
        self.totals["calls"] += 1
        return values

    async def fail(self, kind: str) -> None:
        raise RequestError("refused", "ask again") if kind == "ours" else KeyError(kind)

    async def sleep(self, seconds: float) -> None:
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self._cancelled += 1
            raise

    async def cancelled(self) -> int:
        return self._cancelled

    async def die(self) -> None:
        os._exit(1)

    async def close(self) -> None: ...


def start(log: Path, *arguments: Any) -> Apart:
    return Apart("test_apart:Counter", arguments or (5,), "a-model", log)


def gone(pid: int, seconds: float = 10) -> bool:
    """Whether the process ends in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def test_calls_values_and_totals(tmp_path: Path) -> None:
    completion = Completion("text", "stop", (1, 2, 3), logprob_sum=-0.5, first=(("a", -1.0),))
    long = "x" * 3_000_000

    async def main() -> None:
        apart = start(tmp_path / "deep" / "log")
        assert apart.totals == {"calls": 5}
        assert await apart.call("echo", completion, Sampling(stop=("\n",))) == (completion, Sampling(stop=("\n",)))
        assert apart.totals == {"calls": 6}
        assert await apart.call("echo", long) == (long,)
        many = await asyncio.gather(*(apart.call("echo", i) for i in range(200)))
        assert many == [(i,) for i in range(200)]
        assert apart.totals == {"calls": 207}
        await apart.close()
        await apart.close()
        assert gone(apart.facts["pid"])
        with pytest.raises(EngineDead, match="closed"):
            await apart.call("echo")

    asyncio.run(main())
    assert (tmp_path / "deep" / "log").read_text() == "made with 5\n"


def test_errors_come_as_they_were_raised(tmp_path: Path) -> None:
    async def main() -> None:
        apart = start(tmp_path / "log")
        with pytest.raises(RequestError, match="refused") as caught:
            await apart.call("fail", "ours")
        assert caught.value.hint == "ask again"
        with pytest.raises(RuntimeError, match="KeyError: 'theirs'"):
            await apart.call("fail", "theirs")
        assert await apart.call("echo", 1) == (1,)
        await apart.close()

    asyncio.run(main())
    assert "Traceback" in (tmp_path / "log").read_text()


def test_a_cancelled_call_is_cancelled_there(tmp_path: Path) -> None:
    async def main() -> None:
        apart = start(tmp_path / "log")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(apart.call("sleep", 60), 0.2)
        assert await apart.call("cancelled") == 1
        await apart.close()

    asyncio.run(main())


def test_what_fails_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not like this") as refused:
        start(tmp_path / "log", 1, "refuse")
    assert refused.value.hint == "like that"
    with pytest.raises(EngineUnavailable, match="cannot start with a-model: RuntimeError: no more memory") as ended:
        start(tmp_path / "log", 1, "exit")
    assert str(tmp_path / "log") in str(ended.value.hint)


def test_a_death_ends_every_call(tmp_path: Path) -> None:
    async def main() -> None:
        apart = start(tmp_path / "log")
        waiting = asyncio.create_task(apart.call("sleep", 60))
        with pytest.raises(EngineDead):
            await apart.call("die")
        with pytest.raises(EngineDead):
            await waiting
        with pytest.raises(EngineDead):
            await apart.call("echo")
        await apart.close()

    asyncio.run(main())


def test_it_has_a_group_of_its_own_and_our_modules_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The terminal's Ctrl-C does not reach it, nor does what lies in the folder we are in."""
    (tmp_path / "socket.py").write_text("raise SystemExit('the wrong one')")
    monkeypatch.chdir(tmp_path)
    apart = start(tmp_path / "log")
    assert apart.facts["group"] == apart.facts["pid"] != os.getpgid(0)
    assert apart.facts["here"] == str(tmp_path)
    asyncio.run(apart.close())


def test_ctrl_c_breaks_off_a_start(tmp_path: Path) -> None:
    script = f"""
import asyncio, sys
sys.path.insert(0, {str(ROOT / "tests")!r})
from pathlib import Path
from test_apart import start
async def main():
    start(Path("log"), 1, "hang")
asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True, cwd=tmp_path) as parent:
        until = time.monotonic() + 30
        while not (found := list(tmp_path.glob("hanging-*"))) and time.monotonic() < until:
            time.sleep(0.05)
        parent.send_signal(signal.SIGINT)
        _, said = parent.communicate(timeout=20)
    assert "KeyboardInterrupt" in said
    assert parent.returncode in (1, 130, -signal.SIGINT)
    assert gone(int(found[0].name.partition("-")[2]))


def test_it_does_not_outlive_us(tmp_path: Path) -> None:
    script = f"""
import sys, time
sys.path.insert(0, {str(ROOT / "tests")!r})
from pathlib import Path
from test_apart import start
apart = start(Path({str(tmp_path / "log")!r}))
print(apart.facts["pid"], flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert not gone(pid, 0.2)
        parent.send_signal(signal.SIGKILL)
        assert gone(pid)
