"""One sign of a shard: the kernel, and facts about the exact values of its blocks."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.floats.double_double import Array
from harness.proof.float32.kernel import Kernel, Outputs
from harness.proof.float32.model import Kind, number
from harness.proof.float32.rows import NEAR, Rows

Flags = NDArray[np.bool_]


class Side:
    """Numbers of one sign in a shard, with the kernel, the exact values and the last output."""

    def __init__(self, kernel: Kernel, rows: Rows, sign: int, *, direction: int, blocks: int) -> None:
        self.kernel, self.rows, self.sign, self.declared = kernel, rows, sign, sign * direction
        self.directions = self.directions_of(rows)
        self.has_kinds: Flags = np.any(rows.kind.reshape(blocks, -1), axis=1)
        self.is_undefined: Flags = np.all(rows.kind.reshape(blocks, -1) == Kind.UNDEFINED, axis=1)
        self.is_uneven: Flags = np.any(np.isnan(rows.ulp).reshape(blocks, -1), axis=1)
        self.constants, self.slopes, self.ulps, self.direction = (
            _same(values, blocks) for values in (rows.constant, rows.slope, rows.ulp, self.directions)
        )
        spread = np.abs(rows.coefficients[:, 1:]).sum(1) + rows.error
        low = (rows.coefficients[:, 0] - spread).reshape(blocks, -1).min(1)
        high = (rows.coefficients[:, 0] + spread).reshape(blocks, -1).max(1)
        is_flat = (high - low <= NEAR * self.ulps) & ~self.has_kinds & (np.abs(self.direction) == 1.0)
        is_flat &= np.isnan(self.constants) & np.isnan(self.slopes)
        self.middles: Array = np.where(is_flat, (low + high) / 2.0, np.nan)
        """Number next to the exact values of a block on which the function is monotone; NaN if there is none."""
        self.poles: dict[int, float | None] = {}
        """Expected results at the codes that have no series; ``None`` if any is admissible."""
        self.last: np.float32 | None = None
        self.last_direction = 0

    def directions_of(self, rows: Rows) -> NDArray[np.int8]:
        """Return the directions of the function on rows, in the order of the codes."""
        declared = np.where(rows.kind != Kind.UNDEFINED, np.int8(self.declared), np.int8(0))
        return declared if self.declared else rows.direction

    def known(self, block: int, outputs: Outputs) -> Outputs | np.float32 | None:
        """Return outputs of one class, of the last call for a block; ``None`` if there is no such class."""
        if not np.isnan(self.middles[block]):
            return np.float32(outputs[0])
        if not np.isnan(self.slopes[block]):
            return self.kernel.bits.reshape(-1).view(np.float32) * np.float32(self.slopes[block])
        return None if np.isnan(self.constants[block]) else np.float32(self.constants[block])

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
