"""Records of proofs: the result of visiting every input of a case."""

from collections.abc import Mapping
from typing import Literal, Self

from harness.record.schema import Count, Deviation, Input, Record, Size, Status, Violation


class LawOutcome(Record):
    """The result for one law: it held on every visited input, or it broke on one."""

    law: str
    status: Status
    """``holds``, ``broken``, or ``expected`` where the failure is declared."""
    statement: str
    follows: bool = False
    """Whether it was not measured itself, but follows from the value's law on every input."""
    reason: str | None = None
    """Declared reason of an expected failure."""
    violation: Violation | None = None


class Witness(Record):
    """The input with the largest deviation, confirmed by ball arithmetic."""

    example: dict[str, Input]
    place: tuple[Count, ...]
    """Index of the element of the output."""
    actual: float
    expected: float
    deviation: Deviation
    """In ulp."""


class Departure(Record):
    """The outputs that break one law of float32 numbers, with the first of them."""

    count: Count
    x: str
    """The first input, in hexadecimal."""
    actual: float
    expected: float
    """The exact value, or the output that the law compares with."""

    def __add__(self, later: Self) -> "Departure":
        return self.model_copy(update={"count": self.count + later.count})


class Proof(Record):
    """The result of visiting every input of a case in one dtype, on one kernel.

    It is ``proved`` if every input was visited exactly once, as the checksum shows.
    """

    kind: Literal["proof"] = "proof"
    case: str
    family: str
    style: str
    """``scratch``, ``concise`` or ``foreign``."""
    contract: str
    quantity: str
    """``value`` or ``gradient``."""
    dtype: str
    device: str
    layout: str
    """Memory layout of the inputs, which determines the kernel."""
    kernel: str
    """The layout in words."""
    space: str
    """The inputs in words."""
    inputs: Count
    """Number of inputs."""
    visited: Count
    checksum: str
    """Count and moments of the inputs visited, taken from the buffers that the implementation was called with."""
    expected_checksum: str
    """The same of the whole space, in closed form."""
    witness: Witness | None = None
    """``None`` where every output is correctly rounded and none was singled out, or nothing was visited."""
    not_correctly_rounded: Count
    """Number of inputs with an output more than 1/2 ulp off."""
    beyond: dict[str, Count]
    """Number of inputs with an output more than this many ulp off, including outputs that are not finite."""
    not_finite: Count
    """Number of inputs with an output that is infinite or NaN but should not be."""
    reference: str | None = None
    """The layout whose output bits this one's were compared with; ``None`` where it is itself the reference."""
    differing: Count | None = None
    """Inputs on which they differ; ``None`` where they were not compared."""
    laws: tuple[LawOutcome, ...]
    threads: Count
    cpu_capability: str
    processor: str = ""
    """Model of the processor; empty in a run, whose environment contains it."""
    torch: str
    duration_s: Size
    """Core time."""
    floor_s: Size
    """Core time in the implementation alone."""
    histogram: tuple[int, ...] = ()
    """Number of inputs by deviation, in steps of 1/8 ulp; the last of 256 also has all larger ones. Empty for 16 bits.

    Inputs without an exact value are in no class: NaN, infinities, poles and numbers outside of the domain.
    """
    departures: Mapping[str, Departure] = {}
    """Laws of float32 numbers that some outputs break."""
    compared: Mapping[str, Count] = {}
    """Number of comparisons for the laws about two outputs: order of neighbors, and numbers of either sign."""
    error: str | None = None
    """Error of the implementation, if it gave no answer."""
    skipped: str | None = None
    """Why there is nothing to prove; such a proof is printed, and not kept."""

    @property
    def is_proved(self) -> bool:
        """Whether every input was visited, and each exactly once."""
        return self.error is None and self.visited == self.inputs and self.checksum == self.expected_checksum

    @property
    def fails(self) -> bool:
        """Whether an undeclared law is broken, or the proof has no result.

        In float32, only results that should be finite are a failure; other departures are listed.
        """
        is_infinite = bool(self.histogram) and self.not_finite > 0
        return self.error is not None or is_infinite or any(outcome.status.fails for outcome in self.laws)

    @property
    def key(self) -> tuple[str, str, str, str, str]:
        """The key of the proof within a run."""
        return (self.case, self.quantity, self.dtype, self.device, self.layout)
