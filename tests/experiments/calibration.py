"""How much is a tenth of a call? Counted in numbers that are added up beside it."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from injected import work

from harness.discovery import load
from harness.gate.images import provide
from harness.gate.policy import read_policy
from harness.gate.workload import is_timed, workload
from harness.timing import warm

NUMBERS = 10_000


def calibrate(share: str) -> None:
    """Print how many numbers take that share of a call, by case."""
    torch.set_num_threads(1)
    policy = read_policy(Path.cwd())
    cases = [case for case in load() if policy.is_timed(case.name) and is_timed(case)]
    number_s = _fastest_s(lambda: work(NUMBERS)) / NUMBERS
    with tempfile.TemporaryDirectory() as folder:
        images = provide(None, Path(folder))
        calls_s = {case.name: _fastest_s(workload(case, images)) for case in cases}
    print(json.dumps({name: round(float(share) * call_s / number_s) for name, call_s in calls_s.items()}))


def _fastest_s(function: Callable[[], object]) -> float:
    return min(warm(function, calls=20, duration_s=0.05).warm_s for _ in range(10))
