"""The gate's workloads through pytest-benchmark, whose ``--benchmark-compare-fail`` compares them."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.bench.workload import is_timed, loads_images, workload
from harness.calling.target import load
from harness.data.images import short_epoch
from harness.gate.policy import read_policy

POLICY = read_policy(Path.cwd())
CASES = {case.name: case for case in load() if POLICY.is_timed(case.name) and is_timed(case)}


@pytest.mark.parametrize("case", CASES)
def test_call(benchmark: Any, case: str) -> None:
    """The call uses the standard input and one thread."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        images = short_epoch(None, Path(folder)) if loads_images(CASES[case]) else Path(folder)
        benchmark(workload(CASES[case], images))
