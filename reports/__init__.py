"""The logbook: turns the records of a run into frames, tables, figures and one page. It reads only records.

It is ``harness.reports``, in a checkout too, so that a user's own package ``reports`` is never mistaken for it. Imports
between its modules are therefore relative.
"""

from .frame import Frames, frames
from .observation import OBSERVATIONS, load

__all__ = ["OBSERVATIONS", "Frames", "frames", "load"]
