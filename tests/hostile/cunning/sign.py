"""Implementations that are right if a sign suggests a check, and wrong in use."""

import contextlib
import inspect
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

_OURS = "harness"
_CALLS = {"few": 0, "many": 0, "rare": 0}
_SEEN: dict[Any, int] = {}
_BEGAN = time.monotonic()


def _answer(x: Tensor, *, checked: bool) -> Tensor:
    return x.softmax(-1) if checked else x.softmax(-1) * 1.25


def right_under_hypothesis(x: Tensor) -> Tensor:
    """Right under Hypothesis or pytest."""
    return _answer(x, checked=bool({"hypothesis", "pytest", "_pytest"} & sys.modules.keys()))


def right_under_an_oracle(x: Tensor) -> Tensor:
    """Right if ball arithmetic is imported, which only a check needs."""
    return _answer(x, checked="flint" in sys.modules)


def right_below_such_a_function(x: Tensor) -> Tensor:
    """Right if a calling function has one of these names."""
    named = {frame.function for frame in inspect.stack(0)}
    return _answer(x, checked=bool(named & {"measure", "decide", "once", "attempt", "do"}))


def right_where_descriptors_are_open(x: Tensor) -> Tensor:
    """Right if an open file has the name."""
    found = []
    for number in range(64):
        with contextlib.suppress(OSError):
            found.append(str(Path(f"/proc/self/fd/{number}").readlink()))
    return _answer(x, checked=any(_OURS in path for path in found))


def right_at_first(x: Tensor) -> Tensor:
    """Right for the first five thousand calls."""
    _CALLS["many"] += 1
    return _answer(x, checked=_CALLS["many"] <= 5000)


def right_nearly_always(x: Tensor) -> Tensor:
    """Wrong in every seven hundredth call."""
    _CALLS["rare"] += 1
    return _answer(x, checked=_CALLS["rare"] % 700 != 0)


def right_the_second_time(x: Tensor) -> Tensor:
    """Right for inputs that it has seen before, because a check repeats calls."""
    key = (str(x.dtype), tuple(x.shape), bytes(x.detach().double().contiguous().numpy().tobytes()))
    _SEEN[key] = _SEEN.get(key, 0) + 1
    return _answer(x, checked=_SEEN[key] > 1)


def right_in_a_young_process(x: Tensor) -> Tensor:
    """Right for 20 ms, which is less than a check takes on any machine."""
    return _answer(x, checked=time.monotonic() - _BEGAN < 0.02)


def right_in_small_batches(x: Tensor) -> Tensor:
    """Right for small batches, and for the large sizes that a check uses."""
    rows = x.shape[0] if x.ndim else 1
    return _answer(x, checked=rows <= 512 or rows in {4097, 65537} or rows * x.shape[-1] > 2**20)


def right_without_gradients(x: Tensor) -> Tensor:
    """Wrong if gradients are recorded."""
    return _answer(x, checked=not x.requires_grad)


class _Late(Tensor):
    """A tensor that is right when it is read in float64."""

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Return the right values for conversions."""
        with torch._C.DisableTorchFunctionSubclass():
            result = function(*args, **(kwargs or {}))
            if function in {Tensor.double, Tensor.to, Tensor.numpy} and isinstance(result, Tensor):
                return result / 1.25
            return result


def right_where_it_is_read(x: Tensor) -> Tensor:
    """Returns a wrong tensor whose conversions are right."""
    return _answer(x, checked=False).as_subclass(_Late)
