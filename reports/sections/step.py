"""The section on training steps."""

from collections.abc import Iterator

from ..figures.step import step_times
from ..figures.step_ratio import floor, phases, step_ratios
from ..frame import Frames
from ..part import Note, Part
from ..reading import Reading
from ..section import section
from ..tables import step


@section("Training steps")
def steps(reading: Reading) -> Iterator[Part]:
    """Yield step times, ratios, distances to the floor and phases, as far as the run has them."""
    frames, accelerator = reading.frames, reading.head.environment.accelerator
    if len(frames.steps):
        yield step_times(frames.steps, accelerator=accelerator)
        yield from _in_turns(frames)
        yield step.steps(frames.steps, accelerator=accelerator)
        if (frames.steps["device"] != "cpu").any():
            yield step.crossovers(frames.steps)
    if len(frames.agreement):
        yield step.agreement(frames.agreement)


def _in_turns(frames: Frames) -> Iterator[Part]:
    """Yield the figures of steps that were measured in turns; otherwise a sentence."""
    if frames.steps["floor_s"].isna().all():
        yield Note("These steps were timed one after the other, so their ratios, floor and phases are unknown.")
        return
    if len(frames.step_ratios):
        yield step_ratios(frames.step_ratios)
    yield floor(frames.steps)
    if len(frames.phases):
        yield phases(frames.phases)
    yield step.ratios(frames.step_ratios, frames.steps)
    yield step.floors(frames.steps)
    yield step.equality(frames.steps)
    if len(frames.phases):
        yield step.phases(frames.phases, frames.steps)
