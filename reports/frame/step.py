"""The frames of training steps: what is computed from the rounds that were measured in turns."""

from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np

from harness.record import RunFolder
from reports import benchmark
from reports.frame.column import CASE, CONTRACT, DTYPE, REAL, TEXT, TIMING, WHOLE, Column
from reports.frame.declaration import Row, frame
from reports.frame.series import median, ratio_columns

STEP = (
    CONTRACT,
    Column("device", TEXT, "cpu or the type of an accelerator"),
    Column("batch_size", WHOLE, "samples a step"),
    DTYPE,
    Column("threads", WHOLE, "threads torch computed with"),
)
KEYS = ("case", "device", "batch_size", "dtype", "threads")


@frame(
    *CASE,
    *STEP,
    *TIMING,
    Column("samples_per_s", REAL, "batch_size / median_s"),
    Column("floor_s", REAL, "least time of a step at the rates measured in the same rounds, median"),
    Column("over_floor", REAL, "step / floor, median over the rounds"),
    Column("over_floor_low", REAL, "lower end of its 95 % interval over the rounds"),
    Column("over_floor_high", REAL, "upper end of it"),
    Column("bytes", REAL, "bytes that a step must move"),
    Column("operations", REAL, "multiplications and additions that a step must make"),
    Column("bytes_per_s", REAL, "bandwidth on so many bytes, median of the rounds"),
    Column("operations_per_s", REAL, "rate of multiplication of square matrices, median of the rounds"),
    Column("launch_s", REAL, "time in which the host queues a step on an accelerator"),
    Column("device_s", REAL, "time on the accelerator by its events, seconds a step"),
    Column("graph_s", REAL, "step replayed as a CUDA graph, by the host's clock"),
    Column("graph_device_s", REAL, "the same by events"),
    Column("graph_absent", TEXT, "why there is no such graph"),
    Column("steps_compared", REAL, "fresh steps compared with gradient descent in float64"),
    Column("deviation", REAL, "2-norm of the difference of the parameters after these steps"),
    Column("bound", REAL, "what rounding allows of it"),
    keys=KEYS,
)
def steps(run: RunFolder) -> Iterator[Row]:
    """One row for each timed training step, with its distance to the floor round by round."""
    for row in benchmark.rows(run, "steps"):
        yield {
            **row,
            **{name: median(row[name]) for name in ("floor_s", "bytes_per_s", "operations_per_s")},
            **ratio_columns(row["rounds_s"], row["floor_s"], "over_floor"),
            "samples_per_s": row["batch_size"] / row["median_s"],
        }


@frame(
    *CASE,
    *STEP,
    Column("reference", TEXT, "case it is compared with: the first from scratch, the first concise"),
    Column("ratio", REAL, "time / time of the reference, median over the rounds measured in turns"),
    Column("low", REAL, "lower end of its 95 % interval over the rounds of one process"),
    Column("high", REAL, "upper end of it"),
    keys=(*KEYS, "reference"),
)
def step_ratios(run: RunFolder) -> Iterator[Row]:
    """One row for each timed step and each reference it was measured in turns with; older runs have none."""
    rows = [row for row in benchmark.rows(run, "steps") if row["floor_s"]]
    for _, group in groupby(rows, key=lambda row: tuple(row[name] for name in _IN_TURNS)):
        together = list(group)
        for reference in _references(together):
            for row in together:
                beside = ratio_columns(row["rounds_s"], reference["rounds_s"])
                yield {**row, **beside, "reference": reference["case"]}


_IN_TURNS = ("contract", "device", "batch_size", "dtype", "threads")
"""What steps have in common that were measured in turns."""


def _references(rows: Sequence[Row]) -> list[Row]:
    """Return the first step from scratch and the first concise one, of those there are."""
    first: dict[str, Row] = {}
    for row in rows:
        first.setdefault(row["style"], row)
    return [first[style] for style in ("scratch", "concise") if style in first]


@frame(
    *CASE,
    *STEP,
    Column("phase", TEXT, "forward, loss, backward or update"),
    Column("median_s", REAL, "median of the rounds, seconds a step"),
    Column("q1_s", REAL, "first quartile of the rounds"),
    Column("q3_s", REAL, "third quartile of the rounds"),
    keys=(*KEYS, "phase"),
)
def phases(run: RunFolder) -> Iterator[Row]:
    """One row for each phase of each timed step that has its phases apart."""
    for row in benchmark.rows(run, "steps"):
        for phase, rounds_s in row["phases_s"].items():
            quartiles = dict(zip(("q1_s", "median_s", "q3_s"), np.quantile(rounds_s, (0.25, 0.5, 0.75)), strict=True))
            yield {**row, "phase": phase, **quartiles}


@frame(
    *CASE,
    CONTRACT,
    Column("batch_size", WHOLE, "samples a step"),
    DTYPE,
    Column("median_s", REAL, "our time of a step, median of the rounds"),
    Column("timer_s", REAL, "that of torch.utils.benchmark.Timer, median of the rounds"),
    Column("ratio", REAL, "ours / Timer's, median over the rounds measured in turns"),
    Column("low", REAL, "lower end of its 95 % interval over the rounds"),
    Column("high", REAL, "upper end of it"),
    Column("tolerance", REAL, "how far the two may be apart"),
    Column("rounds", WHOLE, "turns of each"),
    keys=("case", "batch_size", "dtype"),
)
def agreement(run: RunFolder) -> Iterator[Row]:
    """One row for each step that torch's own timer timed too."""
    for row in benchmark.rows(run, "agreement"):
        yield {**row, **ratio_columns(row["rounds_s"], row["timer_s"]), "timer_s": median(row["timer_s"])}
