"""Observe a call while it runs: what becomes of tensors on the way, and which warnings it raises."""

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode


class Observation(TorchFunctionMode):
    """Sees whether tensors become another library's arrays or narrower, and whether autocast is on.

    A mode of dispatch would see what happens inside operations too, and import eight hundred modules for that.
    """

    def __init__(self) -> None:
        super().__init__()
        self.left = False
        """Whether a tensor became an array that autograd does not follow."""
        self.to_float32 = False
        """Whether a float64 tensor became a float32 one."""
        self.autocast = ""
        """The dtype of autocast, where it was on; the last one."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Carry the operation out."""
        self.left |= getattr(func, "__name__", "") in {"numpy", "__array__", "__dlpack__"}
        output = func(*args, **(kwargs or {}))
        first = args[0] if args else None
        if isinstance(output, Tensor) and isinstance(first, Tensor):
            self.to_float32 |= (first.dtype, output.dtype) == (torch.float64, torch.float32)
            if torch.is_autocast_enabled(first.device.type):
                self.autocast = str(torch.get_autocast_dtype(first.device.type)).removeprefix("torch.")
        return output


@contextlib.contextmanager
def heard_in(heard: list[str]) -> Iterator[None]:
    """Collect the categories of the body's warnings in a list, which is complete when the body ends."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield
        finally:
            heard += [one.category.__name__ for one in caught]
