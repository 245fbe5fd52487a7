"""The records of surveys: where laws break, and the worst inputs."""

from typing import Literal

from harness.record.schema import Count, Deviation, Input, Record, Size


class SurveyRecord(Record):
    """Base class of the records of a survey on one law of a case in a dtype."""

    case: str
    family: str
    style: str
    contract: str
    law: str
    group: str
    dtype: str
    device: str
    evidence: Literal["searched", "proved"] = "searched"
    """``proved`` if every input was tried; otherwise the value is a lower bound."""


class Breaking(SurveyRecord):
    """The first failure of a law along a ray, as an exact representable number."""

    kind: Literal["breaking"] = "breaking"
    ray: str
    formula: str
    """The inputs of the ray as a formula in its parameter ``t``."""
    value: float | None
    """The parameter at the breaking point; ``None`` where the law holds to the end of the ray."""
    value_hex: str | None
    end: float
    """The last parameter of the ray."""
    certainty: Literal["exhausted", "monotone", "scanned"]
    """``exhausted``: every earlier parameter was tried. ``monotone``: of those tried, all earlier ones hold and all
    later ones fail. ``scanned``: failing comes and goes between those tried: it is the first found."""
    probes: Count
    """Parameters that were tried."""
    confirmed: bool | None = None
    """Whether ball arithmetic found the law broken at the breaking point and kept one float before it."""
    form: str | None = None
    """The closed form, declared by the case or recognized."""
    form_value: float | None = None
    declared: bool = False
    """Whether the case declares the closed form."""
    expected_break: bool = False
    """Whether the case declares that the law fails."""
    agrees: bool | None = None
    """Whether the breaking point is the first representable number at or beyond the form's value."""
    actual: float | None = None
    expected: float | None = None
    deviation: Deviation | None = None
    bound: Size | None = None
    unit: str = "ulp"
    example: dict[str, Input] | None = None
    replay: str | None = None
    reason: str | None = None
    """Text of an error of the case, which ended the search."""

    @property
    def key(self) -> tuple[str, ...]:
        """The key of the breaking point within a run."""
        return (self.case, self.law, self.dtype, self.device, self.ray)


class Worst(SurveyRecord):
    """The tried input with the largest deviation from a law."""

    kind: Literal["worst"] = "worst"
    objective: Literal["deviation", "ratio"]
    """Maximized quantity: the deviation, or its share of the bound."""
    rows: Count
    """Rows that were measured."""
    deviation: Deviation
    """Deviation of the witness by ball arithmetic, as are the bound and the values."""
    bound: Size
    unit: str = "ulp"
    place: tuple[Count, ...]
    actual: float
    expected: float
    magnitude: float
    """Largest absolute input element of the witness."""
    example: dict[str, Input]
    replay: str
    declared: str | None = None
    """Declared reason why the law fails."""

    @property
    def broken(self) -> bool:
        """Whether the law is broken on the witness."""
        return not self.deviation <= self.bound

    @property
    def key(self) -> tuple[str, ...]:
        """The key of the figure within a run."""
        return (self.case, self.law, self.dtype, self.device, self.objective, self.evidence)


class Profile(SurveyRecord):
    """Growth of the deviation with the magnitude of the inputs, and its distribution."""

    kind: Literal["profile"] = "profile"
    unit: str = "ulp"
    magnitudes: tuple[float, ...]
    """Upper ends of the intervals of the largest absolute input element."""
    deviations: tuple[Deviation, ...]
    """Worst deviation relative to its bound in each interval, over all rays."""
    bounds: tuple[Size, ...]
    """The bound at that place."""
    edges: tuple[float, ...]
    """Upper ends of the classes of the histogram: at most one half is correctly rounded."""
    counts: tuple[Count, ...]
    """Elements of the output in each class, on rows drawn from the rays."""

    @property
    def key(self) -> tuple[str, ...]:
        """The key of the profile within a run."""
        return (self.case, self.law, self.dtype, self.device)


class Accumulator(Record):
    """In which width, and in which order, an implementation sums."""

    kind: Literal["accumulator"] = "accumulator"
    case: str
    family: str
    style: str
    contract: str
    dtype: str
    device: str
    width: str | None
    """``bfloat16``, ``float16``, ``float32`` or ``float64``; ``None`` where the evidence does not decide."""
    order: str | None
    """``one term after the other``, in how many parts, or that nothing is lost; ``None`` where it does not show."""
    evidence: tuple[str, ...]
    """Observations, one sentence for each."""

    @property
    def key(self) -> tuple[str, ...]:
        """The key of the finding within a run."""
        return (self.case, self.dtype, self.device)


BOOK = 50.0
"""The chapter's example, exp(50): a call on every ray that reaches it, and a mark on the number lines."""


class Stage(Record):
    """The result of one operation within a call."""

    operation: str
    """Name of the operation in torch."""
    values: tuple[float, ...]


class RecordedCall(Record):
    """One recorded call; nothing is interpolated."""

    t: float
    t_hex: str
    given: tuple[float, ...]
    """The entries of the first input."""
    stages: tuple[Stage, ...]
    """Results on the way to the answer; none where the implementation's operations cannot be followed."""
    actual: tuple[float, ...]
    expected: tuple[float, ...]
    """Exact answer, in float64."""
    deviation: float
    """Largest deviation of an entry, and its bound."""
    bound: float

    @property
    def broken(self) -> bool:
        """Whether the law is broken here."""
        return not self.deviation <= self.bound


class RayTrace(SurveyRecord):
    """Calls of an implementation along a ray, up to its breaking point and beyond it."""

    kind: Literal["passage"] = "passage"
    ray: str
    formula: str
    breaks_at: float | None
    """The breaking point, where there is one."""
    form: str | None = None
    """Its closed form, where it is known."""
    expected_break: bool = False
    """Whether the case declares that the law fails."""
    stations: tuple[RecordedCall, ...]
    """The calls, in the order of the parameter."""

    @property
    def key(self) -> tuple[str, ...]:
        """The key of the trace within a run."""
        return (self.case, self.law, self.dtype, self.device, self.ray)
