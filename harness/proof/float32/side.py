"""One sign of a shard: the kernel, and facts about the exact values of its blocks."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.floats.double_double import Array
from harness.proof.float32.kernel import Outputs
from harness.proof.float32.model import INFINITE, Kind, number
from harness.proof.float32.operation import Operation
from harness.proof.float32.rows import NEAR, Rows, rows_of, ulp_of

Flags = NDArray[np.bool_]


def poles_of(operation: Operation, quantity: str, sign: int) -> dict[int, float | None]:
    """Return the expected result at the numbers of a sign that have no series; ``None`` if any is admissible."""
    is_value, side = quantity == "value", 0 if sign < 0 else 1
    limit = (operation.limits if is_value else operation.slope_limits)[side]
    poles: dict[int, float | None] = {INFINITE: limit if is_value or not math.isnan(limit) else None}
    for x, values in operation.poles.items():
        if x == 0.0 or (x < 0.0) == (sign < 0):
            poles[int(np.float32(abs(x)).view(np.uint32))] = values[side] if is_value else None
    return poles


class Side:
    """Numbers of one sign in a shard, with the exact values and the last output."""

    def __init__(self, operation: Operation, quantity: str, codes: range, sign: int, *, blocks: int) -> None:
        self.rows = rows = rows_of(operation, quantity, codes, sign)
        self.sign = sign
        self.declared = sign * operation.direction if quantity == "value" else 0
        self.directions = self.directions_of(rows)
        self.has_kinds: Flags = np.any(rows.kind.reshape(blocks, -1), axis=1)
        self.is_undefined: Flags = np.all(rows.kind.reshape(blocks, -1) == Kind.UNDEFINED, axis=1)
        self.is_uneven: Flags = np.isnan(_find_common(rows.ulp, blocks))
        self.slopes, self.direction = (_find_common(values, blocks) for values in (rows.slope, self.directions))
        low, high = rows.low.reshape(blocks, -1).min(1), rows.high.reshape(blocks, -1).max(1)
        least = np.maximum(low, -high)
        self.ulps: tuple[Array, Array] = ulp_of(least), ulp_of(np.maximum(high, -low))
        """Smallest and largest ulp of the exact values of each block."""
        is_flat = high <= low + NEAR * self.ulps[0]
        self.middles: Array = np.where(is_flat, (low + high) / 2.0, np.nan)
        """Number next to all exact values of a block; infinity if all are too large, and NaN if there is none."""
        self.is_scaled: Flags = (least >= 2.0**-125) & ~self.has_kinds
        """Whether the exact values of a block are normal numbers."""
        self.poles = poles_of(operation, quantity, sign)
        self.last: np.float32 | None = None
        self.last_direction = 0

    def directions_of(self, rows: Rows) -> NDArray[np.int8]:
        """Return the directions of the function on rows, in the order of the codes."""
        declared = np.where(rows.kind != Kind.UNDEFINED, np.int8(self.declared), np.int8(0))
        return declared if self.declared else rows.direction

    def x(self, magnitude: int) -> float:
        """Return the number of a magnitude."""
        return self.sign * number(magnitude)


class Judged(NamedTuple):
    """The outputs of a block that was compared with exact values, and its counts."""

    start: int
    outputs: bytearray
    histogram: NDArray[np.int64]
    resolved: int
    pairs: int
    worst: float
    """No output deviates more; in ulp."""
    place: int | None
    """Place of the output that deviates as much, if it is known."""


class Block(NamedTuple):
    """One call: its first code, number, rows and outputs."""

    side: Side
    start: int
    number: int
    rows: slice
    outputs: Outputs


def _find_common(values: NDArray[np.floating | np.signedinteger], blocks: int) -> Array:
    """Return the number that all rows of a block have, for each block; NaN where they differ."""
    grid = values.reshape(blocks, -1)
    return np.where((grid == grid[:, :1]).all(1), grid[:, 0], np.nan).astype(np.float64)
