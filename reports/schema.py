"""The schema of the frames: their columns and descriptions of their rows, as declared in :mod:`reports.frame`."""

from collections.abc import Mapping

from .frame import FRAMES
from .frame.column import Column

SCHEMAS: Mapping[str, tuple[Column, ...]] = {name: frame.columns for name, frame in FRAMES.items()}
"""Columns by frame, in order."""

KEYS: Mapping[str, tuple[str, ...]] = {name: frame.keys for name, frame in FRAMES.items()}
"""Key columns by frame; the other numbers are measurements."""
