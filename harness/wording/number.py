"""Numbers as text: three significant digits, and the largest unit that leaves one before the point."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from enum import StrEnum

UNKNOWN = "–"
"""Symbol for an unknown value; never 0."""

SECONDS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
THOUSANDS = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))
BYTES = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1.0, "bytes"))


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


def scale_to_unit(value: float, units: Sequence[tuple[float, str]]) -> tuple[str, str]:
    """Return a finite value in the largest unit with a nonzero whole part, and that unit; ``units`` descend."""
    factor, unit = next((pair for pair in units if abs(value) >= 0.9995 * pair[0]), units[-1])
    return plain(value / factor), unit


def approximate(number: float, *, digits: int = 4) -> str:
    """Return a measured number rounded to ``digits`` significant digits, whole ones included: ``4,244,000``."""
    if not math.isfinite(number) or number == 0:
        return plain(number)
    return plain(round(number, digits - 1 - math.floor(math.log10(abs(number)))), digits=digits)


def round_to_error(number: float, error: float) -> str:
    """Return a number with as many decimals as show two digits of its standard error."""
    if not math.isfinite(number) or not math.isfinite(error) or error <= 0:
        return plain(number, digits=4)
    return f"{number:,.{min(17, max(0, 1 - math.floor(math.log10(error))))}f}"


def duration(value_s: float | None) -> str:
    """Return a time in the unit that leaves one to three digits before the point: ``61.8 µs``."""
    return _append_unit(value_s, SECONDS, " ")


def rate(per_s: float | None) -> str:
    """Return a rate, per second, in at most five characters: ``2.99M``."""
    return _append_unit(per_s, THOUSANDS, "")


def size(value_bytes: float | None) -> str:
    """Return a number of bytes with a binary unit."""
    return _append_unit(value_bytes, BYTES, " ")


def _append_unit(value: float | None, units: Sequence[tuple[float, str]], separator: str) -> str:
    """Return a value with its unit; a dash for a value that is unknown or infinite."""
    return UNKNOWN if value is None or not math.isfinite(value) else separator.join(scale_to_unit(value, units))


def times(value: float | None) -> str:
    """Return a ratio: ``1.81×``."""
    return UNKNOWN if value is None or math.isnan(value) else f"{plain(value)}×"


def percent(value: float | None) -> str:
    """Return a fraction as a percentage with one decimal."""
    return UNKNOWN if value is None or math.isnan(value) else f"{100 * value:.1f} %"


def interval(low: float, high: float, *, digits: int = 3) -> str:
    """Return the ends of an interval in brackets: ``(1.75 – 1.88)``."""
    return f"({plain(low, digits=digits)} – {plain(high, digits=digits)})"


def count(number: int, noun: str) -> str:
    """Return ``3 laws`` or ``1 law``."""
    return f"{number:,} {noun if number == 1 else noun + 's'}"


FASTER = "times as fast as"
"""End of the comparison with something slower."""

EQUAL = 1.05
"""Largest ratio up to which two speeds are called equal."""


def compare_speed(ratio: float, low: float, high: float) -> str:
    """Return how a speed compares with another one, before its noun, from their ratio and its interval."""
    if low >= 1.0 / EQUAL and high <= EQUAL:
        return "as fast as"
    if low > 1.0:
        return f"{ratio:.3g} {FASTER}"
    return f"slower, by a factor of {1.0 / ratio:.3g}, than" if high < 1.0 else "not distinguishable in speed from"


def list_counts(members: Iterable[StrEnum]) -> list[str]:
    """Return how often each member of an enumeration occurs, in the order of the enumeration: ``2 regressed``."""
    counts = Counter(members)
    kinds: Iterable[type[StrEnum]] = dict.fromkeys(map(type, counts))
    return [f"{counts[member]:,} {member}" for kind in kinds for member in kind if counts[member]]
