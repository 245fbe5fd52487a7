"""Sections on single calls: accuracy against speed, and the gain of vectorization."""

from collections.abc import Iterator

from harness.record.bench import OperationRecord
from harness.wording.table.call import operation_table

from ..figures.accuracy import MIN_POINTS, accuracy_against_speed
from ..figures.vectorization import ratios, speedup
from ..part import Part
from ..reading import Reading
from ..section import section
from ..table import page_table


@section("Accuracy and speed")
def operations(reading: Reading) -> Iterator[Part]:
    """Yield the accuracy and the speed of the implementations per contract."""
    frame = reading.frames.operations
    if len(frame):
        if frame["ratio"].notna().sum() >= MIN_POINTS:
            yield accuracy_against_speed(frame)
        shares = {str(case): float(ratio) for case, ratio in zip(frame["case"], frame["ratio"], strict=True)}
        yield page_table(operation_table(reading.timed(OperationRecord), shares), folded=True)


@section("Vectorization")
def vectorization(reading: Reading) -> Iterator[Part]:
    """Yield the gain of vectorization."""
    if ratios(reading.frames.vectorization):
        yield speedup(reading.frames.vectorization)
