"""Spaces of pairs: the codes of two operands, divided into shards of the first and blocks of the second."""

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from harness.floats.double_double import Array
from harness.floats.format import Format, to_array
from harness.proof.layout import FEW
from harness.proof.tally import MOMENTS

Codes = NDArray[np.uint16]

SHARDS = 64
"""Number of shards of a whole space; an interrupt loses at most a few seconds of work."""

_BLOCK = 2**14
"""Maximum number of pairs per block, which fits into a second-level cache."""


@dataclass(frozen=True, eq=False)
class Space:
    """All pairs of a code of the first operand with a code of the second.

    Parameters
    ----------
    format_
        The format.
    first, second
        Codes without repetition; the number of second codes is a multiple of eight.
    shards
        Number of parts of the first operand.
    """

    format_: Format
    first: Codes
    second: Codes
    shards: int

    @cached_property
    def moments(self) -> tuple[int, ...]:
        """Sums of products of powers of the codes over all pairs, in closed form."""
        return tuple(_sum_powers(self.first, i) * _sum_powers(self.second, j) for i, j in MOMENTS)

    def shard(self, number: int) -> range:
        """Return the places in the first operand that a shard visits, spread over all of it as a fair sample."""
        return range(number, len(self.first), self.shards)

    @property
    def blocks(self) -> list[range]:
        """Places in the second operand that one call visits: blocks of equal size, a multiple of eight."""
        n = len(self.second)
        parts = next(parts for parts in range(-(-n // _BLOCK), n + 1) if n % (parts * FEW) == 0)
        return [range(start, start + n // parts) for start in range(0, n, n // parts)]

    def values(self, codes: Codes) -> Array:
        """Return the numbers of codes."""
        bits = torch.from_numpy(np.ascontiguousarray(codes).view(np.int16))
        return to_array(bits.view(self.format_.dtype))


@cache
def every_pair(format_: Format) -> Space:
    """Return the space of all pairs of finite numbers."""
    codes = np.arange(2**16, dtype=np.uint32).astype(np.uint16)
    numbers = to_array(torch.from_numpy(codes.view(np.int16)).view(format_.dtype))
    finite = np.isfinite(numbers)
    codes = codes[finite][np.argsort(numbers[finite], kind="stable")]
    return Space(format_, codes, codes, SHARDS)


def _sum_powers(codes: Codes, exponent: int) -> int:
    return sum(code**exponent for code in codes.tolist())
