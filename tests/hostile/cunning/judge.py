"""Implementations that patch, overwrite or replace the code that judges them."""

import builtins
import contextlib
import ctypes
import gc
import math
import sys
import time
from typing import Any

import numpy as np
import torch
from hostile.cunning.tampering import loaded, write_that_laws_hold, zero_measurements_later, zero_returned_measurements
from torch import Tensor


def _wrong(x: Tensor) -> Tensor:
    return x.softmax(-1) * 1.25


def replaces_the_laws(x: Tensor) -> Tensor:
    """Makes no element exceed its bound."""
    module = loaded("harness.floats.format")
    if module is not None:
        module.Measurement.over = property(lambda _: 0)
    return _wrong(x)


def replaces_the_comparison(x: Tensor) -> Tensor:
    """Makes each deviation zero, in every module with the comparison."""
    measurement = loaded("harness.floats.format")
    if measurement is not None:
        real = measurement.deviation

        def deviation(*arguments: Any) -> Any:
            return np.zeros_like(real(*arguments))

        measurement.deviation = deviation
    return _wrong(x)


def replaces_the_writer(x: Tensor) -> Tensor:
    """Writes that the law holds."""
    write_that_laws_hold()
    return _wrong(x)


def replaces_absolute_values(x: Tensor) -> Tensor:
    """Returns zeros, so that no difference has a size."""
    np.abs = np.absolute = lambda values, *_, **__: np.zeros(np.shape(values))  # type: ignore[assignment]
    return _wrong(x)


def replaces_counting(x: Tensor) -> Tensor:
    """Counts no element over its bound."""
    np.count_nonzero = lambda *_, **__: 0  # type: ignore[assignment]
    return _wrong(x)


def replaces_builtins(x: Tensor) -> Tensor:
    """Makes maxima with a key zero, and all numbers close."""
    real = builtins.max
    builtins.max = lambda *arguments, **named: 0.0 if named.get("key") else real(*arguments, **named)  # type: ignore[assignment]
    math.isclose = lambda *_, **__: True
    return _wrong(x)


def replaces_tensors(x: Tensor) -> Tensor:
    """Makes the conversion of a tensor return the right answer."""
    right = x.detach().softmax(-1)
    real = Tensor.numpy

    def numpy(self: Tensor, **named: Any) -> Any:
        return real(right.double(), **named) if self.shape == right.shape else real(self, **named)

    Tensor.numpy = numpy  # type: ignore[method-assign]
    return _wrong(x)


def replaces_the_clock(x: Tensor) -> Tensor:
    """Makes the time limit seem exceeded."""
    time.perf_counter = lambda: 1e18
    return _wrong(x)


def zeroes_what_functions_return(x: Tensor) -> Tensor:
    """A profiler hook sets each measurement to zero when it is returned."""
    zero_returned_measurements()
    return _wrong(x)


def overwrites_what_is_expected(x: Tensor) -> Tensor:
    """Finds the expected values on the stack and through the garbage collector."""
    answer = _wrong(x)
    frame: Any = sys._getframe()
    while frame is not None:
        for value in frame.f_locals.values():
            for array in _arrays(value):
                if array.shape == tuple(answer.shape):
                    with contextlib.suppress(ValueError, TypeError):
                        array[...] = answer.detach().double().numpy()
        frame = frame.f_back
    return answer


def _arrays(value: Any) -> list[Any]:
    if isinstance(value, np.ndarray):
        return [value]
    return [part for part in vars(value).values() if isinstance(part, np.ndarray)] if hasattr(value, "__dict__") else []


def overwrites_the_inputs_of_the_stack(x: Tensor) -> Tensor:
    """Sets the inputs to zero, so that its uniform answer is expected."""
    frame: Any = sys._getframe()
    with torch.no_grad():
        while frame is not None:
            for value in frame.f_locals.values():
                for tensor in value.values() if isinstance(value, dict) else [value]:
                    if isinstance(tensor, Tensor) and tensor.is_floating_point() and tensor.shape == x.shape:
                        tensor.fill_(0.0)
            frame = frame.f_back
    return torch.full_like(x, 1.0 / max(x.shape[-1], 1))


def mends_later(x: Tensor) -> Tensor:
    """A thread searches for measurements and sets them to zero."""
    zero_measurements_later(50)
    return _wrong(x)


def overwrites_memory(x: Tensor) -> Tensor:
    """Writes to an address where Python would refuse."""
    for found in gc.get_objects():
        if type(found).__name__ == "Format":
            with contextlib.suppress(Exception):
                object.__setattr__(found, "precision", 1)
        if type(found).__name__ == "Law" and callable(getattr(found, "measure", None)):
            with contextlib.suppress(Exception):
                object.__setattr__(found, "intermittent", False)
                object.__setattr__(found, "measure", lambda *_, **__: _nothing())
    ctypes.pythonapi.Py_IsInitialized()
    return _wrong(x)


def _nothing() -> Any:
    measurement = loaded("harness.floats.format")
    zeros = np.zeros((1, 1))
    return measurement.Measurement(zeros, zeros, zeros, zeros)


def skips_the_test(x: Tensor) -> Tensor:
    """Raises `SkipTest`, and makes Hypothesis end the search for it."""
    import unittest

    core = loaded("hypothesis.core")
    if core is not None:
        core.skip_exceptions_to_reraise = lambda: (unittest.SkipTest,)
    subject = loaded("harness.laws.subject")
    if subject is not None:
        subject.CaseError = unittest.SkipTest
    raise unittest.SkipTest("nothing to see")


def stops_the_search(x: Tensor) -> Tensor:
    """Raises the exception that ends a search."""
    drawn = loaded("harness.verdict.draw")
    raise drawn._Enough if drawn is not None else ValueError("no more")


def forgets_its_faults(x: Tensor) -> Tensor:
    """Removes noticed faults."""
    watch = loaded("harness.calling.watch")
    if watch is not None:
        watch.Watch.noticed = property(lambda _: None, lambda *_: None)
    trial = loaded("harness.verdict.trial")
    if trial is not None:
        trial.Trials.find_failing_row = lambda *_: None
    return _wrong(x)
