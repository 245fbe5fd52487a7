"""The table of accumulators of a survey."""

import pandas as pd

from harness.dtype import PARAMETERS

from ..number import UNKNOWN
from ..table import Table, codes, headers, texts

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
