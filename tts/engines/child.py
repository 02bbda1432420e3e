"""What an engine process does first: leave the terminal's process group, die when its parent does, know our models.

vLLM's processes would otherwise get the Ctrl-C that asks us to drain, and outlive us after `kill -9`. Forked
processes come here through `os.register_at_fork`, spawned ones through vLLM's own plugin entry point.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

from tts.engines.heads import register

PARENT = "TTS_ENGINE_PARENT"
"""Set to our process id while an engine starts."""
_PR_SET_PDEATHSIG = 1


def detach() -> None:
    """vLLM's plugin entry point, called in each of its processes, those of `vllm serve` among them."""
    register()
    leave()


def leave() -> None:
    """Detach the calling process if it is a child of an engine start; nothing in any other process."""
    parent = os.environ.get(PARENT)
    if parent is None or int(parent) == os.getpid():
        return
    os.setpgid(0, 0)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
