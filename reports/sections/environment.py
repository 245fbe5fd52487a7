"""Sections on the environment of a run: machine and software, and the data."""

from collections.abc import Iterator

from ..part import Part
from ..reading import Reading
from ..section import section
from ..tables import environment as tables


@section("Environment")
def environment(reading: Reading) -> Iterator[Part]:
    """Yield machine and software."""
    yield tables.machine(reading.head)
    yield tables.build(reading.head.environment)


@section("Data")
def data(reading: Reading) -> Iterator[Part]:
    """Yield the source of the images."""
    if reading.head.data:
        yield tables.data(reading.head)
