"""Sections on training: steps, curves, learned parameters, overfitting, and images of the data."""

from collections.abc import Iterator

from harness.record.bench import AgreementRecord, StepRecord
from harness.wording.table.step import agreement_table, crossing_table, format_table, pair_table, step_table
from harness.wording.table.training import estimate_table, training_table

from ..figures import training as figures
from ..figures.learned import fit, grid, weight_grid
from ..figures.step import floor, phases, step_ratios, step_times
from ..page_part import Note, Part
from ..reading import Reading
from ..section import section
from ..source import caveat_of
from ..table import page_table
from ..tables import step
from ..tables.matrix import confusion


@section("Training curves")
def training(reading: Reading) -> Iterator[Part]:
    """Yield the curves of every experiment that does not overfit, and the last epochs of all."""
    frame, source = reading.frames.epochs, reading.head.data
    if len(frame):
        yield from figures.training_curves(frame, source)
        yield page_table(training_table(reading.epochs), caveat=caveat_of(frame, source))


@section("Learned parameters")
def learned(reading: Reading) -> Iterator[Part]:
    """Yield the fit, learned against true parameters, weights as images, and the confusion of classes."""
    estimates, results, source = reading.frames.estimates, reading.learned, reading.head.data
    for data in results.fits:
        if (figure := fit(data, estimates)) is not None:
            yield figure
    if len(estimates):
        yield page_table(estimate_table(reading.estimates))
    if results.weights:
        yield weight_grid(results.weights, source)
    if results.confusions:
        yield confusion(results.confusions, source)


@section("Overfitting")
def overfitting(reading: Reading) -> Iterator[Part]:
    """Yield the experiments in which the held-out loss rises again."""
    yield from figures.overfitting(reading.frames.epochs, reading.head.data)


@section("Images")
def images(reading: Reading) -> Iterator[Part]:
    """Yield the image grid."""
    if reading.images:
        yield grid(reading.images, reading.head.data)


@section("Training steps")
def steps(reading: Reading) -> Iterator[Part]:
    """Yield step times, ratios, distances to the floor and phases, as far as the run has them."""
    frames, accelerator = reading.frames, reading.head.environment.accelerator
    if len(frames.steps):
        yield step_times(frames.steps, accelerator=accelerator, comparisons=reading.comparisons)
        yield from _list_figures(reading)
        yield step.steps(frames.steps, accelerator=accelerator)
        if reading.comparisons:
            yield page_table(crossing_table(reading.comparisons))
    if timed := reading.list_timed(AgreementRecord):
        yield page_table(agreement_table(timed))


def _list_figures(reading: Reading) -> Iterator[Part]:
    """Yield the figures of steps that were measured in turns; otherwise a sentence."""
    frames = reading.frames
    if frames.steps["floor_s"].isna().all():
        yield Note("These steps were timed one after the other, so their ratios, floor and phases are unknown.")
        return
    if len(frames.step_ratios):
        yield step_ratios(frames.step_ratios)
    yield floor(frames.steps)
    if len(frames.phases):
        yield phases(frames.phases)
    timed = reading.list_timed(StepRecord)
    pairs = pair_table(timed, accelerator=reading.head.environment.accelerator)
    if pairs.rows:
        yield page_table(pairs)
    yield page_table(step_table(timed))
    if any(each.record.formats for each in timed):
        yield page_table(format_table(timed))
    yield step.floors(frames.steps)
    yield step.equality(frames.steps)
    if len(frames.phases):
        yield step.phases(frames.phases, frames.steps)
