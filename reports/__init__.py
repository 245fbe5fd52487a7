"""The logbook: turns the records of a run into frames, tables, figures and one page. It reads only records.

It is ``harness.reports``, in a checkout too, so that a user's own package ``reports`` is never mistaken for it. Imports
between its modules are therefore relative.
"""

from harness.error import require

require("report", "the report")

from .frame import Frames, frames  # noqa: E402 - after the check for the packages
from .observation import OBSERVATIONS, load  # noqa: E402

__all__ = ["OBSERVATIONS", "Frames", "frames", "load"]
