"""Numbers as text: three significant digits, and the largest unit that leaves one before the point."""

import math
from collections.abc import Sequence

UNKNOWN = "–"
"""Symbol for an unknown value; never 0."""

SECONDS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
THOUSANDS = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))


def plain(value: float | None, *, digits: int = 3) -> str:
    """Return ``value`` as text with at least ``digits`` significant digits, all whole digits, and grouped thousands.

    ``None`` and NaN are unknown. Very large and very small values have an exponent.
    """
    if value is None or math.isnan(value):
        return UNKNOWN
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if value == 0:
        return "0"
    if not 1e-4 <= abs(value) < 1e9:
        return f"{value:.{digits - 1}e}"
    exponent = int(f"{value:.{digits - 1}e}".partition("e")[2])
    places = max(0, digits - 1 - exponent)
    return f"{value:,.{places}f}"


def scaled(value: float, units: Sequence[tuple[float, str]]) -> tuple[str, str]:
    """Return a finite value in the largest unit with a nonzero whole part, and that unit; ``units`` descend."""
    factor, unit = next((pair for pair in units if abs(value) >= 0.9995 * pair[0]), units[-1])
    return plain(value / factor), unit


def duration(value_s: float | None) -> str:
    """Format seconds with an ASCII unit, such as ``61.8 us``; unknown times are a dash."""
    return UNKNOWN if value_s is None else " ".join(scaled(value_s, SECONDS)).replace("µ", "u")


def rate(per_s: float) -> str:
    """Format a number per second, such as ``2.99M``."""
    return "".join(scaled(per_s, THOUSANDS))


def times(value: float) -> str:
    """Format a factor, such as ``1``, ``36.4`` or ``2,954``; an unknown factor is a dash."""
    return UNKNOWN if math.isnan(value) else f"{value:.3g}" if value < 100 else f"{value:,.0f}"


def count(number: int, noun: str) -> str:
    """Return ``3 laws`` or ``1 law``."""
    return f"{number:,} {noun if number == 1 else noun + 's'}"
