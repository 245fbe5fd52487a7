"""Modes in which an implementation is called: they must not change its results."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import torch

from . import bound
from .compiler import uncompiled
from .memory import unset_is_nan

DEFAULT: Mapping[str, Any] = {
    "eager": False,
    "unset": False,
    "see": False,
    "hear": False,
    "switched": False,
    "threads": None,
    "dtype": None,
}
"""Modes of an ordinary call, without the modes of autograd and autocast."""


def entered(modes: Mapping[str, Any]) -> AbstractContextManager[Any]:
    """Enter the modes of a request."""
    stack = ExitStack()
    stack.enter_context(bound.set_grad_enabled(modes["grad"]))
    if modes["inference"]:
        stack.enter_context(bound.inference_mode())
    if modes["autocast"] is not None:
        stack.enter_context(bound.autocast("cpu", modes["autocast"]))
    if modes["eager"]:
        stack.enter_context(uncompiled())
    if modes["unset"]:
        stack.enter_context(unset_is_nan())
    stack.enter_context(settings(threads=modes["threads"], dtype=modes["dtype"]))
    return stack


@contextmanager
def settings(*, threads: int | None = None, dtype: torch.dtype | None = None) -> Iterator[None]:
    """Use another number of threads, or another default dtype, in the body."""
    with (
        _changed(bound.get_num_threads, bound.set_num_threads, threads),
        _changed(bound.get_default_dtype, bound.set_default_dtype, dtype),
    ):
        yield


@contextmanager
def _changed(read: Callable[[], Any], write: Callable[[Any], object], value: Any) -> Iterator[None]:
    """Change one setting in the body; ``None`` leaves it unchanged."""
    if value is None:
        yield
        return
    before = read()
    write(value)
    try:
        yield
    finally:
        write(before)
