"""The inputs of every law are the same on every processor."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.execution.processor import emulate_processors

TESTS = Path(__file__).parent.parent


@pytest.mark.judged
@pytest.mark.skipif("no AVX" not in emulate_processors(), reason="this processor has no instructions to switch off")
def test_inputs_are_the_recorded_ones_without_newer_instructions() -> None:
    """Variables disable AVX2, FMA and AVX-512 in torch, oneDNN, MKL, NumPy and the C library."""
    older = emulate_processors()["no AVX"]
    path = os.pathsep.join([str(TESTS), *sys.path])
    checked = run("-m", "digests", "--check", str(TESTS / "recorded" / "digests.txt"), PYTHONPATH=path, **older)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert checked.stdout.strip().startswith("0 of")


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Python with extra environment variables."""
    return subprocess.run(
        [sys.executable, *arguments], env=os.environ | variables, capture_output=True, text=True, check=False
    )
