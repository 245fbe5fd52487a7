r"""Every pair of two logits in a 16-bit format: four billion pairs; a table decides all but a few.

The exact result of a two-class operation is a monotone function of the gap between the two logits. A pair therefore
takes one look-up for each output: is the gap in the interval in which this code is within half an ulp? The look-up is
in float32 and strict, with the interval rounded inwards, so that a pair that passes is certainly correctly rounded.
For the other pairs, the gap is formed exactly and compared with the intervals in float64. Ball arithmetic decides the
remaining pairs, and confirms the largest deviation.

The laws are measured on the pairs that have an output more than one ulp from the exact value. They hold on all other
pairs, because each law's bound is at least the deviation that outputs within one ulp can reach. With the bounds of the
contracts:

* softmax: :math:`u (g + \ln 2 + 6) p \ge 3.3` ulp of :math:`p`; likewise for the sum of a row, whose two errors are
  together below one ulp of 1, and for the order of its entries;
* log-softmax and the loss: :math:`u (|y| + g) + 3u \ge 2u |y|`, which is at least one ulp of :math:`y`, because
  :math:`|y| \le g + \ln 2`;
* the gradient of the loss: :math:`23 u p \ge 11` ulp;
* an output within one ulp of a nonzero number is finite, and has its sign or is zero if it is subnormal.
"""

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from harness.case import Case
from harness.floats import Array, Format, to_array
from harness.laws import Contract, Law
from harness.proof.layout import FEW, PairLayout
from harness.proof.operation import OPERATIONS, Operation, Output
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
        return to_array(torch.from_numpy(np.ascontiguousarray(codes).view(np.int16)).view(self.format_.dtype))


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


CONTRACTS = tuple(OPERATIONS)

_OF_TWO_PAIRS = ("shift_invariant", "columns_in_any_order", "differs_by_the_logits")
"""Laws that compare the outputs of two pairs, or at two labels, and are not measured."""


@dataclass(frozen=True)
class Pairs:
    """A proof of a two-class operation: a case in one format and memory layout.

    ``part`` restricts it to some of the pairs.
    """

    case: Case
    contract: Contract
    format_: Format
    layout: PairLayout
    operation: Operation
    part: Space | None = None

    @property
    def quantity(self) -> str:
        """Name of the proved outputs."""
        return self.operation.quantity

    @property
    def pairs(self) -> Space:
        """The pairs to visit."""
        return every_pair(self.format_) if self.part is None else self.part

    @property
    def outputs(self) -> tuple[Output, ...]:
        """The outputs as functions of the gap."""
        return self.operation.outputs

    @property
    def space(self) -> str:
        """Description of the inputs."""
        if self.part is None:
            return f"every pair of finite {self.format_.name} numbers"
        return f"{len(self.part.first):,} × {len(self.part.second):,} {self.format_.name} numbers"

    @property
    def shards(self) -> int:
        """Number of shards."""
        return self.pairs.shards

    @property
    def expected_moments(self) -> tuple[int, ...]:
        """Moments of the whole space."""
        return self.pairs.moments

    @property
    def reference(self) -> str:
        """Name of the layout whose output bits are the reference."""
        return self.operation.layouts(self.case.function)[0].name

    @property
    def laws(self) -> tuple[Law, ...]:
        """The laws that judge each pair and are measured."""
        if self.operation.is_gradient:
            return (self.main,)
        return tuple(law for law in self._select_laws() if law.name not in _OF_TWO_PAIRS)

    @property
    def following(self) -> tuple[Law, ...]:
        """The laws that follow from the law of the value."""
        if self.operation.is_gradient:
            return ()
        return tuple(law for law in self._select_laws() if law.name in self.operation.following)

    @property
    def main(self) -> Law:
        """The law that compares with the oracle."""
        return next(law for law in self.contract.laws if law.name == self.operation.law)

    def _select_laws(self) -> tuple[Law, ...]:
        groups = {"value", "algebra", "finite"}
        laws = (law for law in self.contract.laws if law.group in groups and law.inputs is None)
        return tuple(law for law in laws if "cotangent" not in law.reads)
