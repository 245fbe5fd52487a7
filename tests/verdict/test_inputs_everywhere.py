"""The inputs of every law are the same on every processor."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent

FEATURES = "from numpy._core._multiarray_umath import __cpu_dispatch__ as d, __cpu_features__ as f"


@pytest.mark.judged
def test_inputs_are_the_recorded_ones_without_newer_instructions() -> None:
    """Variables disable AVX2, FMA and AVX-512 in torch, oneDNN, MKL, NumPy and the C library."""
    shown = run("-c", f"{FEATURES}; print(' '.join(one for one in d if f[one]))")
    older = {
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
        "MKL_CBWR": "COMPATIBLE",
        "NPY_DISABLE_CPU_FEATURES": shown.stdout.strip(),
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX512F,-AVX2,-FMA",
        "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path]),
    }
    checked = run("-m", "digests", "--check", str(TESTS / "recorded" / "digests.txt"), **older)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert checked.stdout.strip().startswith("0 of")


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Python with extra environment variables."""
    return subprocess.run(
        [sys.executable, *arguments], env=os.environ | variables, capture_output=True, text=True, check=False
    )
