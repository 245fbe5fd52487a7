"""Times and rates as the terminal shows them: three digits, in the largest unit that leaves one before the point."""

import math

from harness.record.number import SECONDS, THOUSANDS, UNKNOWN, scaled


def duration(value_s: float | None) -> str:
    """Return seconds with their unit, micro as ASCII has it: ``61.8 us``; a dash where they are not known."""
    if value_s is None:
        return UNKNOWN
    return " ".join(scaled(value_s, SECONDS)).replace("µ", "u")


def rate(per_s: float) -> str:
    """Return a number a second: ``2.99M``."""
    return "".join(scaled(per_s, THOUSANDS))


def times(value: float) -> str:
    """Return a multiple: ``1``, ``36.4``, ``2,954``; a dash where it is not known."""
    return UNKNOWN if math.isnan(value) else f"{value:.3g}" if value < 100 else f"{value:,.0f}"
