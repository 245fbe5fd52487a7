"""Times and rates as the terminal shows them: three digits, in the largest unit that leaves one before the point."""

import math
from collections.abc import Sequence

_SECONDS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns"))
_THOUSANDS = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))


def duration(value_s: float) -> str:
    """Return seconds with their unit: ``61.8 us``."""
    number, unit = _scaled(value_s, _SECONDS)
    return f"{number} {unit}"


def rate(per_s: float) -> str:
    """Return a number a second: ``2.99M``."""
    return "".join(_scaled(per_s, _THOUSANDS))


def times(value: float) -> str:
    """Return a multiple: ``1``, ``36.4``, ``2,954``; a dash where it is not known."""
    return "–" if math.isnan(value) else f"{value:.3g}" if value < 100 else f"{value:,.0f}"


def _scaled(value: float, units: Sequence[tuple[float, str]]) -> tuple[str, str]:
    factor, unit = next((pair for pair in units if value >= pair[0]), units[-1])
    scaled = value / factor
    return (f"{scaled:#.3g}".rstrip(".") if scaled < 1000 else f"{scaled:,.0f}"), unit
