"""Numbers as text: three significant digits, a unit, and a dash for an unknown value."""

import math
import re

from harness.wording.number import SECONDS, THOUSANDS, UNKNOWN, plain, scaled

__all__ = [
    "UNKNOWN",
    "approximate",
    "duration",
    "magnitude",
    "percent",
    "plain",
    "rate",
    "size",
    "tick",
    "times",
    "to_error",
    "value",
]

_BYTES = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1.0, "bytes"))


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
    """Return the text of a number without trailing zeros, since a tick is exact."""
    return re.sub(r"\.(\d*?)0+(?=(?:e[+-]\d+)?\D*$)", lambda decimals: f".{decimals[1]}" if decimals[1] else "", text)


def duration(value_s: float | None) -> str:
    """Return a time in the unit that leaves one to three digits before the point."""
    if value_s is None or not math.isfinite(value_s):
        return UNKNOWN
    return " ".join(scaled(value_s, SECONDS))


def rate(value_per_s: float | None) -> str:
    """Return a rate, per second, in at most five characters: ``48.2k``."""
    if value_per_s is None or not math.isfinite(value_per_s):
        return UNKNOWN
    return "".join(scaled(value_per_s, THOUSANDS))


def size(value_bytes: float | None) -> str:
    """Return a number of bytes with a binary unit."""
    if value_bytes is None or not math.isfinite(value_bytes):
        return UNKNOWN
    return " ".join(scaled(value_bytes, _BYTES))


def times(value: float | None) -> str:
    """Return a ratio: ``1.81×``."""
    return UNKNOWN if value is None or math.isnan(value) else f"{plain(value)}×"


def percent(value: float | None) -> str:
    """Return a fraction as a percentage with one decimal."""
    return UNKNOWN if value is None or math.isnan(value) else f"{100 * value:.1f} %"


def magnitude(text: str) -> float | None:
    """Return the number in a text of this module, in comparable units; ``None`` without one.

    Text around the number, such as a sign of comparison or a mark, is ignored.
    """
    match = _NUMBER.search(text)
    if match is None:
        return None
    return float(match["number"].replace(",", "")) * _FACTORS.get(match["unit"] or "", 1.0)


_FACTORS = {unit: factor for factor, unit in (*SECONDS, *THOUSANDS, *_BYTES)}
_UNITS = "|".join(sorted((re.escape(unit) for unit in _FACTORS if unit), key=len, reverse=True))
_NUMBER = re.compile(rf"(?P<number>-?(?:inf\b|\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?))(?: ?(?P<unit>{_UNITS})\b)?")
