"""Reading slightly faster than processing: enough workers, and no more."""

from collections.abc import Mapping
from typing import Any

from harness.course.exercise import Command, Exercise

MAX_WAITING = 0.25
"""Largest share of the training loop that may wait for data."""


def _keeps_up(tuning: Mapping[str, Any]) -> tuple[bool, str]:
    share = tuning["wait_share"]
    if share is None:
        return False, "the training loop could not be measured"
    message = f"the training loop waits for data {share:.0%} of the time"
    keeps_up = bool(share <= MAX_WAITING)
    return keeps_up, message if keeps_up else f"{message}; it should be at most {MAX_WAITING:.0%}"


START = '''\
import time

import torch
from torch.utils.data import Dataset

BATCH_SIZE = 32
NUM_WORKERS = 0


class Images(Dataset):
    """A store of images; each read takes 4 ms."""

    def __len__(self):
        return 2000

    def __getitem__(self, i):
        time.sleep(0.004)
        return torch.full((28, 28), float(i)), i % 10


def step(batch):
    """Stand for a training step on an accelerator: it takes 90 ms and needs no core."""
    time.sleep(0.09)


dataset = Images()
'''

EXERCISE = Exercise(
    number="1.1",
    title="Read slightly faster than the training step",
    question="Each item of this data set takes 4 ms to arrive, and a training step takes 90 ms. How many "
    "workers must read at the same time, so that the training step does not wait?",
    start=START,
    solution=START.replace("NUM_WORKERS = 0", "NUM_WORKERS = 2"),
    hints=(
        "One process needs at least 128 ms for a batch of 32 items. The step needs 90 ms.",
        "With n workers, a batch is ready every 128 / n ms. It should be a little less than the time of a step.",
        "NUM_WORKERS = 0 reads in the process that trains, so the step waits for every item. Two workers deliver a "
        "batch every 64 ms, which is enough. More workers only cost memory.",
    ),
    learned="Reading must be slightly faster than the training step, not as fast as possible. While workers read "
    "ahead, their time is hidden behind the step.",
    commands=(
        Command(
            "tune {file}:dataset --batch-size {BATCH_SIZE} --workers {NUM_WORKERS} --prefetch 2 --step {file}:step "
            "--seconds 3",
            _keeps_up,
        ),
    ),
)
