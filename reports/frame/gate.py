"""The frames of the gate: its findings, the times it compared, and the slices that these rest on."""

from collections.abc import Iterator

from harness.record import Comparison, GateFinding, RunFolder, Slices

from .declaration import CASE, REAL, TEXT, WHOLE, Column, Row, frame


@frame(
    Column("gate", TEXT, "numerics, counts, time or sameness"),
    Column("case", TEXT, "family.module.function; empty if the finding concerns all cases"),
    Column("subject", TEXT, "law and dtype, ray, or quantity; empty for the case as a whole"),
    Column("outcome", TEXT, "regressed, improved, unchanged, new, inconclusive, or no verdict"),
    Column("sentence", TEXT, "finding as a sentence"),
    keys=("case", "gate", "subject"),
)
def gate(run: RunFolder) -> Iterator[Row]:
    """One row for each finding of the gate."""
    for location, finding in run.places(GateFinding):
        yield {**finding.model_dump(), "record": location}


@frame(
    CASE[0],
    Column("arm", TEXT, "candidate, null (a second base) or control (the base with a tenth more calls)"),
    Column("outcome", TEXT, "conclusion from the bounds"),
    Column("couples", WHOLE, "pairs of processes"),
    Column("ratio", REAL, "time relative to the base, geometric mean over the pairs"),
    Column("low", REAL, "lower 95 % bound, one-sided"),
    Column("high", REAL, "upper 95 % bound, one-sided"),
    Column("visible", REAL, "smallest slowdown that 95 % of such measurements would detect"),
    Column("margin", REAL, "slowdowns up to this value are ignored"),
    Column("tolerance", REAL, "limit for the upper bound"),
    keys=("case", "arm"),
)
def gate_times(run: RunFolder) -> Iterator[Row]:
    """One row for each case and arm with a time comparison against another commit."""
    for location, comparison in run.places(Comparison):
        yield {**comparison.model_dump(), "record": location}


@frame(
    CASE[0],
    Column("couple", WHOLE, "number of the pair of processes"),
    Column("arm", TEXT, "base, candidate, null or control"),
    Column("slice", WHOLE, "number of the slice in its process"),
    Column("rounds", WHOLE, "rounds of the slice"),
    Column("iterations", WHOLE, "calls per round"),
    Column("start_s", REAL, "start of the slice, since the start of the measurement"),
    Column("minimum_s", REAL, "fastest round"),
    Column("median_s", REAL, "median round"),
    Column("cpu_s", REAL, "CPU time of the process per round"),
    keys=("case", "couple", "arm", "slice"),
)
def gate_slices(run: RunFolder) -> Iterator[Row]:
    """One row for each slice used in these comparisons."""
    for location, slices in run.places(Slices):
        times = zip(slices.starts_s, slices.minima_s, slices.medians_s, slices.cpu_s, strict=True)
        for number, measured in enumerate(times):
            yield {**slices.model_dump(), **dict(zip(_SLICE, (number, *measured), strict=True)), "record": location}


_SLICE = ("slice", "start_s", "minimum_s", "median_s", "cpu_s")
"""Columns of a slice: its number and measurements."""
