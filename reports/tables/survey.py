"""Tables of a survey: breaking points by implementation and dtype, worst cases, accumulators, search methods."""

from collections.abc import Iterator

import pandas as pd

from harness.dtype import PARAMETERS
from harness.record import share_of_best

from ..number import UNKNOWN, approximate, percent, plain, times
from ..table import Header, Table, codes, headers, numbers, prose, texts

DTYPES = tuple(PARAMETERS)

SURE = (
    "Exact to the float, and confirmed by ball arithmetic at this number and the previous one. In bfloat16 and "
    "float16 every number of the ray was tried, except for losses over a batch. An asterisk marks failures that come "
    "and go: between the tried numbers, a failure may begin earlier."
)
"""Explains breaking points."""


def breaking_points(frame: pd.DataFrame) -> Table:
    """Return the breaking points that have a closed form declared, one row for each case, law and ray."""
    return Table(
        name="breaking-points",
        title="Breaking points with a closed form, by implementation and dtype",
        columns=headers(codes("case", "law, ray"), texts("closed form"), _NUMBERS),
        rows=tuple(
            (case, f"{law}, {ray}", _forms(group), *_cells(group))
            for (case, law, ray), group in _broken(frame[frame["declared"]])
        ),
        caption=f"t is the parameter of the ray; p the precision, sub the smallest subnormal, k the classes. {SURE} "
        "The table below shows the results there.",
    )


def every_point(frame: pd.DataFrame) -> Table:
    """Return every breaking point, and the event there."""
    return Table(
        name="every-breaking-point",
        title="All breaking points",
        columns=headers(codes("case", "law"), texts("ray"), _NUMBERS, texts("closed form"), prose("result there")),
        rows=tuple(
            (case, law, f"{ray}: {group['formula'].iloc[0]}", *_cells(group), _forms(group), _happens(group))
            for (case, law, ray), group in _broken(frame)
        ),
        caption=SURE,
        folded=True,
    )


_NUMBERS = tuple(Header(dtype, "number") for dtype in DTYPES)


def _broken(frame: pd.DataFrame) -> Iterator[tuple[tuple[str, str, str], pd.DataFrame]]:
    """Yield case, law and ray, and their rows, where a law breaks or should."""
    for key, group in frame.groupby(["case", "law", "ray"], sort=False):
        if group["value"].notna().any() or group["declared"].any():
            case, law, ray = map(str, key)
            yield (case, law, ray), group


def _cells(group: pd.DataFrame) -> tuple[str, ...]:
    cells = {str(row["dtype"]): _cell(row) for _, row in group.iterrows()}
    return tuple(cells.get(dtype, "") for dtype in DTYPES)


def _happens(group: pd.DataFrame) -> str:
    """Return the event at a breaking point, preferably in float32."""
    broken = group[group["value"].notna()]
    first = (broken if len(broken) else group).sort_values("dtype", key=lambda dtype: dtype != "float32").iloc[0]
    return str(first["happens"])


def _cell(row: pd.Series) -> str:
    """Return the breaking point as the shortest decimal that identifies the float."""
    if pd.isna(row["value"]):
        return UNKNOWN
    value = float(row["value"])
    text = f"{value:.0f}" if value.is_integer() and value < 1e9 else repr(value)
    return f"{text} *" if row["certainty"] == "scanned" else text


def _forms(group: pd.DataFrame) -> str:
    """Return the closed forms, and the dtypes whose breaking points differ from them."""
    known = group[group["form"].notna()]
    claims = zip(known["form"], known["agrees"].fillna(value=False), known["dtype"], strict=True)
    return "; ".join(
        dict.fromkeys(form if agrees else f"{form} DISAGREES in {dtype}" for form, agrees, dtype in claims)
    )


def worst(frame: pd.DataFrame) -> Table:
    """Return the worst cases: the largest deviation and the largest share of the bound."""
    rows = []
    for _, row in frame.iterrows():
        share = row["deviation"] / row["bound"] if row["bound"] else float("inf" if row["deviation"] else 0)
        kind = "deviation" if row["objective"] == "deviation" else "share of its bound"
        measured = (plain(row["deviation"]), plain(row["bound"]), times(share), f"{row['rows']:,}")
        rows.append((row["case"], row["law"], row["dtype"], kind, *measured, row["unit"], row["evidence"]))
    columns = headers(
        codes("case", "law", "dtype"),
        texts("largest"),
        numbers("deviation", "bound", "deviation / bound", "rows"),
        texts("unit", "evidence"),
    )
    caption = (
        "A searched value is a lower bound: a worse input may exist. Only a proved value is the maximum. "
        "Deviations are computed for the recorded witness by ball arithmetic."
    )
    return Table("worst-found", "Worst cases", columns, tuple(rows), caption, folded=True)


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
