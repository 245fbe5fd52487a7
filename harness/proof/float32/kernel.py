"""Calls of an implementation on a run of codes in a memory layout."""

import math
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.calling.host import clock_of
from harness.case import Case
from harness.laws.case_error import CaseError
from harness.proof.float32.count import Counts
from harness.proof.layout import FEW

Outputs = NDArray[np.float32]


class Layout(NamedTuple):
    """A memory layout, and the kernel that torch runs for it."""

    name: str
    kernel: str


_TIMED = 16
"""One of this number of calls is timed; the very first is not, because it also initializes torch."""

LAYOUTS = (
    Layout("contiguous", "contiguous numbers: the vector body"),
    Layout("spread", "every second number in memory: the loop for strided numbers"),
    Layout("few", f"separate rows of {FEW} numbers: the remainder after full vectors"),
)
"""The layouts of float32 numbers; each selects a kernel."""


INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32}
"""The dtype of the bits of a number by its size in bytes."""


def memory(layout: str, count: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return a tensor of ``count`` numbers in a layout."""
    if layout == "contiguous":
        return torch.zeros(count, dtype=dtype)
    if layout == "spread":
        return torch.zeros(count, 2, dtype=dtype)[:, 0]
    return torch.zeros(count // FEW, 2 * FEW, dtype=dtype)[:, :FEW]


class Kernel:
    """An implementation in one layout, with memory for one call.

    Parameters
    ----------
    case
        The implementation.
    layout
        Name of the layout.
    sign
        1 or -1.
    count
        Number of inputs of a call.
    counts
        Counts of the visited codes.
    is_gradient
        Whether the gradient is computed, with cotangent one.
    dtype
        Dtype of the outputs.
    """

    def __init__(
        self,
        case: Case,
        layout: str,
        sign: int,
        count: int,
        counts: Counts,
        *,
        is_gradient: bool = False,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.case, self.sign, self.dtype, self.counts, self.clock = case, sign, dtype, counts, clock_of(case)
        view = memory(layout, count)
        self.argument = view.requires_grad_(is_gradient)
        self.bits = view.detach().view(torch.int32).numpy()
        self.offsets, self.first = _offsets(self.bits.shape), 0 if sign > 0 else -(2**31)
        self.memory = (view if view._base is None else view._base).detach().view(torch.int32).numpy()
        # A comparison with a bytearray reads the memory once, and one with an array writes flags as well.
        self.before = bytearray(self.memory.nbytes)
        self.copy = np.frombuffer(self.before, dtype=np.int32).reshape(self.memory.shape)
        self.weight = torch.ones(view.shape) if is_gradient else None
        self.calls, self.times = 0, list[float]()

    @property
    def spent_s(self) -> float:
        """Estimated core time of all calls; only some are timed, because reading the clock takes time.

        A call during which the processor is given away can be charged a multiple, so it counts as three usual ones.
        """
        return float(np.minimum(self.times, 3.0 * np.median(self.times)).mean()) * self.calls if self.times else 0.0

    def __call__(self, start: int) -> Tensor:
        """Return the outputs for the codes from ``start``, in order, with one axis.

        Raises
        ------
        CaseError
            If the implementation raises, changes its argument, or returns another shape or dtype.
        """
        started = self.clock() if self.calls % _TIMED == 1 else None
        output = self._called(np.int32(start + self.first))
        if started is not None:
            self.times.append(self.clock() - started)
        self.calls += 1
        if not isinstance(output, Tensor) or output.shape != self.argument.shape or output.dtype != self.dtype:
            name = str(self.dtype).removeprefix("torch.")
            raise CaseError(f"{self.case.name} does not return a {name} tensor of the shape of its argument")
        if self.before != self.memory.data:
            raise CaseError(f"{self.case.name} changes its argument")
        code = int(self.bits.flat[0]) % 2**32
        self.counts.visit(range(code, code + self.bits.size))
        return output.detach().reshape(-1)

    def _called(self, first: np.int32) -> Any:
        """Write the codes to memory and call the implementation."""
        np.add(self.offsets, first, out=self.bits)
        np.copyto(self.copy, self.memory)
        try:
            output = self.case.function(self.argument)
            return torch.autograd.grad(output, self.argument, self.weight)[0] if self.weight is not None else output
        except Exception as error:
            raise CaseError(f"{self.case.name} raises {type(error).__name__}: {error}") from error


@cache
def _offsets(shape: tuple[int, ...]) -> NDArray[np.int32]:
    return np.arange(math.prod(shape), dtype=np.int32).reshape(shape)
