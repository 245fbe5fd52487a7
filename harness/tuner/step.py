"""The training step that loading must keep up with: a function of the user, or a known duration."""

import statistics
import time
from collections.abc import Callable
from typing import Any

from harness.calling.discovery import find_attribute
from harness.error import UsageError
from harness.timing.clock import Accelerator

Step = Callable[[Any], object]
"""Function of a batch as the loader delivers it."""

WARM, TIMED = 5, 15
"""Number of warm-up calls of a step, and of timed calls."""


class Synthetic:
    """A step of known duration in seconds, which occupies a core or, unless it ``computes``, sleeps."""

    def __init__(self, seconds: float, *, computes: bool = True) -> None:
        self.seconds = seconds
        self.computes = computes

    def __call__(self, batch: Any) -> None:  # noqa: ARG002 - as any step
        """Compute or sleep for the duration."""
        if not self.computes:
            time.sleep(self.seconds)
            return
        until = time.perf_counter() + self.seconds
        while time.perf_counter() < until:
            pass


def load_step(target: str) -> Step:
    """Load a function of a batch, named as ``module:function`` or ``file.py:function``."""
    path, _, name = target.rpartition(":")
    if not path or not name:
        raise UsageError(f"cannot load the step `{target}`", rule="name it as `module:function` or `file.py:function`")
    function = find_attribute(path, name)
    if not callable(function):
        kind = type(function).__name__
        raise UsageError(f"cannot load the step `{target}`", rule="a step must be callable", value=f"`{kind}`")
    step: Step = function
    return step


def wait_for_accelerator(step: Step, accelerator: Accelerator | None) -> Step:
    """Return a step that waits for the accelerator, so that its time includes the work it queues there."""
    if accelerator is None or isinstance(step, Synthetic):
        return step

    def step_and_wait(batch: Any) -> object:
        result = step(batch)
        accelerator.synchronize()
        return result

    return step_and_wait


def step_s(step: Step, batch: Any) -> float:
    """Return the median seconds of a warm step on a batch."""
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
