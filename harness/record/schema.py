"""The schema of the records: frozen, typed, validated on reading. Unknown is ``None``, never 0."""

import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticSerializationError

from harness.error import printable
from harness.record.fault import Fault

SCHEMA = 2
"""Version of the records written by this package; a reader refuses any other."""

ANY = "any"
"""The dtype of a verdict that is about none, such as one on a loader."""

SEED = 20240229
"""The seed of every run that names no other."""


class Record(BaseModel):
    """Base of every record: frozen, unknown fields refused, non-finite floats spelled out in JSON."""

    # A schema is built where a record of it is first made: most processes make few of the kinds that there are.
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings", defer_build=True)

    @field_validator("*", mode="after")
    @classmethod
    def _is_printable(cls, value: Any) -> Any:
        """Remove control characters of foreign text from a record, and so from every output."""
        return _clean_value(value)

    def model_dump_json(self, **how: Any) -> str:
        """Return the record as JSON; raise an interrupt as such, which pydantic reports as an error of the record."""
        try:
            return super().model_dump_json(**how)
        except PydanticSerializationError as error:
            if KeyboardInterrupt.__name__ in str(error):
                raise KeyboardInterrupt from None
            raise

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy with some fields changed, which are not validated, but are printable too."""
        return super().model_copy(
            update={name: _clean_value(value) for name, value in (update or {}).items()}, deep=deep
        )


def _clean_value(value: Any) -> Any:
    if type(value) is str:
        return value if value.isprintable() else printable(value)
    if type(value) is tuple and value and type(value[0]) is str:
        return tuple(map(_clean_value, value))
    if type(value) is dict:
        return {_clean_value(key): _clean_value(inner) for key, inner in value.items()}
    return value


Count = Annotated[int, Field(ge=0)]
"""A number of things."""

Size = Annotated[float, Field(ge=0)]
"""A number that is no less than zero, and no NaN: a bound, a time."""


def _reject_negative(value: float) -> float:
    if value < 0:
        raise ValueError("a deviation must not be negative")
    return value


Deviation = Annotated[float, AfterValidator(_reject_negative)]
"""Distance from the exact value; NaN if undefined."""


class Status(StrEnum):
    """The verdict on one law."""

    HOLDS = "holds"
    LOST = "lost digits"
    """Digits are lost that a better algorithm keeps, as a careful engineer's implementation may lose them."""
    BROKEN = "broken"
    EXPECTED = "expected"
    """A declared failure that was found."""
    UNEXPECTED = "unexpected"
    """A declared failure that was not found: an error of the declaration."""
    UNCLAIMED = "not claimed"
    """The law is broken in a dtype that the implementation does not claim; this does not fail."""
    SKIPPED = "skipped"
    ERROR = "error"
    """The case did not answer as its contract asks: :class:`Fault` says in which way."""

    @property
    def fails(self) -> bool:
        """Whether this status makes the run fail."""
        return self in {Status.BROKEN, Status.UNEXPECTED, Status.ERROR}


DTYPES = ("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool")
"""Dtypes of recorded tensors."""

MAX_ELEMENTS = 2**40
"""No tensor has more."""


class TensorText(Record):
    """A tensor as text: every element in hexadecimal floating point, so that it can be replayed bit for bit."""

    dtype: str
    shape: tuple[int, ...]
    values: tuple[str, ...]
    """Row-major, ``float.hex`` for floating-point dtypes and decimal for integers; empty where there are too many."""

    @model_validator(mode="after")
    def _check_values(self) -> Self:
        """Refuse a damaged tensor: text that is no number, or a count that differs from the shape."""
        if self.dtype not in DTYPES:
            raise ValueError(f"the dtype of a tensor must be one of {', '.join(DTYPES)}")
        if any(size < 0 for size in self.shape) or math.prod(max(size, 1) for size in self.shape) > MAX_ELEMENTS:
            raise ValueError(f"a tensor cannot have the shape {list(self.shape)}")
        parse = _parse_float if "float" in self.dtype else _parse_integer
        for value in self.values:
            parse(value)
        if self.values and len(self.values) != math.prod(self.shape):
            raise ValueError(f"a tensor of shape {list(self.shape)} does not have {len(self.values)} values")
        return self


def _parse_float(text: str) -> float:
    try:
        return float.fromhex(text)
    except OverflowError as error:
        raise ValueError(f"{text} is not a float64 number") from error


def _parse_integer(text: str) -> int:
    number = int(text == "True") if text in {"True", "False"} else int(text)
    if not -(2**63) <= number < 2**63:
        raise ValueError(f"{text:.40} is not an int64 number")
    return number


Input = TensorText | bool | int | float | str | list[list[int]]
"""One input of an example: a tensor, a number, a word, or rows for every minibatch."""


class EventKind(StrEnum):
    """Kind of the first event in a computation that makes the output wrong."""

    OVERFLOW = "overflow"
    """A finite input exceeds the range in which the operation can answer."""
    UNDERFLOW = "underflow"
    """A positive result below the smallest number of the format."""
    INVALID = "invalid"
    """inf - inf, 0 * inf, 0 / 0, logarithm of a negative number: a NaN created from inputs that are not NaN."""
    CANCELLATION = "cancellation"
    """A difference of nearly equal numbers that were rounded before."""
    ABSORPTION = "absorption"
    """A term too small to change the sum it is added to."""
    ACCUMULATION = "accumulation"
    """A long sum accumulates in too narrow a format."""
    SLOPE = "slope"
    """A derivative that torch chooses, for example at a kink, and with which the gradient is wrong."""


class Event(Record):
    """The first event that makes the output wrong, in the computation of an example that breaks a law."""

    kind: EventKind
    operation: str
    """Name in torch, for example ``exp``."""
    dtype: str
    """Dtype of its result."""
    backward: bool = False
    """Whether it happened in the backward pass."""
    place: str | None = None
    """File and line of the implementation that asked for it; ``None`` where that is unknown."""
    input: float | None = None
    """The input of the operation at the affected element; ``None`` if there is none or several.

    For a sum of large terms that overflows, this is the largest term.
    """
    slope: float | None = None
    """The derivative that torch chose; ``None`` for other kinds of events."""

    @property
    def step(self) -> tuple[EventKind, str, bool, str | None]:
        """Kind, operation, direction and line of the event."""
        return self.kind, self.operation, self.backward, self.place


class WorstExample(Record):
    """The example with the largest deviation that was found in addition to the minimal one."""

    actual: float
    expected: float
    deviation: Deviation
    bound: Size
    example: dict[str, Input]
    replay: str


class Mistake(Record):
    """A computation that replaces the one of the contract: it agrees with a known variant on ordinary inputs."""

    names: tuple[str, ...]
    """Keys of the deviations from the contract, one or two."""
    sentence: str
    """The computed and the required operation."""
    declare: str = ""
    """Options that declare the deviations as conventions; empty if the contract has none."""
    place: str | None = None
    """``file:line`` of the expression; ``None`` if the source is not known."""
    line: str = ""
    """That line."""
    start: Count = 0
    end: Count = 0
    """Columns of the expression in the line; equal if only the line is known."""


class Violation(Record):
    """The failure of a law on a minimal example, or on a simple and clear one if the minimal example barely fails."""

    place: tuple[Count, ...]
    """Index of the worst element of the output of the minimal example."""
    actual: float
    expected: float
    deviation: Deviation
    bound: Size
    over: Count
    """Number of elements over their bound in the output for the minimal example."""
    of: Count
    magnitude: float
    """Largest absolute input element of the minimal example."""
    example: dict[str, Input]
    replay: str
    cause: str
    seen: str = ""
    """Observation in words, if the numbers alone do not explain it; otherwise empty."""
    event: Event | None = None
    """Event in the computation of the minimal example; ``None`` if unknown."""
    worst: WorstExample | None = None
    """The worst example found; ``None`` where the minimal one is as bad."""
    mended_wider: bool = False
    """Whether the law holds where the same code computes in float32 and rounds once, as far as that was tried."""
    follows: str = ""
    """The law, ``value`` or ``gradient``, wherever the code keeps which it keeps this one, as far as that was tried."""
    named: Mistake | None = None
    """The mistake that the violation follows from; ``None`` if none was named."""
    beside: tuple["Violation", ...] = ()
    """Failures of the law from other causes that were found, each with an example."""


class Counterexample(Record):
    """One line of the corpus: inputs on which a law was found broken."""

    law: str
    dtype: str
    example: dict[str, Input]
    found_in: str
    """The case that broke the law on it."""

    @model_validator(mode="after")
    def _is_spelled_out(self) -> Self:
        """Refuse an example with missing values, which could not be replayed."""
        for name, value in self.example.items():
            if isinstance(value, TensorText) and len(value.values) != math.prod(value.shape):
                raise ValueError(f"the values of `{name}` are missing")
        return self


LOST_SUBNORMALS = "only subnormal numbers are lost, and many platforms have no such numbers"
"""Reason for the status `loses digits` of a law that only subnormal inputs or results break."""


class Verdict(Record):
    """The result of one law for one case in one dtype."""

    kind: Literal["verdict"] = "verdict"
    case: str
    """``family.module.function``, for example ``softmax_regression.scratch.softmax``."""
    family: str
    style: str
    """``scratch``, ``concise`` or ``foreign``."""
    contract: str
    law: str
    group: str
    """``value``, ``algebra``, ``finite``, ``gradient``, ``equivalence``, ``training`` or ``data``."""
    dtype: str
    device: str
    status: Status
    statement: str
    source: str
    examples: Count
    """Hypothesis examples that ran."""
    rows: Count
    """Independent rows checked in those examples."""
    deviation: Deviation | None = None
    """Deviation in ``unit`` where it is largest relative to its bound; ``None`` where nothing ran."""
    bound: Size | None = None
    """The bound at that place."""
    largest: Deviation | None = None
    """Largest deviation seen, wherever."""
    typical_bound: float | None = None
    """Geometric mean of the bounds in all examples, where a bound above ``2**40`` counts as ``2**40``.

    Zero where nothing is admissible, ``None`` where nothing ran.
    """
    inputs: str | None = None
    """Digest of the examples that were tried, the same on every machine; ``None`` where it was not recorded."""
    unit: str = "ulp"
    reason: str | None = None
    """Declared reason of an expected failure, reason of a skip, or text of an error."""
    fault: Fault | None = None
    """Kind of an error; ``None`` where there is none."""
    violation: Violation | None = None
    named: Mistake | None = None
    """The mistake that an error follows from; ``None`` if none was named."""
    cut_short: bool = False
    """Whether time was up before every example had been drawn."""
    releases: tuple[str, str] | None = None
    """Release of torch with which the baseline has another verdict on the same source, and release of this run."""
    duration_s: Size

    @property
    def where(self) -> str:
        """The dtype, and the device where that is not the CPU."""
        return self.dtype if self.device == "cpu" else f"{self.dtype} on {self.device}"

    @property
    def is_of_subnormals(self) -> bool:
        """Whether the law holds for all numbers but subnormal ones."""
        return self.status is Status.LOST and self.reason == LOST_SUBNORMALS

    @property
    def key(self) -> tuple[str, str, str, str]:
        """The key of the verdict within a run."""
        return (self.case, self.law, self.dtype, self.device)

    @model_validator(mode="after")
    def _reject_contradiction(self) -> Self:
        """Refuse a verdict that contradicts itself."""
        if self.violation is not None and self.status in _WITHOUT_VIOLATION:
            raise ValueError(f"a verdict with status `{self.status}` cannot have a violation")
        if self.fault is not None and self.status not in {Status.ERROR, Status.UNCLAIMED}:
            raise ValueError(f"a verdict with status `{self.status}` cannot have a fault")
        if self.status is Status.HOLDS and not (self.deviation or 0.0) <= (
            math.inf if self.bound is None else self.bound
        ):
            raise ValueError("the deviation of a law that holds must be within its bound")
        return self


_WITHOUT_VIOLATION = {Status.HOLDS, Status.UNEXPECTED, Status.SKIPPED}


class Epoch(Record):
    """One epoch of one training run."""

    kind: Literal["epoch"] = "epoch"
    case: str
    family: str
    style: str
    experiment: str
    """Model and data, for example ``softmax regression on Fashion-MNIST``."""
    data: str
    """Label of the data: ``Fashion-MNIST``, ``synthetic stand-in``, ``y = Xw + b + noise``."""
    epoch: Count
    """0 is the state before the first step."""
    train_loss: float
    held_out_loss: float | None = None
    train_accuracy: float | None = None
    held_out_accuracy: float | None = None
    duration_s: Size
    """Wall time of the training steps of this epoch, evaluation excluded; 0 for epoch 0."""


class LearnedParameter(Record):
    """A parameter learned from data whose true parameter is known."""

    kind: Literal["estimate"] = "estimate"
    case: str
    family: str
    style: str
    parameter: str
    true: float
    learned: float
    standard_error: Size
    """Standard error of the least-squares estimator on the same data."""


class Image(Record):
    """One sample of the data set with its class and, where a trained model is at hand, the predicted class."""

    kind: Literal["image"] = "image"
    data: str
    label: str
    predicted: str | None = None
    height: Count
    width: Count
    pixels: str
    """Base64 of ``height * width`` gray levels, one byte each, row-major."""


class DataSource(Record):
    """Source of the images."""

    name: str
    """``Fashion-MNIST``, ``data in Fashion-MNIST's format`` (other checksums), or ``synthetic stand-in``."""
    origin: Literal["folder", "cache", "system", "download", "synthetic"]
    location: str
    checksums: dict[str, str]
    """SHA-256 of the uncompressed IDX files."""
    genuine: bool
    """Whether every checksum is the published data set's."""
    note: str
    """One plain sentence for the report."""


class Environment(Record):
    """The machine and the software a run was made on. Unknown is ``None``, never 0."""

    machine: str
    processor: str
    cores: Count
    """Logical cores of the machine."""
    usable_cores: Size
    """Cores this process may use: affinity and control-group quota taken into account."""
    memory_bytes: Count
    accelerator: str | None
    os: str
    python: str
    torch: str
    torch_threads: Count
    torch_build: dict[str, str]
    """BLAS, compiler, CPU capability and flags as ``torch.__config__`` reports them."""
    versions: dict[str, str]
    git_commit: str | None
    git_dirty: bool | None


class FileState(Record):
    """Number of records in a file, and the checksum after the last: see :mod:`harness.record.storage`."""

    records: Count
    sum: str
