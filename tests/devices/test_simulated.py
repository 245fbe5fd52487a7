"""The simulated accelerator behaves as a real one; each set of tests runs in a process that has it."""

from pathlib import Path

import pytest
from samples.simulated import run_python

INSIDE = Path(__file__).parent / "inside"
OPTIONS = ["-q", "--noconftest", "-p", "no:cacheprovider", "-p", "no:xdist"]
PARAMETERS = {"launch_s": 1e-3, "kernel_s": 0.1, "transfer_s": 0.01, "l2_bytes": 2**20, "memory_bytes": 2**26}


@pytest.mark.parametrize("name", ["placement", "timeline", "memory", "crossing"])
def test_the_device_behaves_as_a_real_one(name: str) -> None:
    """The tests of each file in the folder ``inside`` hold in a process with the device."""
    done = run_python("-m", "pytest", *OPTIONS, str(INSIDE / f"of_{name}.py"), **PARAMETERS)
    assert done.returncode == 0, done.stdout + done.stderr


SLOW = {
    "launch_s": 1e-3,
    "wait_s": 1e-4,
    "kernel_s": 5e-4,
    "operations_per_s": 1e10,
    "bytes_per_s": 2e7,
    "cached_per_s": 8e7,
    "transfer_s": 1e-3,
    "transfer_per_s": 5e7,
    "pinned_per_s": 2e8,
}
"""A device a thousand times as slow as others, so that what its simulation takes is little."""


def test_faults_of_a_measurement_are_seen() -> None:
    """Six are planted, each on a sound device."""
    done = run_python("-m", "pytest", *OPTIONS, str(INSIDE / "of_faults.py"), **SLOW)
    assert done.returncode == 0, done.stdout + done.stderr


def test_without_parameters_there_is_no_such_device() -> None:
    """The package alone, as other tests have it on their path, registers nothing."""
    code = "import os; del os.environ['SIMULATED_DEVICE']; import torch; print(torch.accelerator.is_available())"
    assert run_python("-c", code).stdout.strip() == "False"
