"""Counts: the findings of a sweep, which become the tally of a shard."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from harness.proof.float32.resolution import Resolved
from harness.proof.tally import LIMITS, MOMENTS, Tally
from harness.record import Departure, Input, TensorText, Witness

CLASSES = 256
"""Number of classes of an eighth of an ulp; the last one also contains all larger deviations."""


_SAME = ("moments", "not_finite", "witness", "order", "floor_s", "departures", "resolved")


@dataclass
class Counts:
    """Findings of a sweep."""

    moments: tuple[int, ...] = (0,) * len(MOMENTS)
    """Moments of the visited codes."""
    histogram: NDArray[np.int64] = field(default_factory=lambda: np.zeros(CLASSES, dtype=np.int64))
    far: dict[int, int] = field(default_factory=lambda: {limit: 0 for limit in LIMITS if limit > CLASSES // 8})
    not_finite: int = 0
    resolved: int = 0
    """Outputs that ball arithmetic decided."""
    pairs: int = 0
    """Neighbors whose order was compared."""
    mirrored: int = 0
    """Numbers whose outputs of either sign were compared."""
    floor_s: float = 0.0
    worst: float = 0.0
    witness: Witness | None = None
    order: tuple[int, ...] = ()
    departures: dict[str, Departure] = field(default_factory=dict)

    def visit(self, codes: range) -> None:
        """Add the codes of a call to the moments."""
        self.moments = tuple(map(sum, zip(self.moments, moments(codes), strict=True)))

    def offer(self, found: Resolved, x: float, y: float, order: tuple[int, int]) -> None:
        """Keep an output if it deviates more than all before; among equal ones, the first counts."""
        if (-found.deviation, order) >= (-self.worst, self.order):
            return
        self.worst, self.order = found.deviation, order
        example: dict[str, Input] = {"x": TensorText(dtype="float32", shape=(1,), values=(x.hex(),))}
        facts = {"actual": y, "expected": found.expected, "deviation": found.deviation}
        self.witness = Witness(example=example, place=(0,), **facts)

    def depart(self, law: str, count: int, x: str, results: tuple[float, float]) -> None:
        """Count outputs that break a law, with the first input, its output and the expected one."""
        new = Departure(count=count, x=x, actual=results[0], expected=results[1])
        self.departures[law] = self.departures[law] + new if law in self.departures else new

    def tally(self) -> Tally:
        """Return the findings as the tally of a shard."""
        above = self.histogram[::-1].cumsum()[::-1]
        beyond = (self.far.get(limit, int(above[min(8 * limit, CLASSES - 1)])) for limit in LIMITS)
        return Tally(
            not_correctly_rounded=int(above[4]),
            beyond=tuple(beyond),
            histogram=tuple(np.trim_zeros(self.histogram, "b").tolist()),
            compared={"monotone": self.pairs, "symmetric": self.mirrored},
            **{name: getattr(self, name) for name in _SAME},
        )


def moments(codes: range) -> tuple[int, ...]:
    """Return count, sum and sum of squares of a run of codes, in the order of the tally."""
    total = sum((codes.start, codes.stop - 1)) * len(codes) // 2
    return len(codes), total, 0, _sum_squares(codes.stop) - _sum_squares(codes.start), 0, 0


def _sum_squares(stop: int) -> int:
    return (stop - 1) * stop * (2 * stop - 1) // 6
