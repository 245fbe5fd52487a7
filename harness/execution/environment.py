"""The machine and the software a run is made on. Unknown is ``None``, never 0."""

import os
import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil
import torch
from cpuinfo import get_cpu_info

from harness.record import Environment

_PACKAGES = (
    "stability-harness", "torch", "torchvision", "numpy", "hypothesis", "pytest", "pytest-benchmark", "pandas",
    "matplotlib", "python-flint",
)  # fmt: skip

_SETTINGS = ("BLAS_INFO", "LAPACK_INFO", "BUILD_TYPE", "COMMIT_SHA", "USE_CUDA", "USE_MKLDNN", "USE_OPENMP", "USE_ROCM")
"""Build settings of torch that affect results or speed."""

_DISPATCHED = ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_bf16", "asimd", "sve")
"""Instruction sets by which MKL and oneDNN choose a kernel, in addition to those of torch's kernels."""


def environment() -> Environment:
    """Describe this process's machine, torch build and versions."""
    commit, dirty = _read_git()
    return Environment(
        machine=platform.machine(),
        processor=str(_read_processor().get("brand_raw") or platform.processor() or "unknown"),
        cores=psutil.cpu_count(logical=True) or 1,
        usable_cores=usable_cores(),
        memory_bytes=psutil.virtual_memory().total,
        accelerator=accelerator_name(),
        os=platform.platform(),
        python=platform.python_version(),
        torch=torch.__version__,
        torch_threads=torch.get_num_threads(),
        torch_build=_read_torch_build(),
        versions={name: version for name in _PACKAGES if (version := _find_version(name)) is not None},
        git_commit=commit,
        git_dirty=dirty,
    )


def usable_cores() -> float:
    """Cores this process may use: the affinity mask, or the control group's quota where that is smaller."""
    affinity = float(len(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else float(os.cpu_count() or 1)
    quota = Path("/sys/fs/cgroup/cpu.max")
    if quota.is_file():
        allowed, period = quota.read_text(encoding="ascii").split()
        if allowed != "max":
            return min(affinity, int(allowed) / int(period))
    return affinity


def accelerator_name() -> str | None:
    """Name of the current accelerator; ``None`` where there is none."""
    if not torch.accelerator.is_available():
        return None
    device = torch.accelerator.current_accelerator()
    assert device is not None
    module = getattr(torch, device.type, None)
    if module is not None and hasattr(module, "get_device_name"):
        return f"{module.get_device_name()} ({device.type})"
    return device.type


def _read_torch_build() -> dict[str, str]:
    build = {
        "cpu capability": torch.backends.cpu.get_cpu_capability(),
        "instructions": _describe_instructions(),
        "mkl": str(torch.backends.mkl.is_available()),
        "onednn": str(torch.backends.mkldnn.is_available()),
        "deterministic": str(torch.are_deterministic_algorithms_enabled()),
        "default dtype": str(torch.get_default_dtype()),
    }
    settings = torch.__config__.show().partition("Build settings:")[2]
    for setting in settings.split(", "):
        name, _, value = setting.strip().partition("=")
        if name in _SETTINGS:
            build[name] = value.rstrip(",")
    return build


@cache
def _read_processor() -> dict[str, Any]:
    """Return facts about the processor; finding them takes a tenth of a second."""
    info: dict[str, Any] = get_cpu_info()
    return info


def _describe_instructions() -> str:
    """Vendor, model, vector instructions and cache: what libraries of linear algebra choose kernels and blocks by."""
    processor = _read_processor()
    flags = set(processor.get("flags", ()))
    model = f"{processor.get('vendor_id_raw', 'unknown')} {processor.get('family', '?')}-{processor.get('model', '?')}"
    level, size = _find_last_cache() or (3, int(processor.get("l3_cache_size") or 0))
    return " ".join((model, *(name for name in _DISPATCHED if name in flags), f"L{level} {size >> 20} MiB"))


def _find_last_cache(folder: Path = Path("/sys/devices/system/cpu/cpu0/cache")) -> tuple[int, int] | None:
    """Return level and size of the last cache from Linux; cpuinfo mistakes the second level of AMD for the third."""
    caches = []
    for index in (size.parent for size in folder.glob("index*/size")):
        level, size = ((index / name).read_text(encoding="ascii").strip() for name in ("level", "size"))
        caches.append((int(level), int(size.removesuffix("K")) << 10))
    return max(caches, default=None)


def _find_version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _read_git() -> tuple[str | None, bool | None]:
    """Commit of the working directory and whether it has changes; ``None`` outside a repository."""
    commit = _run("git", "rev-parse", "HEAD")
    if commit is None:
        return None, None
    return commit, bool(_run("git", "status", "--porcelain"))


def _run(*command: str) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
