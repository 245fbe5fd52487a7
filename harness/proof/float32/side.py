"""One sign of a shard: the kernel, and facts about the exact values of its blocks."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.floats.double_double import Array
from harness.proof.float32.kernel import Kernel, Outputs
from harness.proof.float32.model import Kind, number
from harness.proof.float32.rows import NEAR, Rows, ulp_of

Flags = NDArray[np.bool_]


class Side:
    """Numbers of one sign in a shard, with the kernel, the exact values and the last output."""

    def __init__(self, kernel: Kernel, rows: Rows, sign: int, *, direction: int, blocks: int) -> None:
        self.kernel, self.rows, self.sign, self.declared = kernel, rows, sign, sign * direction
        self.directions = self.directions_of(rows)
        self.has_kinds: Flags = np.any(rows.kind.reshape(blocks, -1), axis=1)
        self.is_undefined: Flags = np.all(rows.kind.reshape(blocks, -1) == Kind.UNDEFINED, axis=1)
        self.is_uneven: Flags = np.any(np.isnan(rows.ulp).reshape(blocks, -1), axis=1)
        self.slopes, self.direction = (_same(values, blocks) for values in (rows.slope, self.directions))
        low, high = rows.low.reshape(blocks, -1).min(1), rows.high.reshape(blocks, -1).max(1)
        least = np.maximum(low, -high)
        self.ulps: tuple[Array, Array] = ulp_of(least), ulp_of(np.maximum(high, -low))
        """Smallest and largest ulp of the exact values of each block."""
        is_flat = high <= low + NEAR * self.ulps[0]
        self.middles: Array = np.where(is_flat, (low + high) / 2.0, np.nan)
        """Number next to all exact values of a block; infinity if all are too large, and NaN if there is none."""
        self.is_scaled: Flags = (least >= 2.0**-125) & ~self.has_kinds
        """Whether the exact values of a block are normal numbers."""
        self.poles: dict[int, float | None] = {}
        """Expected results at the codes that have no series; ``None`` if any is admissible."""
        self.last: np.float32 | None = None
        self.last_direction = 0

    def directions_of(self, rows: Rows) -> NDArray[np.int8]:
        """Return the directions of the function on rows, in the order of the codes."""
        declared = np.where(rows.kind != Kind.UNDEFINED, np.int8(self.declared), np.int8(0))
        return declared if self.declared else rows.direction

    def x(self, magnitude: int) -> float:
        """Return the number of a magnitude."""
        return self.sign * number(magnitude)


class Block(NamedTuple):
    """One call: its first code, number, rows and outputs."""

    side: Side
    start: int
    number: int
    rows: slice
    outputs: Outputs

    @property
    def kinds(self) -> NDArray[np.int8]:
        """Classes of the rows."""
        return self.side.rows.kind[self.rows]


def _same(values: NDArray[np.floating | np.signedinteger], blocks: int) -> Array:
    """Return the number that all rows of a block have, for each block; NaN where they differ."""
    grid = values.reshape(blocks, -1)
    return np.where((grid == grid[:, :1]).all(1), grid[:, 0], np.nan).astype(np.float64)
