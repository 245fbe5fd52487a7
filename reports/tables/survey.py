"""Tables of a survey: accumulators, and search methods."""

import pandas as pd

from harness.dtype import PARAMETERS
from harness.record import share_of_best

from ..number import UNKNOWN, approximate, percent, plain
from ..table import Table, codes, headers, numbers, texts

DTYPES = tuple(PARAMETERS)


def accumulators(frame: pd.DataFrame) -> Table:
    """Return the width and the number of parts of the sums of every case."""
    rows = []
    for case, group in frame.groupby("case", sort=False):
        cells = {str(row["dtype"]): str(row["sums"]) for _, row in group.iterrows()}
        rows.append((str(case), *(cells.get(dtype, UNKNOWN) for dtype in DTYPES)))
    title = "Precision and order of sums, inferred from the terms that they lose"
    caption = (
        "The inputs are one large term and thousands of small ones. A sum in a narrow format loses a small "
        "term that is added to the large one; the missing part of the output shows how many were lost."
    )
    return Table("accumulators", title, headers(codes("case"), texts(*DTYPES)), tuple(rows), caption)


def ways(frame: pd.DataFrame) -> Table:
    """Return the share of the best known deviation that each search method finds, as the median over the seeds."""
    names = [way for way in dict.fromkeys(frame["way"]) if way != "longer"]
    rows = []
    for case, group in frame.groupby("case", sort=False):
        best = group["score"].max()
        cells = [percent(share_of_best(group[group["way"] == way]["score"].median(), best)) for way in names]
        unit = "deviation / bound" if group["objective"].iloc[0] == "ratio" else "ulp"
        rows.append((str(case), f"{plain(best)} {unit}", *cells))
    short = frame[frame["way"] != "longer"]
    title = "Share of the best known deviation found by each search method"
    caption = (
        f"Median of {short['seed'].nunique()} seeds, {approximate(float(short['seconds'].median()))} s each on "
        "one core, eight classes, float32, no known threshold among the seeds. The best known deviation is the "
        "largest found by any method, including a longer search."
    )
    return Table("ways", title, headers(codes("case"), numbers("best known", *names)), tuple(rows), caption)
