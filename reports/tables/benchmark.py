"""Tables on time: loaders and the speed of checking, medians with their interquartile range."""

import pandas as pd

from harness.record import DataSource
from reports.number import approximate, duration, times
from reports.source import caveats
from reports.table import Column, Table

SCATTER = (
    "Medians with the interquartile range of the rounds of one process: the range says how rounds scatter, not how "
    "runs differ, and no significance is claimed."
)
"""What stands below every table and figure of times."""

NO_ACCELERATOR = "no accelerator on this machine"


def loaders(frame: pd.DataFrame, source: DataSource | None) -> Table:
    """Return the throughput of every loader configuration, with its ratio to the first loader in the same one."""
    first = frame[frame["case"] == frame["case"].iloc[0]] if len(frame) else frame
    base = first.drop_duplicates(["batch_size", "workers"]).set_index(["batch_size", "workers"])["samples_per_s"]
    rows = []
    for _, row in frame.iterrows():
        reference = float(base.get((row["batch_size"], row["workers"]), float("nan")))
        interval = f"{approximate(row['samples_per_s_q1'])} – {approximate(row['samples_per_s_q3'])}"
        rates = (approximate(row["samples_per_s"]), interval, times(row["samples_per_s"] / reference))
        starts = (duration(row["first_batch_s"]), duration(row["cold_s"]))
        rows.append((row["case"], f"{row['batch_size']:,}", f"{row['workers']}", *rates, *starts))
    return Table(
        name="loaders-table",
        title="Throughput of every loader configuration",
        columns=(
            *(Column("loader", "code"), Column("batch size", "number"), Column("workers", "number")),
            *(Column("samples/s", "number"), Column("quartiles", "number"), Column("to the first loader", "number")),
            *(Column("first batch", "number"), Column("first epoch", "number")),
        ),
        rows=tuple(rows),
        caption=f"Steady epochs. {SCATTER}",
        folded=True,
        caveat=caveats(_labels(frame), source),
    )


def best_loaders(frame: pd.DataFrame, source: DataSource | None) -> Table:
    """Return the fastest configuration of each loader beside its fastest one without workers."""
    rows: list[tuple[str, ...]] = []
    base = float("nan")
    for number, (case, group) in enumerate(frame.groupby("case", sort=False)):
        best = group.sort_values("samples_per_s", ascending=False, kind="stable").iloc[0]
        alone = group[group["workers"] == 0]["samples_per_s"].max()
        base = best["samples_per_s"] if number == 0 else base
        place = (f"{best['batch_size']:,}", f"{best['workers']}")
        rates = (approximate(best["samples_per_s"]), times(best["samples_per_s"] / base), approximate(alone))
        rows.append((str(case), *place, *rates, duration(best["first_batch_s"])))
    return Table(
        name="best-loaders",
        title="Fastest configuration of each loader",
        columns=(
            *(Column("loader", "code"), Column("batch size", "number"), Column("workers", "number")),
            *(Column("samples/s", "number"), Column("to the first loader", "number")),
            *(Column("best without workers", "number"), Column("first batch", "number")),
        ),
        rows=tuple(rows),
        caption="The largest of several medians is biased upwards: two configurations that differ by less than their "
        "quartiles are not told apart.",
        caveat=caveats(_labels(frame), source),
    )


def screening(frame: pd.DataFrame) -> Table:
    """Return the rows checked a second in each way, with the ratio to one at a time in the same run."""
    rows = []
    for case, group in frame.groupby("case", sort=False):
        alone = group[group["way"] == "one-at-a-time"]["rows_per_s"].max()
        for _, row in group.iterrows():
            interval = f"{approximate(row['rows'] / row['q3_s'])} – {approximate(row['rows'] / row['q1_s'])}"
            rates = (approximate(row["rows_per_s"]), interval, times(row["rows_per_s"] / alone))
            rows.append((str(case), str(row["way"]), f"{row['classes']}", *rates))
    return Table(
        name="screening-table",
        title="Rows checked a second, on one core",
        columns=(
            *(Column("case", "code"), Column("drawn"), Column("classes", "number"), Column("rows/s", "number")),
            *(Column("quartiles", "number"), Column("to one at a time", "number")),
        ),
        rows=tuple(rows),
        caption=f"Implementation, oracle and deviation together, float32. {SCATTER}",
    )


def _labels(frame: pd.DataFrame) -> list[str | None]:
    """Return the labels of the data, missing ones as ``None``."""
    return [None if pd.isna(label) else str(label) for label in frame["data"].unique()]
