"""A proof of a unary operation or a cast of float32: all 2^32 bit patterns, in shards of magnitudes."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from operator import add

from torch import Tensor

from harness.calling.adapter import NotApplicable
from harness.calling.host import clock_of
from harness.case import Case
from harness.floats.format import FORMATS
from harness.laws.case_error import CaseError
from harness.laws.law import Law
from harness.proof.conclusion import Named, conclude
from harness.proof.float32.casts import CastSweep, Encoding
from harness.proof.float32.count import moments
from harness.proof.float32.kernel import LAYOUTS, SIGN, Layout
from harness.proof.float32.operation import Operation
from harness.proof.float32.rows import WIDTH
from harness.proof.float32.sweep import BLOCK, Sweep
from harness.proof.tally import Tally
from harness.record import Proof

__all__ = ["EVERY", "LAYOUTS", "SHARDS", "Float32", "prove_cast"]

SHARDS = 128
EVERY = range(2**31)
"""All magnitudes: codes without the sign bit."""


@dataclass(frozen=True)
class Float32:
    """A proof of a unary operation or a cast: a case in one memory layout.

    ``codes`` restricts it to some magnitudes. Each shard is a whole number of blocks, or a block of some rows.
    """

    case: Case
    contract: Named
    operation: Operation | Encoding
    layout: Layout
    quantity: str
    codes: range = EVERY
    shards: int = SHARDS

    format_: Named = FORMATS["float32"]
    laws: tuple[Law, ...] = ()
    following: tuple[Law, ...] = ()

    def __post_init__(self) -> None:
        """Check the length of the shards."""
        size = len(self.codes) // self.shards
        assert size * self.shards == len(self.codes)
        assert size % min(BLOCK, size) == size % WIDTH == self.codes.start % WIDTH == 0

    @property
    def reference(self) -> str:
        """Its own layout: the outputs are not compared with those in other layouts."""
        return self.layout.name

    @property
    def space(self) -> str:
        """Description of the inputs."""
        if self.codes == EVERY:
            return "every float32 number, infinities and NaN included"
        return f"the float32 numbers of magnitude {self.codes.start:#x} to {self.codes.stop - 1:#x}, of either sign"

    @property
    def expected_moments(self) -> tuple[int, ...]:
        """Moments of the codes."""
        signs = (moments(range(sign + self.codes.start, sign + self.codes.stop)) for sign in (0, SIGN))
        return tuple(map(sum, zip(*signs, strict=True)))

    def shard(self, number: int) -> range:
        """Return the magnitudes of a shard."""
        size = len(self.codes) // self.shards
        return self.codes[number * size : (number + 1) * size]

    def tally(self, number: int) -> Tally:
        """Visit every number of a shard."""
        clock, codes = clock_of(self.case), self.shard(number)
        started = clock()
        try:
            if isinstance(self.operation, Encoding):
                counts = CastSweep(self.case, self.operation, self.layout.name, codes).run()
            else:
                counts = Sweep(self.case, self.operation, self.quantity, self.layout.name, codes).run()
        except CaseError as error:
            return Tally(error=str(error), duration_s=clock() - started)
        except NotApplicable as reason:
            return Tally(skipped=str(reason))
        return counts.tally(clock() - started)


def prove_cast(
    encoding: Encoding, layout: Layout, cast: Callable[[Tensor], Tensor] | None = None, *, codes: range = EVERY
) -> Proof:
    """Cast the numbers of some magnitudes, of either sign, and all numbers of the encoding back.

    By default, the cast is the one of torch. The number of codes is a power of two.
    """
    case = Case(cast or (lambda x: x.to(encoding.dtype)), "cast", style="foreign", name=f"torch.{encoding.name}")
    shards = max(1, len(codes) * SHARDS // len(EVERY))
    task = Float32(case, encoding, encoding, layout, "value", codes, shards, encoding)
    tally = reduce(add, map(task.tally, range(shards)))
    if tally.error is None:
        tally += CastSweep(case, encoding, layout.name, codes).cast_back().tally(0.0)
    return conclude(task, tally).model_copy(update={"contract": encoding.policies})
