"""The section on training steps."""

from collections.abc import Iterator

from harness.record.bench import AgreementRecord, StepRecord
from harness.wording.table.step import agreement_table, step_table

from ..figures.step import step_times
from ..figures.step_ratio import floor, phases, step_ratios
from ..part import Note, Part
from ..reading import Reading
from ..section import section
from ..table import page_table
from ..tables import step


@section("Training steps")
def steps(reading: Reading) -> Iterator[Part]:
    """Yield step times, ratios, distances to the floor and phases, as far as the run has them."""
    frames, accelerator = reading.frames, reading.head.environment.accelerator
    if len(frames.steps):
        yield step_times(frames.steps, accelerator=accelerator)
        yield from _in_turns(reading)
        yield step.steps(frames.steps, accelerator=accelerator)
        if (frames.steps["device"] != "cpu").any():
            yield step.crossovers(frames.steps)
    if timed := reading.timed(AgreementRecord):
        yield page_table(agreement_table(timed))


def _in_turns(reading: Reading) -> Iterator[Part]:
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
    yield page_table(step_table(reading.timed(StepRecord)))
    yield step.floors(frames.steps)
    yield step.equality(frames.steps)
    if len(frames.phases):
        yield step.phases(frames.phases, frames.steps)
