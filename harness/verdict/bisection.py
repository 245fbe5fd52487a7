"""Bisection over the representable numbers between a number that passes and a number that fails."""

from collections.abc import Callable
from dataclasses import dataclass

_LEVELS = 6
"""Levels of a bisection that are evaluated together, as rows of an example."""


@dataclass(frozen=True)
class Interval:
    """Ordinals between a number that passes and one that fails."""

    passing: int
    failing: int
    spacing: int
    """Smallest distance between the two ends."""

    def halved(self, fails: Callable[[int], bool]) -> int:
        """Return the last ordinal that fails, with one test per bit."""
        passing, failing = self.passing, self.failing
        while abs(failing - passing) > self.spacing:
            middle = (failing + passing) // 2
            passing, failing = (passing, middle) if fails(middle) else (middle, failing)
        return failing

    def halved_by_levels(
        self, each_fails: Callable[[list[int]], list[bool] | None], fails: Callable[[int], bool]
    ) -> int:
        """Bisect as above, with the candidates of the next steps as rows of an example.

        If a row behaves differently alone, each step needs a separate call.
        """
        passing, failing = self.passing, self.failing
        while abs(failing - passing) > self.spacing:
            ordinals = _middles(passing, failing, self.spacing, _LEVELS)
            answers = each_fails(ordinals)
            if answers is None:
                return self.halved(fails)
            is_failing = dict(zip(ordinals, answers, strict=True))
            while abs(failing - passing) > self.spacing and (middle := (failing + passing) // 2) in is_failing:
                passing, failing = (passing, middle) if is_failing[middle] else (middle, failing)
        alone = (failing == self.failing or fails(failing)) and (passing == self.passing or not fails(passing))
        return failing if alone else self.halved(fails)


def _middles(passing: int, failing: int, spacing: int, levels: int) -> list[int]:
    """Return all possible midpoints of the next halvings."""
    if not levels or abs(failing - passing) <= spacing:
        return []
    middle = (failing + passing) // 2
    return [
        middle,
        *_middles(passing, middle, spacing, levels - 1),
        *_middles(middle, failing, spacing, levels - 1),
    ]
