"""``with harness.audit() as found:`` follows everything that runs in the body and reports numerical errors."""

import math
import time
import warnings
from collections.abc import Callable, Iterator
from itertools import groupby, islice
from types import TracebackType
from typing import Any, NamedTuple, Self

import torch

from harness.auditor.end import Kind
from harness.auditor.finding import Findings
from harness.auditor.line import Line, add_source, place, read_code
from harness.auditor.operation import Operation, Source, public_name
from harness.auditor.watching import Watching
from harness.compat.torch import DisableAutocast
from harness.exact.tape import LARGEST, UNIT, dtype_name
from harness.execution.logbook import drawing_in_html, logbook
from harness.findings.closed_form import find_overflow
from harness.record.audit import Audit, AuditFinding, Headroom, Mode, Stretch, WhatIf
from harness.wording.audit import format_audit
from harness.wording.table.audit import audit_html

NARROWEST = 20
"""Maximum number of lines whose headroom is recorded."""

STRETCHES = 200
"""Maximum number of recorded stretches; later ones appear only in findings."""


class audit:  # noqa: N801 - read as a function: `with harness.audit() as found:`
    """Follow a training step, or any code that uses torch, and report the lines that go numerically wrong.

    Parameters
    ----------
    mode
        ``full`` repeats every operation in wider arithmetic (the shadow) and compares. ``events`` checks only for
        non-finite values, rules and headroom, which is fast enough for whole runs. ``balls`` adds ball arithmetic in
        every format (``full`` adds it for float64 only): use it for small steps, and if float64 has too few digits.
    name
        Name of the step in the records.
    what_if
        ``float16`` or ``bfloat16`` computes float32 operations as if in that format; ``autocast-float16`` and
        ``autocast-bfloat16`` use autocast. Parameters, gradients and the batch are restored afterwards. Python objects
        are not, such as the state that an optimizer creates in its first step.

    Raises
    ------
    UsageError
        If ``what_if`` has another value.

    Notes
    -----
    Without ``what_if``, the results of the body are unchanged, bit for bit, and so are its random numbers. Code
    compiled by ``torch.compile`` runs uncompiled in the body. Enter a new audit for each step.
    """

    def __init__(self, *, mode: Mode = "full", name: str = "step", what_if: WhatIf | None = None) -> None:
        self.name = name
        self.mode: Mode = mode
        self.what_if = what_if
        self._watching = Watching(full=mode != "events", balls=mode == "balls", what_if=what_if)
        self._record: Audit | None = None

    def __enter__(self) -> Self:
        """Start the audit."""
        self._stance = torch.compiler.set_stance("force_eager")
        self._stance.__enter__()
        self._began = time.perf_counter()
        # A compiled module warns about global hooks.
        warnings.filterwarnings("ignore", message="Using `torch.compile.module.` when there are global hooks")
        self._filter = warnings.filters[0]
        self._watching.ends.listen()
        self._watching.training.__enter__()
        self._autocast = self._watching.narrowing.context()
        self._autocast.__enter__()
        self._watching.__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the audit and keep its findings, even after an exception."""
        self._watching.__exit__(kind, error, trace)  # type: ignore[no-untyped-call]
        self._autocast.__exit__(kind, error, trace)
        self._watching.training.__exit__()
        self._watching.ends.stop()
        self._stance.__exit__(kind, error, trace)
        if self._filter in warnings.filters:
            warnings.filters.remove(self._filter)  # type: ignore[attr-defined]
        try:
            self.close()
        finally:
            if self.what_if is not None:
                self._watching.narrowing.put_back()
                for parameter in self._watching.ends.without_gradient:
                    parameter.grad = None

    def returned(self, value: Any) -> None:
        """Register the return value of the step as an output to check."""
        self._returned = value

    _returned: Any = None

    def close(self) -> Audit:
        """Return the record of the audit."""
        watching = self._watching
        if self._record is None:
            with DisableAutocast(), torch.no_grad():
                watching.ends.close(self._returned)
            findings = Findings(watching)
            losses = [end for end in watching.ends.found if end.kind is Kind.LOSS]
            self._record = Audit(
                case=self.name,
                mode=self.mode,
                what_if=self.what_if,
                findings=tuple(map(add_source, findings.list_findings())),
                headroom=tuple(map(add_source, measure_headroom(watching, limit=NARROWEST))),
                notes=tuple(dict.fromkeys(findings.notes)),
                blind=dict(watching.blind),
                operations=len(watching.operations),
                ends=len(watching.ends.found),
                errors=tuple(_trace_errors(watching)) if watching.full else (),
                loss_error=_get_loss_error(losses[-1].state) if losses and watching.full else None,
                loss_in_balls=bool(losses) and losses[-1].in_balls,
                duration_s=time.perf_counter() - self._began,
            )
            watching.shadows.cells.clear()
        return self._record

    def call_again(self, step: Callable[[], Any]) -> None:
        """Call the step again without following it, and add what only a second call shows to the record."""
        found = self._watching.training.call_again(step)
        record = self.close()
        self._record = record.model_copy(update={"findings": (*record.findings, *map(add_source, found))})

    @property
    def left(self) -> list[tuple[str, torch.Tensor]]:
        """Parameters and buffers with their names, after the step."""
        return self._watching.ends.left

    @property
    def record(self) -> Audit:
        """The complete record, as stored in a run."""
        return self.close()

    @property
    def findings(self) -> tuple[AuditFinding, ...]:
        """The lines that go wrong, the worst first."""
        return self.record.findings

    @property
    def headroom(self) -> tuple[Headroom, ...]:
        """The headroom of the lines on this batch, the smallest first."""
        return self.record.headroom

    def __str__(self) -> str:
        """Return the findings, the headroom and the verdict as text."""
        return format_audit(self.record)

    def _repr_html_(self) -> str:
        """Return the notebook output."""
        return audit_html(self.record) + drawing_in_html(self.plot)

    def plot(self) -> Any:
        """Return a plot of the headroom; ``None`` if no line is close to its breaking point."""
        return logbook("notebook").audit_drawing(self.record)


def _get_loss_error(loss: Source) -> float | None:
    """Return the error of a loss; ``None`` if the loss is not finite."""
    return None if loss.nan or loss.inf or math.isinf(loss.error) else loss.error


def _trace_errors(watching: Watching) -> Iterator[Stretch]:
    """Yield consecutive operations of a line, with their largest error."""
    stretches = groupby(watching.operations, key=lambda operation: (operation.line, operation.backward))
    for (line, backward), operations in islice(stretches, STRETCHES):
        worst = max(operations, key=lambda operation: operation.worst)
        is_finite = math.isfinite(worst.worst) and not worst.nan
        error = worst.worst if is_finite else None
        fields = {**place(line), "code": read_code(line.file, line.number), "operation": public_name(worst.name)}
        yield Stretch(**fields, backward=backward, error=error)


Key = tuple[tuple[str, int], str]


class Margin(NamedTuple):
    """Headroom of an operation, before it is recorded."""

    line: Line
    operation: str
    dtype: torch.dtype
    backward: bool
    quantity: str
    value: float
    breaks_at: float
    factor: float


def measure_headroom(watching: Watching, *, limit: int | None = None) -> list[Headroom]:
    """Return the smallest headroom per line and quantity, in ascending order.

    The headroom of a result, or of the input of an exponential, is the factor by which it may grow on this batch. A
    16-bit update, or a term of a running sum, may shrink by its headroom before it is lost.
    """
    narrowest: dict[Key, Margin] = {}
    for margin in _collect_margins(watching):
        key = (margin.line.key, margin.quantity)
        if key not in narrowest or margin.factor < narrowest[key].factor:
            narrowest[key] = margin
    return [_record(margin) for margin in sorted(narrowest.values(), key=lambda margin: margin.factor)[:limit]]


def _record(margin: Margin) -> Headroom:
    names = {"operation": public_name(margin.operation), "dtype": dtype_name(margin.dtype)}
    return Headroom(**{**margin._asdict(), **place(margin.line), **names})


def _collect_margins(watching: Watching) -> Iterator[Margin]:
    """Yield the headroom of operations whose result is larger than all earlier ones of their line."""
    largest: dict[tuple[int, torch.dtype], float] = {}
    for operation in watching.operations:
        if operation.meant or operation.name in _HARMLESS:
            continue
        if operation.backward and watching.scaling.scale:
            continue  # a gradient scaler keeps gradients as near to the largest number as it can
        if operation.read_range is not None:
            yield from _measure_input(operation)
        elif 0.0 < operation.largest < math.inf:
            key = (id(operation.line), operation.dtype)
            if operation.largest > largest.get(key, 0.0):
                largest[key], limit = operation.largest, LARGEST[operation.dtype]
                yield _make_margin(operation, "result", operation.largest, limit, limit / operation.largest)
        if operation.added is not None:
            yield from _measure_term(operation, *operation.added)
    for update in watching.changes.updates:
        if update.leaf is not None:
            whose = (update.line, update.operation, update.dtype, False)
            yield Margin(*whose, "update", update.ratio, UNIT[update.dtype], update.headroom)


_HARMLESS = {"full", "masked_fill", "masked_fill_", "where", "zero_", "fill_"}
"""Operations that write numbers deliberately."""


def _measure_input(operation: Operation) -> Iterator[Margin]:
    """Yield the headroom of an exponential's input."""
    limit, value = find_overflow(operation.name, dtype_name(operation.dtype)), (operation.read_range or (0.0, 0.0))[1]
    if limit is not None and 0.0 < value < math.inf:
        yield _make_margin(operation, "input", value, limit, limit / value)


def _measure_term(operation: Operation, term: float, total: float) -> Iterator[Margin]:
    """Yield the headroom of a term of a running sum in 16 bits, which is lost at half an ulp of the sum."""
    lost_at = UNIT[operation.dtype] * total
    if term > 0.0 and lost_at > 0.0:
        yield _make_margin(operation, "term", term, lost_at, term / lost_at)


def _make_margin(operation: Operation, quantity: str, value: float, breaks_at: float, factor: float) -> Margin:
    place_fields = (operation.line, operation.name, operation.dtype, operation.backward)
    return Margin(*place_fields, quantity, value, breaks_at, factor)
