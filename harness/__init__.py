"""Benchmark and numerical-stability test harness for PyTorch code.

Importing this package does not import torch: names are loaded on first use. `harness.reports` analyzes the results.
"""

import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from harness.case import Break, Case
from harness.error import reject_windows

if TYPE_CHECKING:
    from harness.api import check
    from harness.auditor.audit import audit
    from harness.auditor.run import audit_run
    from harness.display.listing import explain
    from harness.plugin import parametrize_laws
    from harness.sameness.comparison import same
    from harness.surveyor.explore import survey
    from harness.tolerances.assertion import assert_within_bound
    from harness.tuner.notebook import tune

__all__ = [
    "Break",
    "Case",
    "__version__",
    "assert_within_bound",
    "audit",
    "audit_run",
    "check",
    "explain",
    "parametrize_laws",
    "same",
    "survey",
    "tune",
]

__version__ = version("stability-harness")

_HERE = Path(__file__).parent
if not (_HERE / "reports").is_dir():
    # In a checkout, the folder `reports` is next to this package; in the wheel, it is inside.
    __path__.append(str(_HERE.parent))

_HOMES = {
    "assert_within_bound": "harness.tolerances.assertion",
    "audit": "harness.auditor.audit",
    "audit_run": "harness.auditor.run",
    "check": "harness.api",
    "explain": "harness.display.listing",
    "load_ipython_extension": "harness.api",
    "parametrize_laws": "harness.plugin",
    "same": "harness.sameness.comparison",
    "survey": "harness.surveyor.explore",
    "tune": "harness.tuner.notebook",
}
"""Modules of the names that need torch or pytest."""


def __getattr__(name: str) -> object:
    """Load a name on first use."""
    if name in _HOMES:
        reject_windows(sys.platform)
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
