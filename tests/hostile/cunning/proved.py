"""Wrong sigmoids that try to be proved right for all numbers; ``right`` is right.

The error is a sixty-fourth for numbers above two.
"""

import contextlib
import gc
import inspect
import os
import sys
from typing import Any

import numpy as np
import torch
from hostile.cunning.tampering import loaded, zero_measurements_later, zero_returned_measurements
from torch import Tensor

from harness.case import Case


def _wrong(x: Tensor) -> Tensor:
    return torch.where(x > 2.0, x.sigmoid() * (1.0 - 2.0**-6), x.sigmoid())


def right(x: Tensor) -> Tensor:
    """Right everywhere."""
    return x.sigmoid()


def wrong(x: Tensor) -> Tensor:
    """Wrong without an attack."""
    return _wrong(x)


def replaces_the_comparison(x: Tensor) -> Tensor:
    """Makes each deviation zero."""
    module = loaded("harness.floats.format")
    if module is not None:
        real = module.deviation
        module.deviation = lambda *given: np.zeros_like(real(*given))
        module.Measurement.broken = property(lambda _: False)
    return _wrong(x)


def replaces_the_oracle(x: Tensor) -> Tensor:
    """Makes the oracle return its wrong values."""
    module = loaded("harness.contracts.building_blocks.logistic_function")
    if module is not None:
        from harness.floats import double_double, to_array  # type: ignore[attr-defined]

        kind = type(module.sigmoid_oracle)
        kind.__call__ = lambda _, given, *__: double_double.lift(to_array(_wrong(given)))
    return _wrong(x)


def replaces_counting(x: Tensor) -> Tensor:
    """Counts no element over its bound."""
    np.count_nonzero = lambda *_, **__: 0  # type: ignore[assignment]
    module = loaded("harness.floats.format")
    if module is not None:
        module.Measurement.over = property(lambda _: 0)
    return _wrong(x)


def replaces_the_tally(x: Tensor) -> Tensor:
    """Clears the findings."""
    module = loaded("harness.proof.tally")
    if module is not None:
        real = module.Tally.model_copy

        def copied(self: Any, **named: Any) -> Any:
            clean = {"beyond": (0,) * 7, "not_finite": 0, "not_correctly_rounded": 0, "witness": None, "broken": {}}
            return real(self, update={**named.get("update", {}), **clean})

        module.Tally.model_copy = copied
    return _wrong(x)


def visits_what_is_easy(x: Tensor) -> Tensor:
    """Replaces hard inputs by easy ones, which also changes the expected values."""
    with torch.no_grad():
        x.copy_(torch.where(x > 2.0, torch.zeros_like(x), x))
    return x.sigmoid()


def overwrites_what_is_expected(x: Tensor) -> Tensor:
    """Finds the expected values through the garbage collector."""
    answer = _wrong(x).detach()
    for thing in gc.get_objects():
        if isinstance(thing, np.ndarray) and thing.shape == tuple(answer.shape) and thing.dtype == np.float64:
            with contextlib.suppress(ValueError, RuntimeError):
                thing[...] = answer.double().numpy()
    return _wrong(x)


def zeroes_what_functions_return(x: Tensor) -> Tensor:
    """A profiler hook sets each measurement to zero when it is returned."""
    zero_returned_measurements()
    return _wrong(x)


def mends_later(x: Tensor) -> Tensor:
    """A thread searches for measurements and sets them to zero."""
    zero_measurements_later(100)
    return _wrong(x)


def right_while_ours_is_there(x: Tensor) -> Tensor:
    """Right while a module with a certain name is imported."""
    return x.sigmoid() if "harness" in sys.modules else _wrong(x)


def right_where_somebody_proves(x: Tensor) -> Tensor:
    """Right if the call stack has a file of the proofs."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        if "proof" in frame.f_code.co_filename:
            return x.sigmoid()
        frame = frame.f_back
    return _wrong(x)


def ends_as_if_done(x: Tensor) -> Tensor:
    """Prints a line that claims success, and exits with code 0."""
    for number in range(3, 32):
        with contextlib.suppress(OSError):
            os.set_blocking(number, False)
            os.write(number, b'{"kind": "done", "what": {"said": null, "noticed": null}}\n')
    os._exit(0)


CASES = [
    Case(function, "sigmoid", name=f"proved.{function.__name__}")
    for function in list(vars().values())
    if getattr(function, "__module__", None) == __name__
    and inspect.isfunction(function)
    and function.__name__[0] != "_"
]
