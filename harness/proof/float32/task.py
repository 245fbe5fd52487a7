"""A proof of a unary operation of float32: all 2^32 bit patterns, in shards of magnitudes."""

from dataclasses import dataclass

from harness.case import Case
from harness.floats.format import FORMATS, Format
from harness.laws import Contract, Law
from harness.proof.float32.count import Counts, moments
from harness.proof.float32.kernel import SIGN, Layout
from harness.proof.float32.operation import Operation
from harness.proof.float32.rows import WIDTH
from harness.proof.float32.sweep import BLOCK, Sweep
from harness.proof.tally import Tally, attempt

SHARDS = 128
EVERY = range(2**31)
"""All magnitudes: codes without the sign bit."""


@dataclass(frozen=True)
class Float32:
    """A proof of a unary operation: a case in one memory layout.

    ``codes`` restricts it to some magnitudes. Each shard is a whole number of blocks, or a block of some rows.
    """

    case: Case
    contract: Contract
    operation: Operation
    layout: Layout
    quantity: str
    codes: range = EVERY
    shards: int = SHARDS

    format_: Format = FORMATS["float32"]
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
        return attempt(self.case, lambda: self._run_sweep(self.shard(number)).tally())

    def _run_sweep(self, codes: range) -> Counts:
        return Sweep(self.case, self.operation, self.quantity, self.layout.name, codes).run()
