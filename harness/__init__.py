"""Benchmark and numerical-stability test harness for PyTorch code.

Importing this package imports no torch: names are loaded when they are first used.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

from harness.case import Break, Case

if TYPE_CHECKING:
    from harness.verdict import check

__all__ = ["Break", "Case", "__version__", "check"]

__version__ = version("stability-harness")


def __getattr__(name: str) -> object:
    """Load what needs torch when it is asked for."""
    if name == "check":
        return import_module("harness.verdict").check
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
