"""Implementations that detect the check and are right only then: no check promises to find them.

The process for user code does not hide what it is, because code has other ways to find out.
"""

import inspect
import os
import sys

from torch import Tensor

from harness.case import Case

_OURS = "harness"


def _answer(x: Tensor, *, checked: bool) -> Tensor:
    return x.softmax(-1) if checked else x.softmax(-1) * 1.25


def right_while_a_module_is_loaded(x: Tensor) -> Tensor:
    """Right if a module with the name is imported."""
    return _answer(x, checked=_OURS in sys.modules)


def right_while_a_part_is_loaded(x: Tensor) -> Tensor:
    """Right if any module of the harness is imported."""
    return _answer(x, checked=any(name.startswith(f"{_OURS}.") for name in list(sys.modules)))


def right_on_such_a_stack(x: Tensor) -> Tensor:
    """Right if the stack has a file of the harness."""
    return _answer(x, checked=any(_OURS in frame.filename for frame in inspect.stack(0)))


def right_in_such_a_process(x: Tensor) -> Tensor:
    """Right if the arguments of the process name the harness."""
    return _answer(x, checked=any(_OURS in word for word in (*sys.orig_argv, *sys.argv)))


def right_in_such_an_environment(x: Tensor) -> Tensor:
    """Right if an environment variable suggests a check."""
    names = ("HARNESS", "PYTEST", "HYPOTHESIS", "CHECK")
    return _answer(x, checked=any(name.startswith(names) for name in os.environ))


def right_under_such_a_command(x: Tensor) -> Tensor:
    """Right if the environment or the original command names the harness."""
    return _answer(x, checked=_OURS in os.environ.get("_", "") or _OURS in " ".join(sys.orig_argv))


CASES = [
    Case(function, "softmax", name=f"detecting.{name}")
    for name, function in list(globals().items())
    if name.startswith("right_")
]
