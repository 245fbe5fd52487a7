"""Numbers as text: three significant digits, a unit, and a dash where the value is unknown."""

import math
import re

UNKNOWN = "–"
"""What stands where a value is not known; never 0."""

_SECONDS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
_THOUSANDS = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))
_BYTES = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1.0, "bytes"))


def plain(value: float | None, *, digits: int = 3) -> str:
    """Return ``value`` with at least ``digits`` significant digits, thousands grouped, without an exponent if it can.

    Parameters
    ----------
    value
        Any float; ``None`` and NaN are unknown.
    digits
        Significant digits of a value below one thousand; whole digits are never dropped.
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


def value(number: float) -> str:
    """Return a computed value, where NaN and infinity are values too."""
    return "nan" if math.isnan(number) else plain(number)


def approximate(number: float, *, digits: int = 4) -> str:
    """Return a measured number rounded to ``digits`` significant digits, whole ones included: ``4,244,000``."""
    if not math.isfinite(number) or number == 0:
        return plain(number)
    return plain(round(number, digits - 1 - math.floor(math.log10(abs(number)))), digits=digits)


def to_error(number: float, error: float) -> str:
    """Return a number with as many decimals as show two digits of its standard error."""
    if not math.isfinite(number) or not math.isfinite(error) or error <= 0:
        return plain(number, digits=4)
    return f"{number:,.{min(17, max(0, 1 - math.floor(math.log10(error))))}f}"


def tick(text: str) -> str:
    """Return the text of a number without the zeros that end its decimals: what stands at a tick is exact."""
    return re.sub(r"\.(\d*?)0+(?=\D*$)", lambda decimals: f".{decimals[1]}" if decimals[1] else "", text)


def duration(value_s: float | None) -> str:
    """Return a time in the unit that leaves one to three digits before the point."""
    if value_s is None or not math.isfinite(value_s):
        return UNKNOWN
    return _scaled(value_s, _SECONDS, gap=" ")


def rate(value_per_s: float | None) -> str:
    """Return a rate, per second, in at most five characters: ``48.2k``."""
    if value_per_s is None or not math.isfinite(value_per_s):
        return UNKNOWN
    return _scaled(value_per_s, _THOUSANDS, gap="")


def size(value_bytes: float | None) -> str:
    """Return a number of bytes with a binary unit."""
    if value_bytes is None or not math.isfinite(value_bytes):
        return UNKNOWN
    return _scaled(value_bytes, _BYTES, gap=" ")


def times(value: float | None) -> str:
    """Return a ratio: ``1.81×``."""
    return UNKNOWN if value is None or math.isnan(value) else f"{plain(value)}×"


def percent(value: float | None) -> str:
    """Return a fraction as a percentage with one decimal."""
    return UNKNOWN if value is None or math.isnan(value) else f"{100 * value:.1f} %"


def magnitude(text: str) -> float | None:
    """Return the number that a text of this module stands for, in units that compare; ``None`` where it is none.

    What a cell says around the number, a sign of comparison before it or a mark after it, does not count.
    """
    match = _NUMBER.search(text)
    if match is None:
        return None
    return float(match["number"].replace(",", "")) * _FACTORS.get(match["unit"] or "", 1.0)


_FACTORS = {unit: factor for factor, unit in (*_SECONDS, *_THOUSANDS, *_BYTES)}
_UNITS = "|".join(sorted((re.escape(unit) for unit in _FACTORS if unit), key=len, reverse=True))
_NUMBER = re.compile(rf"(?P<number>-?(?:inf\b|\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?))(?: ?(?P<unit>{_UNITS})\b)?")


def _scaled(value: float, units: tuple[tuple[float, str], ...], *, gap: str) -> str:
    """Return the value in the largest unit that leaves at least one whole digit after rounding."""
    factor, unit = next((pair for pair in units if abs(value) >= 0.9995 * pair[0]), units[-1])
    return f"{plain(value / factor)}{gap}{unit}"
