"""The frame of verdicts."""

import math
from collections.abc import Iterator
from typing import Any

from harness.record import RunFolder, Verdict

from .column import LAW_CHECKED, REAL, TEXT, UNIT, WHOLE, Column
from .declaration import Row, frame


@frame(
    *LAW_CHECKED,
    Column("device", TEXT, "device of the check"),
    Column("status", TEXT, "holds, broken, expected, unexpected, skipped or error"),
    Column("examples", WHOLE, "number of examples"),
    Column("rows", WHOLE, "independent rows in those examples"),
    Column("deviation", REAL, "largest deviation relative to its bound, in `unit`"),
    Column("bound", REAL, "bound for that deviation, in `unit`"),
    Column("ratio", REAL, "deviation / bound; 0 without deviation, inf if an exact law is broken"),
    UNIT,
    Column("statement", TEXT, "the law as a sentence"),
    Column("source", TEXT, "source of the law"),
    Column("reason", TEXT, "declared reason, reason of a skip, or text of an error"),
    Column("actual", REAL, "output of the case at the worst place of the counterexample"),
    Column("expected", REAL, "value of the oracle at that place"),
    Column("magnitude", REAL, "largest absolute input element of the counterexample"),
    Column("cause", TEXT, "likely cause"),
    Column("replay", TEXT, "command that replays the counterexample"),
    Column("duration_s", REAL, "duration of the check, in seconds"),
    keys=("case", "law", "dtype", "device"),
)
def verdicts(run: RunFolder) -> Iterator[Row]:
    """One row for each case, law, dtype and device."""
    for location, verdict in run.places(Verdict):
        ratio = share_of_bound(verdict.deviation, verdict.bound)
        yield {**verdict.model_dump(), **_list_facts(verdict), "ratio": ratio, "record": location}


def _list_facts(verdict: Verdict) -> dict[str, Any]:
    """Return the scalar facts of a violation; none if the law holds."""
    if verdict.violation is None:
        return {}
    return verdict.violation.model_dump(include={"actual", "expected", "magnitude", "cause", "replay"})


def share_of_bound(deviation: float | None, bound: float | None) -> float | None:
    """Return deviation / bound: 0 without a deviation, inf for an infinite deviation."""
    if deviation is None or math.isnan(deviation):
        return None
    if deviation == 0 or math.isinf(deviation):
        return deviation
    if bound is None:
        return None
    return deviation / bound if bound else math.inf
