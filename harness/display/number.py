"""Times and rates for the terminal: three significant digits, in the largest unit that gives at least one."""

import math

from harness.wording.number import SECONDS, THOUSANDS, UNKNOWN, scaled


def duration(value_s: float | None) -> str:
    """Format seconds with an ASCII unit, such as ``61.8 us``; unknown times are a dash."""
    if value_s is None:
        return UNKNOWN
    return " ".join(scaled(value_s, SECONDS)).replace("µ", "u")


def rate(per_s: float) -> str:
    """Format a number per second, such as ``2.99M``."""
    return "".join(scaled(per_s, THOUSANDS))


def times(value: float) -> str:
    """Format a factor, such as ``1``, ``36.4`` or ``2,954``; an unknown factor is a dash."""
    return UNKNOWN if math.isnan(value) else f"{value:.3g}" if value < 100 else f"{value:,.0f}"
