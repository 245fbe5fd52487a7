"""The report's page and drawings, imported on demand: the harness does not depend on them."""

from importlib import import_module
from typing import Any


def logbook(module: str) -> Any:
    """Return a module of the report: ``page``, or ``notebook`` with the drawings."""
    return import_module(f"harness.reports.{module}")
