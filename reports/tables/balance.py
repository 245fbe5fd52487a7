"""The table of the tuner: its distance from the best loader."""

import pandas as pd

from ..number import percent
from ..table import Table, headers, numbers, texts
from ..text import count

NEAR, QUICK = 0.95, 0.25
"""Goals of the tuner: share of the best rate, and share of the exhaustive time."""


def tuner(frame: pd.DataFrame) -> Table:
    """Return the distance of the tuner's runs from the best loader per data set, and the share of the time."""
    rows, whole = [], 0
    for name, group in frame.groupby("case", sort=False):
        reached = ((group["share_of_best"] >= NEAR) & (group["share_of_time"] <= QUICK)).sum()
        whole += int(reached == len(group))
        chosen = group["choice"].value_counts()
        choices = "; ".join(f"{choice} ({number})" for choice, number in chosen.items())
        rate, time = group["share_of_best"], group["share_of_time"]
        shares = (percent(rate.median()), percent(rate.min()), percent(time.median()), percent(time.max()))
        best = str(group["best"].iloc[0])
        rows.append((str(name), f"{reached} of {len(group)}", *shares, best, choices))
    columns = headers(
        texts("data set"),
        numbers("runs that reach both goals", "rate, median", "rate, minimum", "time, median", "time, maximum"),
        texts("best of all", "chosen (runs)"),
    )
    caption = (
        f"Both goals: at least {percent(NEAR)} of the best rate, in at most {percent(QUICK)} of the time of "
        f"measuring every configuration. All runs reach both on {whole} of {count(len(rows), 'data set')}. The best of "
        "many measurements is biased upwards, so the best and the choice are remeasured in pairs. The exhaustive time "
        "counts slices only; the time of the tuner counts everything."
    )
    return Table("tuner-table", "Tuner compared with exhaustive measurement", columns, tuple(rows), caption)
