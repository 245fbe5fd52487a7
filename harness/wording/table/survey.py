"""The tables of a survey: breaking points along rays, and the worst inputs."""

import math
from collections.abc import Sequence
from operator import attrgetter

from harness.dtype import PARAMETERS
from harness.findings.merging import group_by
from harness.record import Breaking, Worst
from harness.wording.number import UNKNOWN, times
from harness.wording.survey import format_result
from harness.wording.table import Cell, Column, Table, build_table

SURE = (
    "Exact to the float, and confirmed by ball arithmetic at this number and the previous one. In bfloat16 and "
    "float16 every number of the ray was tried, except for losses over a batch. An asterisk marks failures that come "
    "and go: between the tried numbers, a failure may begin earlier."
)
"""Explains breaking points."""

Ray = list[Breaking]
"""The breaking points of a case and law along a ray, in several dtypes."""


def breaking_table(breakings: Sequence[Breaking], *, caption: str = "") -> Table:
    """Return a row for each case, law and ray along which the law breaks or should, and a column for each dtype."""
    columns: list[Column[Ray]] = [
        Column("case", lambda ray: ray[0].case, "code"),
        Column("law", lambda ray: ray[0].law, "code"),
        Column("ray", lambda ray: f"{ray[0].ray}: {ray[0].formula}"),
        *(_dtype_column(dtype) for dtype in PARAMETERS if any(breaking.dtype == dtype for breaking in breakings)),
        Column("closed form", list_closed_forms),
        Column("result there", _format_result, "prose"),
    ]
    rays = group_by(breakings, attrgetter("case", "law", "ray")).values()
    broken = [ray for ray in rays if any(breaking.value is not None or breaking.declared for breaking in ray)]
    return build_table("every-breaking-point", "All breaking points", broken, columns, caption=caption, grouped=1)


def _dtype_column(dtype: str) -> Column[Ray]:
    def get_text(ray: Ray) -> str:
        return next((format_breaking_point(breaking) for breaking in ray if breaking.dtype == dtype), "")

    return Column(dtype, get_text, "number")


def format_breaking_point(breaking: Breaking) -> str:
    """Return the breaking point as the shortest decimal that identifies the float, with its hexadecimal form."""
    value = breaking.value
    if value is None:
        return UNKNOWN
    text = f"{value:.0f}" if value.is_integer() and abs(value) < 1e9 else repr(value)
    return Cell(f"{text}{' *' * (breaking.certainty == 'scanned')}", detail=breaking.value_hex or "")


def list_closed_forms(ray: Ray) -> str:
    """Return the closed forms, and the dtypes whose breaking points differ from them."""
    declared = [breaking for breaking in ray if breaking.form is not None]
    forms = (f"{x.form}" if x.agrees else f"{x.form} DISAGREES in {x.dtype}" for x in declared)
    return "; ".join(dict.fromkeys(forms))


def _format_result(ray: Ray) -> str:
    """Return the result at a breaking point, preferably in float32."""
    broken = [breaking for breaking in ray if breaking.value is not None] or ray
    return format_result(min(broken, key=lambda breaking: breaking.dtype != "float32"))


def worst_table(worst: Sequence[Worst]) -> Table:
    """Return the largest deviations and shares of the bound; two searches with equal results share a row."""
    names = {"deviation": "deviation", "ratio": "share of its bound"}
    columns: list[Column[list[Worst]]] = [
        Column("case", lambda same: same[0].case, "code"),
        Column("law", lambda same: same[0].law, "code"),
        Column("dtype", lambda same: same[0].dtype, "code"),
        Column("largest", lambda same: " and ".join(names[search.objective] for search in same)),
        Column("deviation", lambda same: f"{same[0].deviation:.6g} {same[0].unit}", "number"),
        Column("bound", lambda same: f"{same[0].bound:.6g}", "number"),
        Column("deviation / bound", lambda same: times(_compute_share(same[0])), "number"),
        Column("rows", lambda same: f"{same[0].rows:,}", "number"),
        Column("evidence", lambda same: f"{same[0].evidence}{': a lower bound' * (same[0].evidence != 'proved')}"),
    ]
    same = attrgetter("case", "law", "dtype", "deviation", "bound", "rows", "evidence")
    caption = (
        "A worse input than a searched one may exist; only a proved value is the maximum. Deviations are computed for "
        "the recorded witness by ball arithmetic."
    )
    return build_table(
        "worst-found", "Worst cases", group_by(worst, same).values(), columns, caption=caption, grouped=1
    )


def _compute_share(worst: Worst) -> float:
    return worst.deviation / worst.bound if worst.bound else math.inf if worst.deviation else 0.0
