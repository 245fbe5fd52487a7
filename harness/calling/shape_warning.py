"""Warnings of the code under test that its result differs from the requested one."""

import contextlib
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def heard_in(heard: list[str]) -> Iterator[None]:
    """Collect the categories of the body's warnings in a list, which is complete when the body ends."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield
        finally:
            heard += [one.category.__name__ for one in caught]
