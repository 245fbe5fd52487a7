"""Implementations that answer with something else than what was asked, or do something else besides.

One file, though long: it is a list of a few lines each, imported by name where foreign code is.
"""

import ctypes
import gc
import os
import platform
import random
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
import torch._inductor.config  # what deterministic algorithms need, so that it is not loaded within a call
from torch import Tensor

from harness.case import Case

# What they raise


def raises(x: Tensor) -> Tensor:
    """An ordinary exception."""
    raise ValueError("no softmax today")


def raises_what_is_no_exception(x: Tensor) -> Tensor:
    """Past every ``except Exception``."""

    class Ending(BaseException):
        pass

    raise Ending


def raises_what_cannot_be_printed(x: Tensor) -> Tensor:
    """Its text raises too."""

    class Mute(Exception):  # noqa: N818 - it says nothing at all
        def __str__(self) -> str:
            raise RuntimeError("nothing to say")

    raise Mute


def raises_at_length(x: Tensor) -> Tensor:
    """A megabyte of text."""
    raise ValueError("x" * 2**20)


def exits(x: Tensor) -> Tensor:
    """With success."""
    sys.exit(0)


def stops_an_iteration(x: Tensor) -> Tensor:
    """That there is not."""
    raise StopIteration


def recurses(x: Tensor) -> Tensor:
    """For ever."""
    return recurses(x)


# What they return


def nothing(x: Tensor) -> None:
    """No value."""


def text(x: Tensor) -> str:
    """A string."""
    return str(x.softmax(-1))


def pair(x: Tensor) -> tuple[Tensor, Tensor]:
    """Two tensors."""
    return x.softmax(-1), x


def numbers(x: Tensor) -> Any:
    """A list of floats."""
    return x.softmax(-1).tolist()


def rows(x: Tensor) -> Iterator[Tensor]:
    """A generator."""
    yield from x.softmax(-1)


def array(x: Tensor) -> Any:
    """NumPy's, where tensors are asked for."""
    return np.exp(x.detach().double().numpy())


def itself(x: Tensor) -> Any:
    """A function."""
    return itself


def one_number(x: Tensor) -> float:
    """A float of Python's."""
    return 1.0


def a_sum(x: Tensor) -> Tensor:
    """A tensor without axes."""
    return x.softmax(-1).sum()


def transposed(x: Tensor) -> Tensor:
    """Columns for rows."""
    return x.softmax(-1).mT.contiguous()


def one_axis_more(x: Tensor) -> Tensor:
    """Of length one."""
    return x.softmax(-1)[..., None]


def complex_numbers(x: Tensor) -> Tensor:
    """With nothing imaginary about them."""
    return x.softmax(-1).to(torch.complex128)


def sparse(x: Tensor) -> Tensor:
    """In coordinates."""
    return x.softmax(-1).to_sparse()


def nowhere(x: Tensor) -> Tensor:
    """On the device that holds no data."""
    return x.softmax(-1).to("meta")


def whole_numbers(x: Tensor) -> Tensor:
    """Rounded down."""
    return x.softmax(-1).long()


def wider(x: Tensor) -> Tensor:
    """In float64, whatever is asked."""
    return x.double().softmax(-1)


def not_a_number(x: Tensor) -> Tensor:
    """Nothing but NaN."""
    return torch.full_like(x, torch.nan)


def infinite(x: Tensor) -> Tensor:
    """Nothing but infinity."""
    return torch.full_like(x, torch.inf)


def zeros(x: Tensor) -> Tensor:
    """Which absolute tolerances let pass."""
    return torch.zeros_like(x)


def uninitialised(x: Tensor) -> Tensor:
    """Whatever was there."""
    return torch.empty_like(x)


def the_input(x: Tensor) -> Tensor:
    """Untouched."""
    return x


def a_view(x: Tensor) -> Tensor:
    """The answer, written where the question stood, as a view of it."""
    with torch.no_grad():
        x.copy_(x.softmax(-1))
    return x.view(x.shape)


class Stubborn(Tensor):
    """A subclass that answers every operation with text."""

    @classmethod
    def __torch_function__(cls, *arguments: Any, **named: Any) -> Any:
        """Refuse."""
        return "no"


def stubborn(x: Tensor) -> Tensor:
    """Wrong numbers in a class of its own."""
    return torch.zeros_like(x).as_subclass(Stubborn)


# What they do to what they are given, and how they change their mind


def mutates(x: Tensor) -> Tensor:
    """In place."""
    y = x.softmax(-1)
    with torch.no_grad():
        x.fill_(0.0)
    return y


def empties(x: Tensor) -> Tensor:
    """Takes the storage away."""
    y = x.softmax(-1)
    x.detach().set_()
    x.data = x.data.new_empty(0)
    return y


def guesses(x: Tensor) -> Tensor:
    """With noise."""
    return x.softmax(-1) * (1.0 + torch.rand_like(x))


CALLS = [0]


def alternates(x: Tensor) -> Tensor:
    """Right every second time."""
    CALLS[0] += 1
    return x.softmax(-1) * (1.0 + CALLS[0] % 2)


# What they do to the gradient


def detaches(x: Tensor) -> Tensor:
    """So that there is none."""
    return x.detach().softmax(-1)


class RaisingBackwards(torch.autograd.Function):
    """The value is right."""

    @staticmethod
    def forward(_: Any, x: Tensor) -> Tensor:
        """Softmax."""
        return x.softmax(-1)

    @staticmethod
    def backward(*_: Any) -> Tensor:
        """Raise."""
        raise ArithmeticError("not differentiable")


def raises_backwards(x: Tensor) -> Tensor:
    """In the backward pass alone."""
    return RaisingBackwards.apply(x)  # type: ignore[no-any-return]


class WrongBackwards(torch.autograd.Function):
    """The value is right."""

    @staticmethod
    def forward(_: Any, x: Tensor) -> Tensor:
        """Softmax."""
        return x.softmax(-1)

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:
        """Pass the gradient through."""
        return gradient


def wrong_backwards(x: Tensor) -> Tensor:
    """The gradient of something else."""
    return WrongBackwards.apply(x)  # type: ignore[no-any-return]


# What they change


def default_dtype(x: Tensor) -> Tensor:
    """Of all tensors to come."""
    torch.set_default_dtype(torch.float64)
    return x.softmax(-1)


def number_of_threads(x: Tensor) -> Tensor:
    """For everybody."""
    torch.set_num_threads(2)
    return x.softmax(-1)


def seed(x: Tensor) -> Tensor:
    """Of torch."""
    torch.manual_seed(0)
    return x.softmax(-1)


def seed_of_python(x: Tensor) -> Tensor:
    """Of the module random."""
    random.seed(1)
    return x.softmax(-1)


def seed_of_numpy(x: Tensor) -> Tensor:
    """The old way."""
    np.random.seed(1)  # noqa: NPY002 - that is what is rude about it
    return x.softmax(-1)


def deterministic(x: Tensor) -> Tensor:
    """All of torch."""
    torch.use_deterministic_algorithms(True)  # noqa: FBT003 - its signature
    return x.softmax(-1)


def no_gradients(x: Tensor) -> Tensor:
    """From now on."""
    y = x.softmax(-1)
    torch.set_grad_enabled(False)
    return y


def flushes_subnormals(x: Tensor) -> Tensor:
    """In every later operation."""
    y = x.softmax(-1)
    torch.set_flush_denormal(True)
    return y


def working_directory(x: Tensor) -> Tensor:
    """Elsewhere."""
    os.chdir("/")
    return x.softmax(-1)


def environment(x: Tensor) -> Tensor:
    """One variable."""
    os.environ["SOFTMAX"] = "1"
    return x.softmax(-1)


def warning_filters(x: Tensor) -> Tensor:
    """One more."""
    warnings.simplefilter("error")
    return x.softmax(-1)


def search_path(x: Tensor) -> Tensor:
    """One folder."""
    sys.path.insert(0, "/")
    return x.softmax(-1)


def recursion_limit(x: Tensor) -> Tensor:
    """A high one."""
    sys.setrecursionlimit(12345)
    return x.softmax(-1)


def no_collection(x: Tensor) -> Tensor:
    """Of garbage."""
    gc.disable()
    return x.softmax(-1)


def signal_handler(x: Tensor) -> Tensor:
    """Of the request to end."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return x.softmax(-1)


def rounding_mode(x: Tensor) -> Tensor:
    """After the result is computed."""
    y = x.softmax(-1)
    ctypes.CDLL("libm.so.6").fesetround(TOWARD_ZERO)
    return y


TOWARD_ZERO = 0xC00 if platform.machine() == "x86_64" else 0xC00000
"""The number of the mode in C."""


def numpy_errors(x: Tensor) -> Tensor:
    """Raised from now on."""
    np.seterr(all="raise")
    return x.softmax(-1)


def thread(x: Tensor) -> Tensor:
    """That waits."""
    threading.Thread(target=threading.Event().wait, daemon=True).start()
    return x.softmax(-1)


def thread_and_recursion_limit(x: Tensor) -> Tensor:
    """Of which one can be put back."""
    threading.Thread(target=threading.Event().wait, daemon=True).start()
    sys.setrecursionlimit(12_345)
    return x.softmax(-1)


# What they say


def prints(x: Tensor) -> Tensor:
    """As one does while looking for a mistake."""
    print("logits:", x)  # noqa: T201 - that is what is rude about it
    return x.softmax(-1)


def prints_an_error(x: Tensor) -> Tensor:
    """On the other stream."""
    sys.stderr.write("careful\n")
    return x.softmax(-1)


def prints_past_python(x: Tensor) -> Tensor:
    """As a library in C does."""
    os.write(1, b"from C\n")
    return x.softmax(-1)


def replaces_the_stream(x: Tensor) -> Tensor:
    """By a file."""
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123
    return x.softmax(-1)


CASES = [
    Case(function, "softmax")
    for function in list(vars().values())
    if getattr(function, "__module__", None) == __name__ and not isinstance(function, type)
]
