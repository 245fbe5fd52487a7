"""What if: a step in float32, computed as if in 16 bits, wholly or as autocast has it.

Torch computes an operation in 16 bits by computing it in float32 and rounding once. So does a step in float32 of which
every result, and every parameter and batch where it is first read, is rounded to the narrower format in place.
"""

from contextlib import AbstractContextManager, ExitStack

import torch
from torch import Tensor

from harness.auditor.operator import FLOATING
from harness.error import UsageError, did_you_mean, listed
from harness.record.audit import WHAT_IF, WhatIf


class Narrowing:
    """For which formats the tensors of a step stand.

    Parameters
    ----------
    what_if
        As if in which format float32 is computed; where absent every tensor is what it is.

    Raises
    ------
    UsageError
        If it is none that there is.
    """

    def __init__(self, what_if: WhatIf | None = None) -> None:
        self.format_of = {dtype: dtype for dtype in FLOATING}
        self.is_asked = what_if is not None
        self.rounds = False
        """Whether results are rounded."""
        self._rounded_to: torch.dtype | None = None
        self._autocast_to: torch.dtype | None = None
        self._before: list[tuple[Tensor, Tensor]] = []
        if what_if is None:
            return
        if what_if not in WHAT_IF:
            remedy = did_you_mean(what_if, WHAT_IF)
            raise UsageError(
                "unknown `what_if`", rule=f"must be one of {listed(WHAT_IF)}", value=f"`{what_if}`", remedy=remedy
            )
        dtype = getattr(torch, what_if.removeprefix("autocast-"))
        if what_if.startswith("autocast-"):
            self._autocast_to = dtype
        else:
            self._rounded_to = self.format_of[torch.float32] = dtype
            self.rounds = True

    def context(self) -> AbstractContextManager[object]:
        """That of the step: autocast on each kind of device that there is, where that is asked."""
        contexts = ExitStack()
        if self._autocast_to is not None:
            other = torch.accelerator.current_accelerator(check_available=True)
            for kind in ("cpu", *([other.type] if other is not None else [])):
                contexts.enter_context(torch.autocast(kind, self._autocast_to))
        return contexts

    def round(self, tensor: Tensor) -> None:
        """Round a tensor in place, where it stands for a narrower one; autograd does not see that it is written."""
        if self._rounded_to is None or tensor.dtype is not torch.float32:
            return
        numbers = tensor.data
        if any(stride == 0 and size > 1 for stride, size in zip(tensor.stride(), tensor.size(), strict=True)):
            numbers = _storage_of(tensor)
        numbers.copy_(numbers.to(self._rounded_to))

    def begin_from(self, tensor: Tensor) -> None:
        """Keep all that lies in the storage of a tensor from which the step begins, and round it."""
        if self.is_asked:
            self.keep(tensor)
            self.round(_storage_of(tensor))

    def keep(self, tensor: Tensor) -> None:
        """Keep all that lies in the storage of a tensor, to be put back."""
        numbers = _storage_of(tensor)
        self._before.append((numbers, numbers.clone()))

    def put_back(self) -> None:
        """Give every tensor from which the step began the numbers that it had."""
        for numbers, before in reversed(self._before):
            numbers.copy_(before)
        self._before.clear()


def _storage_of(tensor: Tensor) -> Tensor:
    """All elements of a tensor's storage in a row."""
    return torch.as_strided(tensor.data, (tensor.untyped_storage().nbytes() // tensor.element_size(),), (1,), 0)
