"""The frames of training: its course, the learned parameters, and timed steps."""

from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np

from harness.record import Epoch, LearnedParameter, RunFolder, median_ratio
from harness.record.bench import AgreementRecord, Benchmark, FormatRecord, StepRecord

from .declaration import (
    CASE,
    DATA,
    REAL,
    TEXT,
    TIMING,
    WHOLE,
    Column,
    Row,
    columns_of,
    estimate_columns,
    frame,
    interval_columns,
    list_placed,
)


@frame(
    *CASE,
    Column("experiment", TEXT, "model and data of the training"),
    DATA,
    Column("epoch", WHOLE, "epoch; 0 is the state before the first step"),
    Column("train_loss", REAL, "loss on the training data"),
    Column("held_out_loss", REAL, "loss on held-out data"),
    Column("train_accuracy", REAL, "fraction of the training data classified correctly"),
    Column("held_out_accuracy", REAL, "fraction of the held-out data classified correctly"),
    Column("duration_s", REAL, "seconds of the training steps, evaluation excluded"),
    keys=("case", "experiment", "data", "epoch"),
)
def epochs(run: RunFolder) -> Iterator[Row]:
    """One row for each epoch of each training run."""
    for location, epoch in run.places(Epoch):
        yield {**epoch.model_dump(), "record": location}


@frame(
    *CASE,
    Column("parameter", TEXT, "name of the parameter"),
    Column("true", REAL, "value used to generate the data"),
    Column("learned", REAL, "value after training"),
    Column("standard_error", REAL, "standard error of the least-squares estimator on the same data"),
    Column("error", REAL, "(learned - true) / standard error"),
    keys=("case", "parameter"),
)
def estimates(run: RunFolder) -> Iterator[Row]:
    """One row for each learned parameter, with its error in standard errors."""
    for location, estimate in run.places(LearnedParameter):
        is_known = estimate.standard_error > 0
        error = (estimate.learned - estimate.true) / estimate.standard_error if is_known else None
        yield {**estimate.model_dump(), "error": error, "record": location}


Step = Benchmark[StepRecord]

STEP = columns_of(StepRecord, "contract", "device", "batch_size", "dtype", "threads")
KEYS = ("case", "device", "batch_size", "dtype", "threads")


@frame(
    *CASE,
    *STEP,
    *TIMING,
    Column("samples_per_s", REAL, "batch_size / median_s"),
    *columns_of(StepRecord, "floor_s"),
    *interval_columns("over_floor", "step / floor, median over the rounds", " over the rounds"),
    Column("on_device_low", REAL, "lower end of the 95 % interval of the time on the accelerator by events"),
    Column("on_device_high", REAL, "upper end of the 95 % interval"),
    keys=KEYS,
    further=StepRecord,
)
def steps(run: RunFolder) -> Iterator[Row]:
    """One row for each timed training step, with its distance from the floor."""
    for location, step in list_placed(run, StepRecord):
        yield {
            **step.row(),
            **estimate_columns(step.over(step.record.floor_s), "over_floor"),
            **estimate_columns(step.record.on_device, "on_device"),
            "samples_per_s": step.record.batch_size / step.stats.median_s,
            "record": location,
        }


@frame(
    *CASE,
    *STEP,
    Column("reference", TEXT, "reference case: the first scratch step or the first concise step"),
    *interval_columns(
        "ratio", "time / time of the reference, median over interleaved rounds", " over the rounds in one process"
    ),
    keys=(*KEYS, "reference"),
)
def step_ratios(run: RunFolder) -> Iterator[Row]:
    """One row for each timed step and each reference measured in the same rounds; older runs have none."""
    records = [(location, step) for location, step in list_placed(run, StepRecord) if step.record.floor_s]
    for _, group in groupby(records, key=lambda entry: entry[1].record.turn):
        steps = list(group)
        for reference in _find_references([step for _, step in steps]):
            for location, step in steps:
                ratio = estimate_columns(step.over(reference.stats.rounds_s))
                yield {**step.row(), **ratio, "reference": reference.record.case, "record": location}


def _find_references(steps: Sequence[Step]) -> list[Step]:
    """Return the first step from scratch and the first concise one, if they exist."""
    first: dict[str, Step] = {}
    for step in steps:
        first.setdefault(step.record.style, step)
    return [first[style] for style in ("scratch", "concise") if style in first]


@frame(
    *CASE,
    *STEP,
    Column("phase", TEXT, "forward, loss, backward or update"),
    Column("median_s", REAL, "median of the rounds, seconds per step"),
    Column("q1_s", REAL, "first quartile of the rounds"),
    Column("q3_s", REAL, "third quartile of the rounds"),
    keys=(*KEYS, "phase"),
)
def phases(run: RunFolder) -> Iterator[Row]:
    """One row for each phase of each timed step with separate phases."""
    for location, step in list_placed(run, StepRecord):
        for phase, rounds_s in step.record.phases_s.items():
            quartiles = dict(zip(("q1_s", "median_s", "q3_s"), np.quantile(rounds_s, (0.25, 0.5, 0.75)), strict=True))
            yield {**step.row(), "phase": phase, **quartiles, "record": location}


@frame(
    *CASE,
    *STEP,
    Column("format", TEXT, "float32, or the format of the products or of all tensors"),
    Column("median_s", REAL, "median of the rounds, seconds per step"),
    *interval_columns("ratio", "time / time in float32, median over interleaved rounds", " over the rounds"),
    *columns_of(FormatRecord, "error_ulp", "absent"),
    keys=(*KEYS, "format"),
)
def step_formats(run: RunFolder) -> Iterator[Row]:
    """One row for each format of each step that was also timed in other formats."""
    for location, step in list_placed(run, StepRecord):
        for name, compared in step.record.formats.items():
            measured = compared.row()
            median_s = step.stats.median_s if name == step.record.dtype else measured["rounds_s"]
            ratio = estimate_columns(median_ratio(compared.rounds_s, step.stats.rounds_s))
            yield step.row() | measured | ratio | {"format": name, "median_s": median_s, "record": location}


@frame(
    *CASE,
    *columns_of(AgreementRecord, "contract", "batch_size", "dtype"),
    Column("median_s", REAL, "step time measured by the harness, median of the rounds"),
    *columns_of(AgreementRecord, "timer_s"),
    *interval_columns(
        "ratio", "step time of the harness / time of Timer, median over interleaved rounds", " over the rounds"
    ),
    *columns_of(AgreementRecord, "tolerance"),
    Column("rounds", WHOLE, "rounds of each"),
    keys=("case", "batch_size", "dtype"),
)
def agreement(run: RunFolder) -> Iterator[Row]:
    """One row for each step also timed by the timer of torch."""
    for location, step in list_placed(run, AgreementRecord):
        yield {**step.row(), **estimate_columns(step.over(step.record.timer_s)), "record": location}
