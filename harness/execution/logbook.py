"""The logbook's drawings for a notebook, found through its entry point: the instrument does not import the logbook."""

from importlib import import_module
from importlib.metadata import entry_points
from typing import Any


def notebook() -> Any:
    """Return the module ``notebook`` of the package that writes the report's page.

    Notes
    -----
    It has ``survey_card``, ``error_drawing``, ``room_drawing``, ``audit_drawing`` and ``rates_drawing``.
    """
    (point,) = entry_points(group="harness.report", name="page")
    return import_module(f"{point.module.rpartition('.')[0]}.notebook")
