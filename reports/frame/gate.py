"""The frames of the gate: its findings, the times it compared, and the slices that these rest on."""

from collections.abc import Iterator

from harness.record import Comparison, GateFinding, RunFolder, Slices
from reports.frame.column import CASE, REAL, TEXT, WHOLE, Column
from reports.frame.declaration import Row, frame


@frame(
    Column("gate", TEXT, "numerics, counts or time"),
    Column("case", TEXT, "family.module.function; empty where a finding is about all of them"),
    Column("subject", TEXT, "law and dtype, ray, or quantity; empty for the case as a whole"),
    Column("outcome", TEXT, "regressed, improved, unchanged, new, inconclusive, or no verdict"),
    Column("sentence", TEXT, "what came of it"),
    keys=("case", "gate", "subject"),
)
def gate(run: RunFolder) -> Iterator[Row]:
    """One row for each finding of the gate."""
    for place, finding in run.places(GateFinding):
        yield {**finding.model_dump(), "record": place}


@frame(
    CASE[0],
    Column("arm", TEXT, "candidate, null: a second base, or control: the base with a tenth more calls"),
    Column("outcome", TEXT, "what the bounds say"),
    Column("couples", WHOLE, "couples of processes"),
    Column("ratio", REAL, "time over the base's, geometric mean over the couples"),
    Column("low", REAL, "lower 95 % bound, one-sided"),
    Column("high", REAL, "upper 95 % bound, one-sided"),
    Column("visible", REAL, "smallest slowdown that 95 % of such measurements would have shown"),
    Column("margin", REAL, "a slowdown within it is none"),
    Column("tolerance", REAL, "what the upper bound has to be below"),
    keys=("case", "arm"),
)
def gate_times(run: RunFolder) -> Iterator[Row]:
    """One row for each case and arm whose time was compared with another commit's."""
    for place, comparison in run.places(Comparison):
        yield {**comparison.model_dump(), "record": place}


@frame(
    CASE[0],
    Column("couple", WHOLE, "number of the couple of processes"),
    Column("arm", TEXT, "base, candidate, null or control"),
    Column("slice", WHOLE, "number of the slice in its process"),
    Column("rounds", WHOLE, "rounds of the slice"),
    Column("iterations", WHOLE, "calls a round"),
    Column("start_s", REAL, "when the slice began, since the measurement did"),
    Column("minimum_s", REAL, "fastest round"),
    Column("median_s", REAL, "median round"),
    Column("cpu_s", REAL, "time of the process on a core, a round"),
    keys=("case", "couple", "arm", "slice"),
)
def gate_slices(run: RunFolder) -> Iterator[Row]:
    """One row for each slice that these comparisons rest on."""
    for place, own in run.places(Slices):
        times = zip(own.starts_s, own.minima_s, own.medians_s, own.cpu_s, strict=True)
        for number, measured in enumerate(times):
            yield {**own.model_dump(), **dict(zip(_SLICE, (number, *measured), strict=True)), "record": place}


_SLICE = ("slice", "start_s", "minimum_s", "median_s", "cpu_s")
"""Columns of one slice: its number and what was measured of it."""
