"""Calls of an implementation on a run of codes in a memory layout."""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.calling.host import clock_of
from harness.case import Case
from harness.compat.torch import base_of_view
from harness.laws.case_error import CaseError
from harness.proof.float32.count import Counts
from harness.proof.layout import FEW

Outputs = NDArray[np.float32]


class Layout(NamedTuple):
    """A memory layout, and the kernel that torch runs for it."""

    name: str
    kernel: str


SIGN = 0x8000_0000

_TIMED = 16
"""One of this number of calls is repeated and timed."""

LAYOUTS = (
    Layout("contiguous", "contiguous numbers: the vector body"),
    Layout("spread", "every second number in memory: the loop for strided numbers"),
    Layout("few", f"separate rows of {FEW} numbers: the remainder after full vectors"),
)
"""The layouts of float32 numbers; each selects a kernel."""


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
    count
        Number of inputs of a call.
    counts
        Counts of the visited codes.
    is_gradient
        Whether the gradient is computed, with cotangent one.
    """

    dtype = torch.float32
    """Dtype of the outputs."""

    def __init__(self, case: Case, layout: str, count: int, counts: Counts, *, is_gradient: bool = False) -> None:
        self.case, self.counts, self.clock = case, counts, clock_of(case)
        view = memory(layout, count)
        self.argument = view.requires_grad_(is_gradient)
        self.bits = view.detach().view(torch.int32).numpy()
        self.offsets = np.arange(count, dtype=np.int32).reshape(self.bits.shape)
        base = base_of_view(view)
        self.memory = (view if base is None else base).detach().view(torch.int32).numpy()
        # A comparison with a bytearray reads the memory once, and one with an array writes flags as well.
        self.before = bytearray(self.memory.nbytes)
        self.copy = np.frombuffer(self.before, dtype=np.int32).reshape(self.memory.shape)
        self.weight = torch.ones(view.shape) if is_gradient else None

    @property
    def inputs(self) -> NDArray[np.float32]:
        """The inputs of the last call, in order, with one axis."""
        return self.bits.reshape(-1).view(np.float32)

    def alone_s(self, codes: range) -> float:
        """Return the core time of the calls for some magnitudes of either sign, without the checks.

        Some calls are repeated and timed together. A call that follows a reading of the clock is much slower if the
        machine is busy, because another process may have used the processor and its memory.
        """
        starts, started = codes[:: _TIMED * self.bits.size], self.clock()
        for start in starts:
            for code in (start, start + SIGN):
                self._call(code)
        return (self.clock() - started) * len(codes) / (len(starts) * self.bits.size)

    def __call__(self, start: int, sign: int) -> Tensor:
        """Return the outputs for the magnitudes from ``start`` with a sign, in order, with one axis.

        Raises
        ------
        CaseError
            If the implementation raises, changes its argument, or returns another shape or dtype.
        """
        code = start if sign > 0 else start + SIGN
        output = self._call(code)
        if not isinstance(output, Tensor) or output.shape != self.argument.shape or output.dtype != self.dtype:
            name = str(self.dtype).removeprefix("torch.")
            raise CaseError(f"{self.case.name} does not return a {name} tensor of the shape of its argument")
        if self.before != self.memory.data:
            raise CaseError(f"{self.case.name} changes its argument")
        self.counts.visit(range(code, code + self.bits.size))
        return output.detach().reshape(-1)

    def _call(self, code: int) -> Any:
        """Write the codes to memory and call the implementation."""
        np.add(self.offsets, np.uint32(code).view(np.int32), out=self.bits)
        np.copyto(self.copy, self.memory)
        try:
            output = self.case.function(self.argument)
            return torch.autograd.grad(output, self.argument, self.weight)[0] if self.weight is not None else output
        except Exception as error:
            raise CaseError(f"{self.case.name} raises {type(error).__name__}: {error}") from error
