"""The report's page and drawings, imported on demand: the harness does not depend on them."""

from collections.abc import Callable
from html import escape
from importlib import import_module
from typing import Any

from harness.error import absence, require


def logbook(module: str) -> Any:
    """Return a module of the report: ``page``, or ``notebook`` with the drawings."""
    require("report", "the report")
    return import_module(f"harness.reports.{module}")


def drawing_in_html(draw: Callable[[], Any]) -> str:
    """Return a drawing for a notebook, or a sentence about the packages that it needs."""
    if error := absence("report", "the drawing"):
        return f"<p>{escape(str(error))}</p>"
    drawing = draw()
    return "" if drawing is None else str(drawing.svg)
