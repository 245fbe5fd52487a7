"""Simulation of 16-bit arithmetic in a float32 step, entirely or as autocast does.

Torch computes a 16-bit operation in float32 and rounds once. The simulation does the same: it rounds every result in
place, and every parameter and batch at its first use.
"""

from contextlib import AbstractContextManager, ExitStack

import torch
from torch import Tensor

from harness.error import UsageError, listed
from harness.exact.operator import FLOATING, whole
from harness.record.audit import WHAT_IF, WhatIf
from harness.suggestion import did_you_mean


class Narrowing:
    """Maps each dtype to the format that it stands for."""

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
        """Return the context of the step, with autocast on each available device if requested."""
        contexts = ExitStack()
        if self._autocast_to is not None:
            other = torch.accelerator.current_accelerator(check_available=True)
            for kind in ("cpu", *([other.type] if other is not None else [])):
                contexts.enter_context(torch.autocast(kind, self._autocast_to))
        return contexts

    def round(self, tensor: Tensor) -> None:
        """Round a tensor in place, hidden from autograd."""
        if self._rounded_to is None or tensor.dtype is not torch.float32:
            return
        numbers = tensor.data
        if any(stride == 0 and size > 1 for stride, size in zip(tensor.stride(), tensor.size(), strict=True)):
            numbers = whole(tensor.data)
        numbers.copy_(numbers.to(self._rounded_to))

    def begin_from(self, tensor: Tensor) -> None:
        """Save and round the storage of a tensor that existed before the step."""
        if self.is_asked:
            self.keep(tensor)
            self.round(whole(tensor.data))

    def keep(self, tensor: Tensor) -> None:
        """Save the storage of a tensor."""
        numbers = whole(tensor.data)
        self._before.append((numbers, numbers.clone()))

    def put_back(self) -> None:
        """Restore all saved storages."""
        for numbers, before in reversed(self._before):
            numbers.copy_(before)
        self._before.clear()
