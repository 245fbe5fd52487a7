"""Sections on training: curves, learned parameters, overfitting, and images of the data."""

from collections.abc import Iterator

from harness.wording.table.training import estimate_table, training_table

from ..figures import overfitting as figures
from ..figures.fit import fit
from ..figures.image import grid
from ..figures.training import training_curves
from ..figures.weight import weight_grid
from ..part import Part
from ..reading import Reading
from ..section import section
from ..source import caveat_of
from ..table import page_table
from ..tables.heat import confusion


@section("Training curves")
def training(reading: Reading) -> Iterator[Part]:
    """Yield the curves of every experiment and their last epochs."""
    frame, source = reading.frames.epochs, reading.head.data
    if len(frame):
        yield from training_curves(frame, source)
        yield page_table(training_table(reading.epochs), caveat=caveat_of(frame, source))


@section("Learned parameters")
def learned(reading: Reading) -> Iterator[Part]:
    """Yield the fit, learned against true parameters, weights as images, and the confusion of classes."""
    estimates, known, source = reading.frames.estimates, reading.learned, reading.head.data
    for data in known.fits:
        if (figure := fit(data, estimates)) is not None:
            yield figure
    if len(estimates):
        yield page_table(estimate_table(reading.estimates))
    if known.weights:
        yield weight_grid(known.weights, source)
    if known.confusions:
        yield confusion(known.confusions, source)


@section("Overfitting")
def overfitting(reading: Reading) -> Iterator[Part]:
    """Yield the experiments in which the held-out loss rises again."""
    yield from figures.overfitting(reading.frames.epochs, reading.head.data)


@section("Images")
def images(reading: Reading) -> Iterator[Part]:
    """Yield the image grid."""
    if reading.images:
        yield grid(reading.images, reading.head.data)
