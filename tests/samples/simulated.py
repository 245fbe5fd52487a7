"""Processes that have the simulated accelerator of ``tests/devices``."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from torch.utils import backend_registration

INSTALLED = Path(__file__).parents[1] / "devices" / "installed"

needs_device = pytest.mark.skipif(
    not hasattr(backend_registration, "_setup_privateuseone_for_python_backend"),
    reason="this release of torch does not support devices that are written in Python",
)


def simulated(**parameters: Any) -> dict[str, str]:
    """Return the environment of a process with the device; parameters as of its ``Parameters``."""
    return dict(os.environ) | {"PYTHONPATH": str(INSTALLED), "SIMULATED_DEVICE": json.dumps(parameters)}


def run_python(*words: str, timeout_s: float = 240.0, **parameters: Any) -> subprocess.CompletedProcess[str]:
    """Run Python with the device, and return what it prints."""
    command, environment = [sys.executable, "-P", *words], simulated(**parameters)
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=timeout_s)
