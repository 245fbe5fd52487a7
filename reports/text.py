"""Phrases, and safe versions of external texts: without control characters or markup, and with limited length."""

import math
import re

from harness.error import printable as clean
from harness.wording.markdown import fence_code, render_markdown
from harness.wording.number import BYTES, SECONDS, THOUSANDS, plain

__all__ = ["clean", "count", "cut", "fence_code", "listing", "render_markdown", "shorten", "workers_in_words"]


def count(number: int, noun: str, *, plural: str = "") -> str:
    """Return ``3 laws`` or ``1 law``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def workers_in_words(number: int) -> str:
    """Return ``no workers``, ``1 worker`` or ``2 workers``."""
    return count(number, "worker") if number else "no workers"


def listing(names: list[str], *, at_most: int = 0) -> str:
    """Return the names as one phrase: ``a, b and c``, or ``a, b and 5 more`` beyond ``at_most`` names."""
    if at_most and len(names) > at_most:
        names = [*names[:at_most], f"{len(names) - at_most} more"]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def cut(text: str, *, limit: int) -> str:
    """Return at most ``limit`` characters of a text, with the number of omitted ones."""
    return text if len(text) <= limit else f"{text[:limit]} … ({len(text) - limit:,} more characters)"


def shorten(text: str, *, limit: int) -> str:
    """Return at most ``limit`` characters of a name, an ellipsis last where it is longer."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


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
