"""Pieces of work that wait for each other, in any process."""

import os
import time
from pathlib import Path


def in_step(index: int) -> tuple[int, int]:
    """Wait for the neighboring piece, which runs meanwhile, and return the index and the process."""
    Path(f"{index}").touch()
    _wait_for(f"{index ^ 1}")
    return index, os.getpid()


def first_one_waits(index: int) -> int:
    """Wait for a signal as the first piece, and fail as the second."""
    if index == 0:
        _wait_for("go")
    return index // (index != 1)


def _wait_for(file: str) -> None:
    until = time.monotonic() + 60.0
    while not Path(file).exists() and time.monotonic() < until:
        time.sleep(0.002)
