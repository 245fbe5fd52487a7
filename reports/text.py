"""Phrases, and safe versions of external texts: without control characters or markup, and with limited length."""

from harness.error import printable as clean
from harness.wording import fence_code, render_markdown

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
