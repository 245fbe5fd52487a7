"""Implementations that return a wrong type, or have side effects.

The module is long because each implementation has a few lines, and foreign code imports them by name.
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
import torch._inductor.config  # deterministic algorithms need this module; a call must not load it
from torch import Tensor

from harness.case import Case

# What they raise


def raises(x: Tensor) -> Tensor:
    """Raises an ordinary exception."""
    raise ValueError("no softmax today")


def raises_what_is_no_exception(x: Tensor) -> Tensor:
    """Raises an exception that ``except Exception`` does not catch."""

    class Ending(BaseException):
        pass

    raise Ending


def raises_what_cannot_be_printed(x: Tensor) -> Tensor:
    """Raises an exception whose text raises too."""

    class Mute(Exception):  # noqa: N818 - it says nothing at all
        def __str__(self) -> str:
            raise RuntimeError("nothing to say")

    raise Mute


def raises_at_length(x: Tensor) -> Tensor:
    """Raises an exception with a megabyte of text."""
    raise ValueError("x" * 2**20)


def exits(x: Tensor) -> Tensor:
    """Raises `SystemExit` with code 0."""
    sys.exit(0)


def stops_an_iteration(x: Tensor) -> Tensor:
    """Raises `StopIteration` outside an iterator."""
    raise StopIteration


def recurses(x: Tensor) -> Tensor:
    """Recurses forever."""
    return recurses(x)


# What they return


def nothing(x: Tensor) -> None:
    """Returns ``None``."""


def text(x: Tensor) -> str:
    """Returns a string."""
    return str(x.softmax(-1))


def pair(x: Tensor) -> tuple[Tensor, Tensor]:
    """Returns two tensors."""
    return x.softmax(-1), x


def numbers(x: Tensor) -> Any:
    """Returns a list of floats."""
    return x.softmax(-1).tolist()


def rows(x: Tensor) -> Iterator[Tensor]:
    """Returns a generator."""
    yield from x.softmax(-1)


def array(x: Tensor) -> Any:
    """Returns a NumPy array in place of a tensor."""
    return np.exp(x.detach().double().numpy())


def itself(x: Tensor) -> Any:
    """Returns a function."""
    return itself


def one_number(x: Tensor) -> float:
    """Returns a Python float."""
    return 1.0


def a_sum(x: Tensor) -> Tensor:
    """Returns a scalar tensor."""
    return x.softmax(-1).sum()


def transposed(x: Tensor) -> Tensor:
    """Exchanges columns and rows."""
    return x.softmax(-1).mT.contiguous()


def one_axis_more(x: Tensor) -> Tensor:
    """Adds an axis of length one."""
    return x.softmax(-1)[..., None]


def complex_numbers(x: Tensor) -> Tensor:
    """Returns complex numbers with zero imaginary parts."""
    return x.softmax(-1).to(torch.complex128)


def sparse(x: Tensor) -> Tensor:
    """Returns a sparse tensor."""
    return x.softmax(-1).to_sparse()


def nowhere(x: Tensor) -> Tensor:
    """Returns a tensor on the device `meta`."""
    return x.softmax(-1).to("meta")


def whole_numbers(x: Tensor) -> Tensor:
    """Rounds down to integers."""
    return x.softmax(-1).long()


def wider(x: Tensor) -> Tensor:
    """Returns float64 for any dtype."""
    return x.double().softmax(-1)


def not_a_number(x: Tensor) -> Tensor:
    """Returns only NaN."""
    return torch.full_like(x, torch.nan)


def infinite(x: Tensor) -> Tensor:
    """Returns only infinity."""
    return torch.full_like(x, torch.inf)


def zeros(x: Tensor) -> Tensor:
    """Returns zeros, which pass an absolute tolerance."""
    return torch.zeros_like(x)


def uninitialised(x: Tensor) -> Tensor:
    """Returns uninitialized memory."""
    return torch.empty_like(x)


def the_input(x: Tensor) -> Tensor:
    """Returns its input."""
    return x


def a_view(x: Tensor) -> Tensor:
    """Writes the result into its input and returns a view of it."""
    with torch.no_grad():
        x.copy_(x.softmax(-1))
    return x.view(x.shape)


class Stubborn(Tensor):
    """A subclass that returns text from every operation."""

    @classmethod
    def __torch_function__(cls, *arguments: Any, **named: Any) -> Any:
        """Return text."""
        return "no"


def stubborn(x: Tensor) -> Tensor:
    """Returns wrong numbers in a subclass."""
    return torch.zeros_like(x).as_subclass(Stubborn)


# Changes to the arguments, and different answers to the same call


def mutates(x: Tensor) -> Tensor:
    """Changes its input in place."""
    y = x.softmax(-1)
    with torch.no_grad():
        x.fill_(0.0)
    return y


def empties(x: Tensor) -> Tensor:
    """Frees the storage of its input."""
    y = x.softmax(-1)
    x.detach().set_()
    x.data = x.data.new_empty(0)
    return y


def guesses(x: Tensor) -> Tensor:
    """Adds noise."""
    return x.softmax(-1) * (1.0 + torch.rand_like(x))


CALLS = [0]


def alternates(x: Tensor) -> Tensor:
    """Right in every second call."""
    CALLS[0] += 1
    return x.softmax(-1) * (1.0 + CALLS[0] % 2)


# Changes to the gradient


def detaches(x: Tensor) -> Tensor:
    """Detaches, so that there is no gradient."""
    return x.detach().softmax(-1)


class RaisingBackwards(torch.autograd.Function):
    """The value is right."""

    @staticmethod
    def forward(_: Any, x: Tensor) -> Tensor:
        """Return the softmax."""
        return x.softmax(-1)

    @staticmethod
    def backward(*_: Any) -> Tensor:
        """Raise."""
        raise ArithmeticError("not differentiable")


def raises_backwards(x: Tensor) -> Tensor:
    """Raises in the backward pass only."""
    return RaisingBackwards.apply(x)  # type: ignore[no-any-return]


class WrongBackwards(torch.autograd.Function):
    """The value is right."""

    @staticmethod
    def forward(_: Any, x: Tensor) -> Tensor:
        """Return the softmax."""
        return x.softmax(-1)

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:
        """Pass the gradient through."""
        return gradient


def wrong_backwards(x: Tensor) -> Tensor:
    """Returns a wrong gradient."""
    return WrongBackwards.apply(x)  # type: ignore[no-any-return]


# What they change


def default_dtype(x: Tensor) -> Tensor:
    """Changes the default dtype."""
    torch.set_default_dtype(torch.float64)
    return x.softmax(-1)


def number_of_threads(x: Tensor) -> Tensor:
    """Changes the number of threads."""
    torch.set_num_threads(2)
    return x.softmax(-1)


def seed(x: Tensor) -> Tensor:
    """Seeds torch."""
    torch.manual_seed(0)
    return x.softmax(-1)


def seed_of_python(x: Tensor) -> Tensor:
    """Seeds the module `random`."""
    random.seed(1)
    return x.softmax(-1)


def seed_of_numpy(x: Tensor) -> Tensor:
    """Seeds NumPy's global generator."""
    np.random.seed(1)  # noqa: NPY002 - that is what is rude about it
    return x.softmax(-1)


def deterministic(x: Tensor) -> Tensor:
    """Switches torch to deterministic algorithms."""
    torch.use_deterministic_algorithms(True)  # noqa: FBT003 - its signature
    return x.softmax(-1)


def no_gradients(x: Tensor) -> Tensor:
    """Disables gradients."""
    y = x.softmax(-1)
    torch.set_grad_enabled(False)
    return y


def flushes_subnormals(x: Tensor) -> Tensor:
    """Flushes subnormal numbers from now on."""
    y = x.softmax(-1)
    torch.set_flush_denormal(True)
    return y


def working_directory(x: Tensor) -> Tensor:
    """Changes the working directory."""
    os.chdir("/")
    return x.softmax(-1)


def environment(x: Tensor) -> Tensor:
    """Sets an environment variable."""
    os.environ["SOFTMAX"] = "1"
    return x.softmax(-1)


def warning_filters(x: Tensor) -> Tensor:
    """Adds a warning filter."""
    warnings.simplefilter("error")
    return x.softmax(-1)


def search_path(x: Tensor) -> Tensor:
    """Adds a folder to the search path."""
    sys.path.insert(0, "/")
    return x.softmax(-1)


def recursion_limit(x: Tensor) -> Tensor:
    """Raises the recursion limit."""
    sys.setrecursionlimit(12345)
    return x.softmax(-1)


def no_collection(x: Tensor) -> Tensor:
    """Disables garbage collection."""
    gc.disable()
    return x.softmax(-1)


def signal_handler(x: Tensor) -> Tensor:
    """Ignores SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return x.softmax(-1)


def blocked_alarm(x: Tensor) -> Tensor:
    """Blocks the signal that ends a call after its time limit."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
    return x.softmax(-1)


def rounding_mode(x: Tensor) -> Tensor:
    """After the result is computed."""
    y = x.softmax(-1)
    ctypes.CDLL("libm.so.6").fesetround(TOWARD_ZERO)
    return y


TOWARD_ZERO = 0xC00 if platform.machine() == "x86_64" else 0xC00000
"""The number of the mode in C."""


def numpy_errors(x: Tensor) -> Tensor:
    """Makes NumPy raise floating-point errors."""
    np.seterr(all="raise")
    return x.softmax(-1)


def thread(x: Tensor) -> Tensor:
    """Starts a thread that waits."""
    threading.Thread(target=threading.Event().wait, daemon=True).start()
    return x.softmax(-1)


def thread_and_recursion_limit(x: Tensor) -> Tensor:
    """Starts a thread and changes the recursion limit; only the limit can be restored."""
    threading.Thread(target=threading.Event().wait, daemon=True).start()
    sys.setrecursionlimit(12_345)
    return x.softmax(-1)


# What they say


def prints(x: Tensor) -> Tensor:
    """Prints, as in debugging."""
    print("logits:", x)  # noqa: T201 - that is what is rude about it
    return x.softmax(-1)


def prints_an_error(x: Tensor) -> Tensor:
    """Prints to standard error."""
    sys.stderr.write("careful\n")
    return x.softmax(-1)


def prints_past_python(x: Tensor) -> Tensor:
    """Prints like a library in C."""
    os.write(1, b"from C\n")
    return x.softmax(-1)


def replaces_the_stream(x: Tensor) -> Tensor:
    """Replaces standard output by a file."""
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123
    return x.softmax(-1)


CASES = [
    Case(function, "softmax")
    for function in list(vars().values())
    if getattr(function, "__module__", None) == __name__ and not isinstance(function, type)
]
