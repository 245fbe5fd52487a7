"""The floor of a training step: what any implementation must read, write and multiply, at this machine's own rates.

A step of a linear model with ``n`` samples, ``d`` features and ``m`` outputs must at least

* read the features and the targets once, and read and write the parameters once:
  ``4 (n d + 2 (m d + m)) + n t + 4`` bytes in float32, ``t`` the bytes of a target, 4 those of the loss;
* multiply and add for the scores, and again for the gradient: ``4 n d m`` operations.

The slope of a sample's loss depends on that sample alone, so that one reading of it serves both products. Exponentials
and the dispatch of operators are not counted. Memory and arithmetic may overlap: the floor is the longer of the two
times. The bandwidth is measured on as many bytes as the step touches, so that a step whose data lies in a cache is held
against that cache.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch

LEAST_BYTES = 2**18
"""Smaller buffers are read no faster, and show the dispatch of the operator instead of the memory."""

SIDE = 512
"""Side of the square matrices whose product gives the rate of multiplication."""

READ, COPY, MULTIPLY = "read", "copy", "multiply"
"""The three measurements; the faster of the first two is the bandwidth."""


class Work(NamedTuple):
    """What a step cannot do without: bytes moved, and multiplications and additions."""

    bytes: int
    operations: int


def work_of_step(n: int, d: int, m: int, *, target_bytes: int, itemsize: int = 4) -> Work:
    """Return the least work of one step; see the module."""
    parameters = m * d + m
    return Work(itemsize * (n * d + 2 * parameters + 1) + n * target_bytes, 4 * n * d * m)


class Gauge(NamedTuple):
    """What measures a rate: a call, and how many bytes or operations it stands for."""

    call: Callable[[], object]
    amount: int


def gauges(work: Work, device: str) -> dict[str, Gauge]:
    """Return the calls by which the rates are measured, on buffers of the step's size."""
    bytes_ = max(work.bytes, LEAST_BYTES)
    # A copy reads one half of the bytes and writes the other.
    source = torch.ones(bytes_ // 4, device=device)
    half, target = source[: len(source) // 2], torch.empty(len(source) // 2, device=device)
    a = torch.full((SIDE, SIDE), 1 / SIDE, device=device)
    product = torch.empty_like(a)
    return {
        READ: Gauge(source.sum, 4 * len(source)),
        COPY: Gauge(lambda: target.copy_(half), 8 * len(half)),
        MULTIPLY: Gauge(lambda: torch.mm(a, a, out=product), 2 * SIDE**3),
    }


class Rates(NamedTuple):
    """What the machine does in a second: bytes moved, operations on square matrices."""

    bytes_per_s: float
    operations_per_s: float

    def floor_s(self, work: Work) -> float:
        """The least time of the work: memory and arithmetic side by side."""
        return max(work.bytes / self.bytes_per_s, work.operations / self.operations_per_s)


def rates(read_per_s: float, copy_per_s: float, multiply_per_s: float) -> Rates:
    """Return the rates of one round of measurements."""
    return Rates(max(read_per_s, copy_per_s), multiply_per_s)
