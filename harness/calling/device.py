"""Accelerators: an implementation computes there, and its laws are measured here.

Examples are drawn, and deviations measured, on the CPU. On another device, an implementation gets copies with the same
strides, and its result is copied back. A law sees the same as for a call on the CPU: an input that was written to there
is changed here, and an output that shares memory with an input there shares it here. Both copies are differentiable, so
that the backward pass runs on the device too.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from harness.calling.adapter import NotApplicable
from harness.error import UsageError

CPU = "cpu"


class MisplacedError(Exception):
    """Raised if an output is on another device than the inputs."""


def refuse_absent(device: str) -> None:
    """Raise a usage error for a device that this machine does not have.

    Raises
    ------
    UsageError
        If it is not the accelerator that torch finds.
    """
    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    if accelerator is not None and device == accelerator.type:
        return
    there_is = (
        f"the accelerator here is `{accelerator.type}`" if accelerator is not None else "there is no accelerator here"
    )
    raise UsageError(f"unknown device `{device}`: {there_is}", remedy="`cpu` is always available")


def call_on(device: str, call: Callable[..., Any], inputs: Sequence[Any]) -> Any:
    """Call on copies of the inputs on a device, and copy results and changes back.

    Raises
    ------
    MisplacedError
        If it returns a tensor on another device.
    NotApplicable
        If the device does not have the dtype of an input.
    """
    moved = [_copy_to(x, device) if isinstance(x, Tensor) else x for x in inputs]
    before = [x.detach().clone() if isinstance(x, Tensor) else x for x in moved]
    output = call(*moved)
    pairs = [pair for pair in zip(inputs, moved, before, strict=True) if isinstance(pair[0], Tensor)]
    for original, copied, unchanged in pairs:
        if copied.shape != original.shape:
            original.resize_(copied.shape)
        elif not has_same_bits(copied.detach(), unchanged):
            original.detach().copy_(copied.detach())
    return _copy_back(output, device, [(original, copied) for original, copied, _ in pairs])


def _copy_to(x: Tensor, device: str) -> Tensor:
    """Copy a tensor; if its elements are not contiguous, copy the whole memory to which it belongs."""
    try:
        if x.requires_grad or x.is_contiguous():
            return x.to(device, copy=True)
        memory = torch.empty(0, dtype=x.dtype).set_(x.untyped_storage())
        return memory.to(device, copy=True).as_strided(x.shape, x.stride(), x.storage_offset())
    except TypeError as error:  # Apple's accelerator has no float64
        raise NotApplicable(f"{device} has no {str(x.dtype).removeprefix('torch.')}") from error


def has_same_bits(a: Tensor, b: Tensor) -> bool:
    """True if two tensors are equal element by element; NaN equals NaN."""
    return bool(((a == b) | ((a != a) & (b != b))).all())


def _copy_back(output: Any, device: str, inputs: Sequence[tuple[Tensor, Tensor]]) -> Any:
    if isinstance(output, (tuple, list)):
        return type(output)(_copy_back(part, device, inputs) for part in output)
    if not isinstance(output, Tensor):
        return output
    if output.device.type != device:
        raise MisplacedError(f"returns a tensor on {output.device} for inputs on {device}")
    for original, copied in inputs:
        shared = output.numel() and output.untyped_storage().data_ptr() == copied.untyped_storage().data_ptr()
        if shared and original.is_contiguous() and not output.requires_grad:
            return original.as_strided(output.shape, output.stride(), output.storage_offset())
    return output.to(CPU, copy=True)
