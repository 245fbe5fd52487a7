"""Tables on time: operations and the speed of checking, medians with their interquartile range."""

import pandas as pd

from ..number import approximate, duration, times
from ..table import Table, codes, headers, numbers, texts

SCATTER = (
    "Medians with the interquartile range of the rounds in one process. The range shows the scatter of rounds, not "
    "the difference between runs."
)
"""Caption below tables and figures of times."""

STANDARD = "256x10"
"""Shape of the standard input, the only one of older runs."""

NO_ACCELERATOR = "no accelerator on this machine"


def operations(frame: pd.DataFrame) -> Table:
    """Return the time of a call per implementation, with its ratio to the fastest of its contract and shape."""
    fastest = frame.groupby(["contract", "shape"], sort=False, dropna=False)["median_s"].transform("min")
    rows = []
    for (_, row), ratio in zip(frame.iterrows(), frame["median_s"] / fastest, strict=True):
        call = (duration(row["median_s"]), f"{duration(row['q1_s'])} – {duration(row['q3_s'])}", times(ratio))
        shape = STANDARD if pd.isna(row["shape"]) else row["shape"]
        rows.append((row["contract"], row["case"], shape, *call, duration(row["cold_s"]), times(row["ratio"])))
    columns = headers(
        codes("contract", "case"),
        numbers("shape", "call", "quartiles", "relative to fastest", "first call", "worst deviation / bound"),
    )
    caption = (
        "Float32, one thread, with gradient if the contract has one. Shapes are rows x columns; vectors have "
        f"as many elements, but 1,024 at {STANDARD}. {SCATTER}"
    )
    return Table("operations-table", "Time per call", columns, tuple(rows), caption, folded=True)


def screening(frame: pd.DataFrame) -> Table:
    """Return the rows checked per second by each method, with the ratio to one row at a time in the same run."""
    rows = []
    for case, group in frame.groupby("case", sort=False):
        one_at_a_time = group[group["way"] == "one-at-a-time"]["rows_per_s"].max()
        for _, row in group.iterrows():
            interval = f"{approximate(row['rows'] / row['q3_s'])} – {approximate(row['rows'] / row['q1_s'])}"
            rates = (approximate(row["rows_per_s"]), interval, times(row["rows_per_s"] / one_at_a_time))
            rows.append((str(case), str(row["way"]), f"{row['classes']}", *rates))
    columns = headers(
        codes("case"), texts("drawn"), numbers("classes", "rows/s", "quartiles", "relative to one at a time")
    )
    caption = f"Implementation, oracle and deviation together, float32. {SCATTER}"
    return Table("screening-table", "Rows checked per second on one core", columns, tuple(rows), caption)
