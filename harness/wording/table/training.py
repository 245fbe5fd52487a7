"""The tables of training: the last epochs of the runs, and the learned next to the true parameters."""

import statistics
from collections.abc import Sequence

from harness.findings.merging import group_by
from harness.record import Epoch, LearnedParameter
from harness.wording.number import duration, percent, plain, round_to_error
from harness.wording.table import Column, Table, build_table

Training = list[Epoch]
"""The epochs of one training run."""


def training_table(epochs: Sequence[Epoch]) -> Table:
    """Return the last epoch of every training run."""

    def get_last(training: Training) -> Epoch:
        return max(training, key=lambda epoch: epoch.epoch)

    def format_share(value: float | None) -> str | None:
        return None if value is None else percent(value)

    def format_loss(value: float | None) -> str | None:
        return None if value is None else plain(value, digits=4)

    columns: list[Column[Training]] = [
        Column("experiment", lambda training: training[0].experiment),
        Column("case", lambda training: training[0].case, "code"),
        Column("data", _find_data, "text", "terminal"),
        Column("epochs", lambda training: f"{get_last(training).epoch}", "number"),
        Column("training loss", lambda training: format_loss(get_last(training).train_loss), "number"),
        Column("held-out loss", lambda training: format_loss(get_last(training).held_out_loss), "number"),
        Column("training accuracy", lambda training: format_share(get_last(training).train_accuracy), "number"),
        Column("held-out accuracy", lambda training: format_share(get_last(training).held_out_accuracy), "number"),
        Column("median epoch", _find_median_epoch, "number"),
    ]
    runs = [
        training
        for experiment in group_by(epochs, lambda epoch: epoch.experiment).values()
        for training in group_by(experiment, lambda epoch: epoch.case).values()
    ]
    caption = "The time of an epoch covers its training steps, without evaluation."
    return build_table("training-table", "Where training ended", runs, columns, caption=caption)


def _find_data(training: Training) -> str | None:
    """Return the data, which must be shown if they are synthetic; ``None`` if the name of the experiment has them."""
    return None if training[0].data in training[0].experiment else training[0].data


def _find_median_epoch(training: Training) -> str | None:
    times = [epoch.duration_s for epoch in training if epoch.epoch > 0]
    return duration(statistics.median(times)) if times else None


def estimate_table(estimates: Sequence[LearnedParameter]) -> Table:
    """Return each learned parameter next to the true one, and its error in standard errors."""
    errors = [error for estimate in estimates if (error := _compute_error(estimate)) is not None]
    columns: list[Column[LearnedParameter]] = [
        Column("case", lambda it: it.case, "code"),
        Column("parameter", lambda it: it.parameter, "code"),
        Column("true", lambda it: round_to_error(it.true, it.standard_error), "number"),
        Column("learned", lambda it: round_to_error(it.learned, it.standard_error), "number"),
        Column("standard error", lambda it: round_to_error(it.standard_error, it.standard_error), "number"),
        Column("error in standard errors", _format_error, "number"),
    ]
    caption = (
        f"{sum(abs(error) <= 2 for error in errors)} of {len(errors)} lie within two standard errors of the true "
        "value. The standard error refers to the least-squares estimator on the same data; by chance, about one "
        "parameter in twenty lies further off."
    )
    return build_table("estimates-table", "Learned and true parameters", estimates, columns, caption=caption)


def _compute_error(estimate: LearnedParameter) -> float | None:
    has_error = estimate.standard_error > 0
    return (estimate.learned - estimate.true) / estimate.standard_error if has_error else None


def _format_error(estimate: LearnedParameter) -> str | None:
    error = _compute_error(estimate)
    return None if error is None else f"{error:+.2f}"
