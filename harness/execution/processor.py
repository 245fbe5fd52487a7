"""Environment variables with which a process computes as another processor of the same family does."""

import os
from collections.abc import Mapping

import torch

from harness.compat.numpy import list_features

_WIDEST = ("AVX512", "X86_V4")
"""Beginnings of NumPy's names for features beyond AVX2."""


def emulate_processors() -> Mapping[str, Mapping[str, str]]:
    """Return the variables of each processor that has fewer instructions than this processor.

    torch, oneDNN, MKL, NumPy and the C library read them when they are loaded, so that they need a new process.
    """
    capability = torch.backends.cpu.get_cpu_capability()
    features = list_features()
    wide = [name for name in features if name.startswith(_WIDEST)]
    emulated = {}
    if capability == "AVX512":
        emulated["AVX2"] = _make_variables("avx2", "AVX2", "AVX2", "AVX2", wide, "-AVX512F")
    if capability in {"AVX512", "AVX2"}:
        hidden = "-AVX512F,-AVX2,-FMA"
        emulated["no AVX"] = _make_variables("default", "SSE41", "SSE4_2", "COMPATIBLE", features, hidden)
    return emulated


def _make_variables(
    torch_capability: str, onednn: str, mkl: str, branch: str, numpy: list[str], libc: str
) -> dict[str, str]:
    """Return the variable of each library; limits that the user has set for the C library stay."""
    tunables = filter(None, [os.environ.get("GLIBC_TUNABLES"), f"glibc.cpu.hwcaps={libc}"])
    return {
        "ATEN_CPU_CAPABILITY": torch_capability,
        "ONEDNN_MAX_CPU_ISA": onednn,
        "MKL_ENABLE_INSTRUCTIONS": mkl,
        "MKL_CBWR": branch,
        "NPY_DISABLE_CPU_FEATURES": " ".join(numpy),
        "GLIBC_TUNABLES": ":".join(tunables),
    }
