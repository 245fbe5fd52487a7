"""Calibrate how many added numbers take a tenth of the time of a call."""

import json
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from injected import work

from harness.bench.workload import is_timed, workload
from harness.calling.target import load
from harness.data.images import short_epoch
from harness.gate.policy import read_policy
from harness.timing.clock import warm

PASSES, TURNS = 3, 10


def calibrate(share: str) -> None:
    """Print for each case how many numbers take the given share of a call."""
    torch.set_num_threads(1)
    policy = read_policy(Path.cwd())
    cases = [case for case in load() if policy.is_timed(case.name) and is_timed(case)]
    with tempfile.TemporaryDirectory() as folder:
        images = short_epoch(None, Path(folder))
        counts = {case.name: _numbers(workload(case, images), float(share)) for case in cases}
    print(json.dumps(counts))


def _numbers(call: Callable[[], object], share: float) -> int:
    """Refine a guess of how many numbers take a share of a call, with both timed in turns."""
    count = 1000
    for _ in range(PASSES):
        guess = count
        pairs = [(_fastest_s(call), _fastest_s(partial(work, guess))) for _ in range(TURNS)]
        call_s, work_s = (min(times) for times in zip(*pairs, strict=True))
        count = max(1, round(guess * share * call_s / work_s))
    return count


def _fastest_s(function: Callable[[], object]) -> float:
    return warm(function, calls=20, duration_s=0.02).warm_s
