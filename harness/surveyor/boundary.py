"""The first place on a line of integers at which something fails.

Places are offsets along a ray: neighboring representable numbers are neighboring integers. This module uses no floats,
since float64 cannot represent all ordinals of float64. Failures need not be monotone. If a line is too long to try
every place, a grid of places is tried. The search then narrows the boundary down between the last place that holds and
the first that fails, and tries every place next to it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.int64]
Fails = Callable[[Places], NDArray[np.bool_]]
"""Function that returns which of several places fail."""

Certainty = Literal["exhausted", "monotone", "scanned"]
"""Certainty that no earlier place fails.

``exhausted``: every place was tried. ``monotone``: among the tried places, all before hold and all after fail.
``scanned``: failing comes and goes, or nothing failed at all, so that between the probes it may begin earlier.
"""


@dataclass(frozen=True)
class Effort:
    """Limits on the number of probes.

    Parameters
    ----------
    whole
        Largest length of a line on which every place is tried.
    batch
        Largest number of places in a single call.
    width
        Probes per round of narrowing down.
    near
        Places below and above a boundary that are tried one by one.
    rounds
        Number of times that a boundary moves down because a lower place fails.
    """

    whole: int = 65_536
    batch: int = 8192
    width: int = 512
    near: int = 2048
    rounds: int = 8


@dataclass(frozen=True)
class Boundary:
    """The result of a search for a boundary.

    Parameters
    ----------
    place
        The first failing place; ``None`` if none fails.
    certainty
        Certainty of the result.
    probes
        Number of tried places.
    """

    place: int | None
    certainty: Certainty
    probes: int


def first_failure(fails: Fails, length: int, probes: Sequence[int], effort: Effort) -> Boundary:
    """Find the first failing place of ``0, ..., length - 1``.

    ``fails`` takes many places at once. ``probes`` are the first places to try if there are too many to try all.
    """
    line = _Line(fails, effort)
    if length <= effort.whole:
        return Boundary(line.first(0, length), "exhausted", line.tried)
    grid = sorted({0, length - 1, *(index for index in probes if 0 <= index < length)})
    failing = line.ask(np.array(grid, dtype=np.int64))
    if not failing.any():
        return Boundary(None, "scanned", line.tried)
    first = int(failing.argmax())
    monotone = bool(failing[first:].all())
    index = grid[first] if first == 0 else line.narrow(grid[first - 1], grid[first])
    settled, index = line.settle(index)
    monotone = monotone and settled and line.consistent and line.stays(index, length)
    return Boundary(index, "monotone" if monotone else "scanned", line.tried)


class _Line:
    """A counter of the tried places."""

    def __init__(self, fails: Fails, effort: Effort) -> None:
        self.fails, self.effort = fails, effort
        self.tried = 0
        self.consistent = True

    def ask(self, places: Places) -> NDArray[np.bool_]:
        """Return which places fail."""
        self.tried += len(places)
        batch = self.effort.batch
        return np.concatenate([self.fails(places[i : i + batch]) for i in range(0, len(places), batch)])

    def first(self, begin: int, end: int) -> int | None:
        """Try every place from ``begin`` to ``end - 1``, in order."""
        for low in range(begin, end, self.effort.batch):
            places = np.arange(low, min(low + self.effort.batch, end), dtype=np.int64)
            failing = self.ask(places)
            if failing.any():
                return int(places[failing.argmax()])
        return None

    def narrow(self, holds: int, fails: int) -> int:
        """Narrow down to two neighbors: the first one holds and the second one fails."""
        while fails - holds > 1:
            parts = min(self.effort.width + 1, fails - holds)
            places = [holds + (fails - holds) * i // parts for i in range(1, parts)]
            failing = self.ask(np.array(places, dtype=np.int64))
            if failing.any():
                first = int(failing.argmax())
                self.consistent = self.consistent and bool(failing[first:].all())
                holds, fails = places[first - 1] if first else holds, places[first]
            else:
                holds = places[-1]
        return fails

    def stays(self, index: int, length: int) -> bool:
        """Whether the places just above a boundary fail too."""
        return bool(self.ask(np.arange(index, min(index + self.effort.near, length), dtype=np.int64)).all())

    def settle(self, index: int) -> tuple[bool, int]:
        """Go down to the lowest failing place whose lower neighbors hold, and return whether it is ``place`` itself.

        If a deviation scatters about its bound, there is always a lower one, so the number of rounds is limited.
        """
        settled = True
        for _ in range(self.effort.rounds):
            earlier = self.first(max(0, index - self.effort.near), index)
            if earlier is None:
                break
            settled, index = False, earlier
        return settled, index
