"""The frames of training: its course, and the learned parameters."""

from collections.abc import Iterator

from harness.record import Epoch, LearnedParameter, RunFolder

from .column import CASE, DATA, REAL, TEXT, WHOLE, Column
from .declaration import Row, frame


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
