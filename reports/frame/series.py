"""What a row keeps of series of measurements: a median, and the ratio of two that were measured in turns."""

from collections.abc import Sequence

import numpy as np

from harness.record import median_ratio


def median(values: Sequence[float]) -> float | None:
    """Return the median; unknown where nothing was measured."""
    return float(np.median(values)) if values else None


def ratio_columns(numerator: Sequence[float], denominator: Sequence[float], name: str = "") -> dict[str, float]:
    """Return the ratio of two series with the ends of its 95 % interval, each under the name of its column.

    These are ``ratio``, ``low`` and ``high``, or ``name`` and what begins with it. All are unknown where the series
    were not measured in turns, or too seldom.
    """
    estimate = median_ratio(numerator, denominator)
    low, high = (f"{name}_{end}" if name else end for end in ("low", "high"))
    return {name or "ratio": estimate.point, low: estimate.low, high: estimate.high}
