"""The logbook: turns the records of a run into frames, tables, figures and one page. It reads only records."""

from reports.frame import Frames, frames
from reports.observation import OBSERVATIONS, load

__all__ = ["OBSERVATIONS", "Frames", "frames", "load"]
