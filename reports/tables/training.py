"""Tables on training: the last epochs of the runs, and learned against true parameters."""

import pandas as pd

from harness.record import DataSource

from ..number import UNKNOWN, duration, percent, plain, to_error
from ..source import caveat_of
from ..table import Table, codes, headers, numbers, texts


def results(epochs: pd.DataFrame, source: DataSource | None) -> Table:
    """Return the last epoch of every training run."""
    rows = [
        (str(experiment), str(case), *_end(group))
        for experiment, frame in epochs.groupby("experiment", sort=False)
        for case, group in frame.groupby("case", sort=False)
    ]
    title = "Where training ended"
    columns = headers(
        texts("experiment"),
        codes("case"),
        numbers("epochs", "training loss", "held-out loss", "training accuracy", "held-out accuracy", "median epoch"),
    )
    caption = "The time of an epoch covers its training steps, without evaluation."
    return Table("training-table", title, columns, tuple(rows), caption, caveat=caveat_of(epochs, source))


def estimates(frame: pd.DataFrame) -> Table:
    """Return each learned parameter with the true one, and its error in standard errors."""
    rows = []
    for _, row in frame.iterrows():
        values = (to_error(row[name], row["standard_error"]) for name in ("true", "learned", "standard_error"))
        error = UNKNOWN if pd.isna(row["error"]) else f"{row['error']:+.2f}"
        rows.append((row["case"], row["parameter"], *values, error))
    return Table(
        name="estimates-table",
        title="Learned and true parameters",
        columns=headers(
            codes("case", "parameter"), numbers("true", "learned", "standard error", "error in standard errors")
        ),
        rows=tuple(rows),
        caption=_coverage(frame),
    )


def _coverage(frame: pd.DataFrame) -> str:
    """Return the number of parameters within two standard errors, and an explanation."""
    within, known = int((frame["error"].abs() <= 2).sum()), int(frame["error"].notna().sum())
    return (
        f"{within} of {known} lie within two standard errors of the true value. The standard error refers to the "
        "least-squares estimator on the same data; by chance, about one parameter in twenty lies further off."
    )


def _end(group: pd.DataFrame) -> tuple[str, ...]:
    """Return the last epoch of a training run: its number, losses and accuracies, and the median time of an epoch."""
    last = group.sort_values("epoch").iloc[-1]
    losses = (plain(last["train_loss"]), plain(last["held_out_loss"]))
    accuracies = (percent(last["train_accuracy"]), percent(last["held_out_accuracy"]))
    return (f"{last['epoch']}", *losses, *accuracies, duration(group[group["epoch"] > 0]["duration_s"].median()))
