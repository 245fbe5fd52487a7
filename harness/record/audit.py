"""Records of an audit: which lines of a step go numerically wrong, and how far the others are from it."""

from enum import StrEnum
from typing import Literal, get_args

from pydantic import Field

from harness.record.schema import Count, Record, Size

Again = Literal["", "the same", "another"]
"""Outcome of repeating the steps: not done, identical bit for bit, or different."""


class Ruin(Record):
    """An unaudited step that became non-finite right after a finite step."""

    step: Count
    what: str
    """The loss, or a weight."""


class AuditRun(Record):
    """A run in which some steps were not audited."""

    steps: Count
    audited: Count
    """Number of audited steps."""
    within: Size | None = None
    """Time limit as a multiple of the CPU time of plain steps; ``None`` if the steps were selected by number."""
    cpu_s: Size
    """CPU time of all steps, including their audits."""
    step_s: Size | None = None
    """Mean CPU time of a plain step; ``None`` if every step was audited."""
    audited_s: Size | None = None
    """Mean CPU time of a step that is audited."""
    ruins: tuple[Ruin, ...] = ()
    """The first steps without an audit that produced a value that is not finite."""
    spoiled: Count = 0
    """Number of steps without an audit that produced a value that is not finite."""
    again: Again = ""
    """Outcome of repeating the steps up to those."""
    differs_at: Count | None = None
    """The step from which on those were others."""

    @property
    def ratio(self) -> float | None:
        """CPU time of the run as a multiple of the CPU time of the plain steps."""
        return None if not self.step_s else self.cpu_s / (self.steps * self.step_s)

    @property
    def is_open(self) -> bool:
        """Whether an unaudited step failed."""
        return bool(self.ruins) and self.again != "the same"


class AuditKind(StrEnum):
    """Kind of failure at a line, the worst first."""

    DATA = "data"
    """An input of the step is not finite."""
    OVERFLOW = "overflow"
    """A result beyond the largest number of the format."""
    POLE = "pole"
    """A function is infinite where it was evaluated: a division by zero, the logarithm of zero, a slope at zero."""
    INVALID = "invalid"
    """A NaN created from inputs that are not NaN."""
    MASKED = "masked"
    """A softmax row with every entry masked."""
    TRAINING = "training"
    """A call in a training step has no effect, or an unintended one, such as an update without gradients."""
    CLAMPED = "clamped"
    """A clamp that holds where the loss depends on it."""
    UNDERFLOW = "underflow"
    """Results below the smallest number of the format, which something depends on."""
    CANCELLATION = "cancellation"
    """A difference of numbers that were already rounded loses digits."""
    ACCUMULATION = "accumulation"
    """A long sum accumulates in too narrow a format."""
    INACCURATE = "inaccurate"
    """Digits are lost otherwise."""
    WRAPPED = "wrapped"
    """Integers beyond their range."""
    REPEATED = "repeated"
    """Neighbours of a range that are the same number in the format."""
    EPS = "eps"
    """A protecting constant that is zero in the format."""
    UPDATE = "update lost"
    """An update is too small for the format of its target."""


WhatIf = Literal["bfloat16", "float16", "autocast-bfloat16", "autocast-float16"]
"""Format that replaces float32 in a step, entirely or as autocast does."""

Mode = Literal["full", "events", "balls"]
"""Reference of the audit: float64 and balls (``full``), none (``events``), or balls only (``balls``)."""

WHAT_IF: tuple[str, ...] = get_args(WhatIf)


def name_format(what_if: WhatIf) -> str:
    """Return ``in float16``, or ``under autocast to float16``."""
    name = what_if.removeprefix("autocast-")
    return f"in {name}" if what_if == name else f"under autocast to {name}"


class AuditFinding(Record):
    """One line that goes wrong."""

    kind: AuditKind
    file: str
    line: Count
    function: str
    module: str = ""
    """Path of the module that was called, such as ``blocks.1.attention``; empty outside of modules."""
    caller: str | None = None
    """File and line of the user's that called it, where the line is an installed library's."""
    sentence: str
    remedy: str
    operation: str
    dtype: str
    backward: bool = False
    """Whether it happens in the backward pass of the line."""
    reaches: tuple[str, ...] = ()
    """What it spoils: losses, gradients, updates, buffers, outputs."""
    law: str | None = None
    """Arguments for ``harness explain``, ``LAW --contract CONTRACT``, if a law of a contract covers the cause."""
    oracle: str | None = None
    """Evidence for lost digits; ``None`` if the finding is visible in the step, such as NaN."""
    times: Count = 1
    code: str = ""
    """The source line; empty if it is not known."""
    start: Count = 0
    end: Count = 0
    """Columns of the operation in the source line; equal if only the line is known."""


class AuditedLine(Record):
    """A line of the step, and one of its operations."""

    file: str
    line: Count
    function: str
    module: str = ""
    backward: bool = False
    operation: str


class Headroom(AuditedLine):
    """The distance of an operation from its breaking point on this batch."""

    dtype: str
    quantity: str
    """What may grow: ``input``, ``result``; or may shrink: ``update``, ``term``."""
    value: float
    breaks_at: float
    factor: Size
    """Factor by which the quantity may change before it breaks."""
    code: str = ""
    """The source line; empty if it is not known."""
    start: Count = 0
    end: Count = 0
    """Columns of the operation in the source line; equal if only the line is known."""

    @property
    def place(self) -> str:
        """File and line."""
        return f"{self.file}:{self.line}"

    @property
    def breaks_from(self) -> str:
        """The breaking point as text: an input with all its digits, to try it; otherwise five digits."""
        return repr(self.breaks_at) if self.quantity == "input" else f"{self.breaks_at:.5g}"


class Stretch(AuditedLine):
    """Consecutive operations of one line, with the largest error of their results and its operation."""

    error: Size | None
    """Relative; ``None`` where a result is not finite and the truth is."""
    code: str = ""
    """The source line; empty if it is not known."""


class Audit(Record):
    """Result of the audit of one step."""

    kind: Literal["audit"] = "audit"
    case: str
    """``file.function`` of the step."""
    step: Count = 1
    """Number of the call of the step."""
    mode: Mode
    what_if: WhatIf | None = None
    """Simulated format of the step; ``None`` if the step ran unchanged."""
    findings: tuple[AuditFinding, ...]
    """The worst first."""
    headroom: tuple[Headroom, ...] = ()
    """The narrowest first."""
    notes: tuple[str, ...] = ()
    """Remarks on harmless events that look suspicious."""
    blind: dict[str, Count] = Field(default_factory=dict)
    """Operations that could not be carried out in wider arithmetic, and how often."""
    operations: Count
    ends: Count
    """Number of checked losses, gradients, updates, buffers and outputs."""
    loss_error: float | None = None
    """Relative error of the last loss; ``None`` where there was none, or no shadow."""
    loss_in_balls: bool = False
    """Whether that error is relative to ball arithmetic instead of float64."""
    errors: tuple[Stretch, ...] = ()
    """Growth of the error along the step, in execution order; empty without a shadow."""
    run: AuditRun | None = None
    """The run of this step, if the run was audited only in part."""
    expected: tuple[AuditKind, ...] = ()
    """Kinds of findings that the step is expected to show."""
    duration_s: Size

    @property
    def title(self) -> str:
        """The name of the step, and the format in which it was audited if that is not its dtype."""
        return self.case if self.what_if is None else f"{self.case} as if {name_format(self.what_if)}"

    @property
    def unexpected(self) -> tuple[AuditFinding, ...]:
        """The findings beyond the expected ones; none for a trial in another format."""
        if self.what_if is not None:
            return ()
        return tuple(finding for finding in self.findings if finding.kind not in self.expected)

    @property
    def missing(self) -> tuple[AuditKind, ...]:
        """The kinds that the step is expected to show and does not."""
        if self.what_if is not None:
            return ()
        kinds = {finding.kind for finding in self.findings}
        return tuple(kind for kind in self.expected if kind not in kinds)

    @property
    def fails(self) -> bool:
        """Whether the findings differ from the expected ones, or an unaudited step of the run failed."""
        return bool(self.unexpected or self.missing) or (self.run is not None and self.run.is_open)

    @property
    def key(self) -> tuple[str, int, str]:
        """The key of the audit within a run."""
        return (self.case, self.step, self.what_if or "")
