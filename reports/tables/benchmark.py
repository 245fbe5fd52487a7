"""Tables on time: operations and the speed of checking, medians with their interquartile range."""

import pandas as pd

from harness.wording.table.call import SCATTER

from ..number import approximate, times
from ..table import Table, codes, headers, numbers, texts

NO_ACCELERATOR = "no accelerator on this machine"


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
