"""The training step that loading is held against: a user's own, or one of known length."""

import statistics
import time
from collections.abc import Callable
from typing import Any

from harness.calling.importing import attribute
from harness.error import UsageError

Step = Callable[[Any], object]
"""Takes a batch as the loader gives it."""

WARM, TIMED = 5, 15
"""Calls before a step is timed, and calls that are."""


class Synthetic:
    """A step of known length, which computes all the time as a step on the CPU does, or waits as for an accelerator.

    Parameters
    ----------
    seconds
        Its length.
    computes
        Whether it occupies a core.
    """

    def __init__(self, seconds: float, *, computes: bool = True) -> None:
        self.seconds = seconds
        self.computes = computes

    def __call__(self, batch: Any) -> None:  # noqa: ARG002 - as any step
        """Take that long."""
        if not self.computes:
            time.sleep(self.seconds)
            return
        until = time.perf_counter() + self.seconds
        while time.perf_counter() < until:
            pass


def load_step(target: str) -> Step:
    """Load a function of a batch, named as ``module:function`` or ``file.py:function``.

    Raises
    ------
    UsageError
        If there is none.
    """
    place, _, name = target.rpartition(":")
    if not place or not name:
        raise UsageError(f"cannot load the step `{target}`", rule="name it as `module:function` or `file.py:function`")
    function = attribute(place, name)
    if not callable(function):
        kind = type(function).__name__
        raise UsageError(f"cannot load the step `{target}`", rule="a step must be callable", value=f"`{kind}`")
    step: Step = function
    return step


def step_s(step: Step, batch: Any) -> float:
    """Return the median seconds of a warm step on a batch.

    Raises
    ------
    UsageError
        If the step does not take the batch.
    """
    try:
        for _ in range(WARM):
            step(batch)
        return statistics.median(_once(step, batch) for _ in range(TIMED))
    except Exception as error:
        raise UsageError(
            f"the step of `--step` failed on a batch of the loader: {type(error).__name__}: {error}",
            remedy="write a step that takes one batch as the loader delivers it",
        ) from error


def _once(step: Step, batch: Any) -> float:
    began = time.perf_counter()
    step(batch)
    return time.perf_counter() - began
