"""Observe a call while it runs: what becomes of tensors on the way."""

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
        given = args[0] if args else None
        if isinstance(output, Tensor) and isinstance(given, Tensor):
            self.to_float32 |= (given.dtype, output.dtype) == (torch.float64, torch.float32)
            if torch.is_autocast_enabled(given.device.type):
                self.autocast = str(torch.get_autocast_dtype(given.device.type)).removeprefix("torch.")
        return output
