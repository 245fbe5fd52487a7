"""The floor of a training step: the least that any implementation reads, writes and multiplies, at measured rates.

A step of a linear model with ``n`` samples, ``d`` features and ``m`` outputs must at least

* read the features and the targets once, and read and write the parameters once:
  ``4 (n d + 2 (m d + m)) + n t + 4`` bytes in float32, with ``t`` bytes per target, and 4 for the loss;
* multiply and add for the scores, and again for the gradient: ``4 n d m`` operations.

The slope of a sample's loss depends on that sample only, so one reading of it serves both products. The floor leaves
out exponentials and the dispatch of operators. Memory and arithmetic may overlap: the longer of both times counts.

On the CPU, the bandwidth is measured on as many bytes as the step touches, so that the cache counts if the data fits
into it. On an accelerator, a small call measures the launch instead of the memory. There, the buffers and matrices fill
the device, calls are queued and timed by events, and the second-level cache is measured too if the step fits into it.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch

LEAST_BYTES = 2**18
"""Smallest buffer on the CPU; smaller ones show the dispatch of the operator instead of the memory."""

FILLING_BYTES = 2**28
"""Buffer that fills an accelerator: several times its second-level cache."""

SIDE, FILLING_SIDE = 512, 4096
"""Side of the square matrices that are multiplied on the CPU, and on an accelerator."""

READ, COPY, MULTIPLY, CACHED = "read", "copy", "multiply", "read from the cache"
"""Names of the measurements; the fastest one that moves bytes gives the bandwidth."""

FLUSHED = "read after a flush"
"""Name of the measurement that shows whether a flush displaces the contents of the cache."""


class Work(NamedTuple):
    """The least work of a step: bytes moved, and multiplications and additions."""

    bytes: int
    operations: int


def work_of_step(n: int, d: int, m: int, *, target_bytes: int) -> Work:
    """Return the least work of a step in float32; see the module."""
    parameters = m * d + m
    return Work(4 * (n * d + 2 * parameters + 1) + n * target_bytes, 4 * n * d * m)


class Gauge(NamedTuple):
    """A call that measures a rate, and the bytes or operations in it."""

    call: Callable[[], object]
    amount: int


def gauges(work: Work, device: str, *, l2_bytes: int | None = None) -> dict[str, Gauge]:
    """Return the calls that measure the rates: of the step's size on the CPU, of a size that fills another device."""
    on_cpu = device == "cpu"
    # A copy reads one half of the bytes and writes the other.
    source = torch.ones((max(work.bytes, LEAST_BYTES) if on_cpu else FILLING_BYTES) // 4, device=device)
    half, target = source[: len(source) // 2], torch.empty(len(source) // 2, device=device)
    side = SIDE if on_cpu else FILLING_SIDE
    a = torch.full((side, side), 1 / side, device=device)
    product = torch.empty_like(a)
    gauges_by_kind = {
        READ: Gauge(source.sum, 4 * len(source)),
        COPY: Gauge(lambda: target.copy_(half), 8 * len(half)),
        MULTIPLY: Gauge(lambda: torch.mm(a, a, out=product), 2 * side**3),
    }
    if not on_cpu and l2_bytes:
        cached = source[: l2_bytes // 8]  # half of the cache, so that nothing is displaced
        gauges_by_kind[FLUSHED] = Gauge(cached.sum, 4 * len(cached))
        if work.bytes <= l2_bytes:
            gauges_by_kind[CACHED] = gauges_by_kind[FLUSHED]
    return gauges_by_kind


class Rates(NamedTuple):
    """Rates of the machine per second: bytes moved, and operations on square matrices."""

    bytes_per_s: float
    operations_per_s: float

    def floor_s(self, work: Work) -> float:
        """Return the least time of the work: memory and arithmetic overlap."""
        return max(work.bytes / self.bytes_per_s, work.operations / self.operations_per_s)


def rates(read_per_s: float, copy_per_s: float, multiply_per_s: float, cached_per_s: float = 0.0) -> Rates:
    """Return the rates of a round of measurements."""
    return Rates(max(read_per_s, copy_per_s, cached_per_s), multiply_per_s)
