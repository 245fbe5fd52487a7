"""What patches, overwrites or stands in for whatever in its process may judge it."""

import builtins
import contextlib
import ctypes
import gc
import json
import math
import sys
import threading
import time
from typing import Any

import numpy as np
import torch
from torch import Tensor


def _wrong(x: Tensor) -> Tensor:
    return x.softmax(-1) * 1.25


def _loaded(name: str) -> Any:
    return sys.modules.get(name)


def replaces_the_laws(x: Tensor) -> Tensor:
    """Whatever is measured has nothing beyond its bound."""
    module = _loaded("harness.floats.measurement")
    if module is not None:
        module.Measurement.over = property(lambda _: 0)
    return _wrong(x)


def replaces_the_comparison(x: Tensor) -> Tensor:
    """Of what is compared the deviation is zero, in every module that has the comparison."""
    measurement = _loaded("harness.floats.measurement")
    if measurement is not None:
        real = measurement.deviation

        def deviation(*arguments: Any) -> Any:
            return np.zeros_like(real(*arguments))

        measurement.deviation = deviation
    return _wrong(x)


def replaces_the_writer(x: Tensor) -> Tensor:
    """What goes out says that the law holds."""
    real = json.dumps

    def dumps(value: Any, **named: Any) -> str:
        return real(value, **named).replace('"status": "broken"', '"status": "holds"').replace('"error"', '"holds"')

    json.dumps = dumps  # type: ignore[assignment]
    return _wrong(x)


def replaces_absolute_values(x: Tensor) -> Tensor:
    """By zeros, so that no difference has any size."""
    np.abs = np.absolute = lambda values, *_, **__: np.zeros(np.shape(values))  # type: ignore[assignment]
    return _wrong(x)


def replaces_counting(x: Tensor) -> Tensor:
    """Nothing is ever beyond anything."""
    np.count_nonzero = lambda *_, **__: 0  # type: ignore[assignment]
    return _wrong(x)


def replaces_builtins(x: Tensor) -> Tensor:
    """The largest of anything is zero, and nothing is any number of times anything."""
    real = builtins.max
    builtins.max = lambda *arguments, **named: 0.0 if named.get("key") else real(*arguments, **named)  # type: ignore[assignment]
    math.isclose = lambda *_, **__: True
    return _wrong(x)


def replaces_tensors(x: Tensor) -> Tensor:
    """What is read of a tensor is the right answer."""
    right = x.detach().softmax(-1)
    real = Tensor.numpy

    def numpy(self: Tensor, **named: Any) -> Any:
        return real(right.double(), **named) if self.shape == right.shape else real(self, **named)

    Tensor.numpy = numpy  # type: ignore[method-assign]
    return _wrong(x)


def replaces_the_clock(x: Tensor) -> Tensor:
    """Time is always up."""
    time.perf_counter = lambda: 1e18
    return _wrong(x)


def zeroes_what_functions_return(x: Tensor) -> Tensor:
    """A hook of profilers sets every measurement to nothing as it is returned."""

    def hook(_: Any, event: str, value: Any) -> None:
        if event == "return" and type(value).__name__ == "Measurement":
            for array in (value.deviation,):
                with contextlib.suppress(ValueError, AttributeError):
                    array.flags.writeable = True
                    array[...] = 0.0

    sys.setprofile(hook)
    return _wrong(x)


def overwrites_what_is_expected(x: Tensor) -> Tensor:
    """By walking the stack, and all that the collector of garbage knows."""
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
    """So that what is expected is what it says: all zeros in, equal shares out."""
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
    """A thread looks for what is measured, and sets it to nothing."""

    def mend() -> None:
        for _ in range(50):
            for found in gc.get_objects():
                if type(found).__name__ == "Measurement":
                    with contextlib.suppress(Exception):
                        found.deviation[...] = 0.0
            time.sleep(0.001)

    threading.Thread(target=mend, daemon=True).start()
    return _wrong(x)


def overwrites_memory(x: Tensor) -> Tensor:
    """Through an address, where Python would refuse."""
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
    measurement = _loaded("harness.floats.measurement")
    zeros = np.zeros((1, 1))
    return measurement.Measurement(zeros, zeros, zeros, zeros)


def skips_the_test(x: Tensor) -> Tensor:
    """After it has told Hypothesis that a test which skips is over."""
    import unittest

    core = _loaded("hypothesis.core")
    if core is not None:
        core.skip_exceptions_to_reraise = lambda: (unittest.SkipTest,)
    subject = _loaded("harness.laws.subject")
    if subject is not None:
        subject.CaseError = unittest.SkipTest
    raise unittest.SkipTest("nothing to see")


def stops_the_search(x: Tensor) -> Tensor:
    """By the exception with which a search is over."""
    drawn = _loaded("harness.verdict.drawn")
    raise drawn._Enough if drawn is not None else ValueError("no more")


def forgets_its_faults(x: Tensor) -> Tensor:
    """What is noticed of it is taken back."""
    watch = _loaded("harness.calling.watch")
    if watch is not None:
        watch.Watch.noticed = property(lambda _: None, lambda *_: None)
    trial = _loaded("harness.verdict.trial")
    if trial is not None:
        trial.Trials.failing = lambda *_: None
    return _wrong(x)
