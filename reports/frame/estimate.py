"""The columns of an estimate in a row: the point and both ends of its interval."""

from harness.record import Estimate


def estimate_columns(estimate: Estimate, name: str = "") -> dict[str, float]:
    """Return an estimate under the names of its columns; all are NaN if it is unknown.

    These are ``ratio``, ``low`` and ``high``, or ``name`` and columns with this prefix.
    """
    low, high = (f"{name}_{end}" if name else end for end in ("low", "high"))
    return {name or "ratio": estimate.point, low: estimate.low, high: estimate.high}
