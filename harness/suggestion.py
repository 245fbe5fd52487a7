"""Suggestions for misspelt names: ``did you mean `softmax`?``."""

from collections.abc import Iterable
from difflib import SequenceMatcher

NEAR = 0.6
"""Minimum similarity, from 0 to 1, at which one name may be a misspelling of another."""

SPREAD = 0.1
"""Maximum distance from the best similarity at which another name is also suggested."""


def nearest(name: str, known: Iterable[object]) -> list[str]:
    """Return up to three known names similar to a typed one, best first.

    Case, hyphens, spaces and the suffix of Python files are ignored.
    """
    scores = {str(other): SequenceMatcher(None, _key(name), _key(str(other))).ratio() for other in known}
    least = max(NEAR, max(scores.values(), default=0.0) - SPREAD)
    near = [other for other, score in scores.items() if score >= least]
    return sorted(near, key=lambda other: -scores[other])[:3]


def did_you_mean(name: str, known: Iterable[object], otherwise: str | None = None) -> str | None:
    """Suggest the known names similar to a typed one, or return ``otherwise`` if there are none."""
    near = nearest(name, known)
    return f"did you mean {' or '.join(f'`{other}`' for other in near)}?" if near else otherwise


def _key(name: str) -> str:
    return name.lower().removesuffix(".py").replace("-", "_").replace(" ", "_")
