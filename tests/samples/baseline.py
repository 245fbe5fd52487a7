"""Made-up results of a run for a case, in the form of the committed baseline."""

from typing import Any

from samples.run import breaking, head, verdict

from harness.gate.snapshot import Summary, summarize_run
from harness.record import Breaking, Verdict

CASE = "softmax_regression.scratch.softmax"
POINT = "0x1.62e4300000000p+6"
"""88.72284: the first float32 whose exponential overflows."""
BEFORE = "0x1.62e42e0000000p+6"
"""One float32 before it."""


def law(**changes: Any) -> Verdict:
    """Return a law that holds with a largest deviation of 3 ulp."""
    facts: dict[str, Any] = {"law": "value", "largest": 3.0}
    return verdict(**(facts | changes))


def point(value_hex: str | None = POINT, **changes: Any) -> Breaking:
    """Return a breaking point in float32."""
    value = None if value_hex is None else float.fromhex(value_hex)
    known = dict(breaking(CASE, "softmax", "float32"))
    return Breaking(**(known | {"value": value, "value_hex": value_hex} | changes))


def of(
    *verdicts: Verdict, breakings: tuple[Breaking, ...] = (), counts: dict[str, int] | None = None, **run: Any
) -> Summary:
    """Return the summary of a run."""
    return summarize_run(head(**run), verdicts, breakings, {CASE: counts or {}})
