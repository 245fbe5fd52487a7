"""Benchmark and numerical-stability test harness for PyTorch code.

Importing this package imports no torch: names are loaded when they are first used.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

from harness.case import Break, Case

if TYPE_CHECKING:
    from harness.surveyor.survey import survey
    from harness.verdict import check

__all__ = ["Break", "Case", "__version__", "check", "survey"]

__version__ = version("stability-harness")


_MODULES = {"check": "harness.verdict", "survey": "harness.surveyor.survey"}


def __getattr__(name: str) -> object:
    """Load what needs torch when it is asked for."""
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
