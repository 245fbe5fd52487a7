"""Sections on training: curves, learned parameters, overfitting, and images of the data."""

from collections.abc import Iterator

from reports.figures import overfitting as figures
from reports.figures.image import grid
from reports.figures.training import training_curves
from reports.reading import Reading
from reports.section import PagePart, section
from reports.tables import training as tables


@section("Training curves")
def training(reading: Reading) -> Iterator[PagePart]:
    """Yield the curves of each experiment and where they ended."""
    frame, source = reading.frames.epochs, reading.head.data
    if len(frame):
        yield from training_curves(frame, source)
        yield tables.results(frame, source)


@section("Learned parameters")
def estimates(reading: Reading) -> Iterator[PagePart]:
    """Yield learned against true parameters."""
    if len(reading.frames.estimates):
        yield tables.estimates(reading.frames.estimates)


@section("Overfitting")
def overfitting(reading: Reading) -> Iterator[PagePart]:
    """Yield the experiments in which the held-out loss turns up."""
    yield from figures.overfitting(reading.frames.epochs, reading.head.data)


@section("Images")
def images(reading: Reading) -> Iterator[PagePart]:
    """Yield the image grid."""
    if reading.images:
        yield grid(reading.images, reading.head.data)
