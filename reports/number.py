"""Numbers of the page: values that may be NaN, ticks, and the number in a text, by which a table is sorted."""

import math
import re

from harness.wording.number import BYTES, SECONDS, THOUSANDS, plain


def value(number: float) -> str:
    """Return a computed value, where NaN and infinity are values too."""
    return "nan" if math.isnan(number) else plain(number)


def tick(text: str) -> str:
    """Return the text of a number without trailing zeros, since a tick is exact."""
    return re.sub(r"\.(\d*?)0+(?=(?:e[+-]\d+)?\D*$)", lambda decimals: f".{decimals[1]}" if decimals[1] else "", text)


def magnitude(text: str) -> float | None:
    """Return the number in a text of this module, in comparable units; ``None`` without one.

    Text around the number, such as a sign of comparison or a mark, is ignored.
    """
    match = _NUMBER.search(text)
    if match is None:
        return None
    return float(match["number"].replace(",", "")) * _FACTORS.get(match["unit"] or "", 1.0)


_FACTORS = {unit: factor for factor, unit in (*SECONDS, *THOUSANDS, *BYTES)}
_UNITS = "|".join(sorted((re.escape(unit) for unit in _FACTORS if unit), key=len, reverse=True))
_NUMBER = re.compile(rf"(?P<number>-?(?:inf\b|\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?))(?: ?(?P<unit>{_UNITS})\b)?")
