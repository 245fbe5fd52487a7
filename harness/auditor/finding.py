"""Findings of an audit: wrong results traced back to lines, violated rules, and lost updates."""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from harness.auditor.blame import Cause, blame_error, blame_not_finite
from harness.auditor.change import FAR, Update
from harness.auditor.end import End, Ends, Kind
from harness.auditor.fair import is_small
from harness.auditor.operation import Operation, bare, public_name
from harness.auditor.remedy import COUNTS, LAWS, REMEDY, is_sum
from harness.auditor.rules import Indices
from harness.auditor.watching import Watching
from harness.auditor.wording import Statement, describe, digits, explain_stall, make_finding
from harness.error import cell
from harness.exact.tape import NARROW, SMALLEST, UNIT, dtype_name
from harness.record.audit import AuditFinding, AuditKind

HARMLESS = 0.05
"""Relative error, explained by canceling terms, above which a gradient is zero up to rounding."""

READ_WELL = 0.01
"""Maximum input error for which a sum is responsible for its own error."""

_COPIES = {"_to_copy", "clone", "copy_", "add_", "add"}


def limit(end: End) -> float:
    """Return the relative error above which a result is wrong.

    All but a few digits of the coarsest format are lost there. For float64, those beyond float32 are lost.
    """
    ceiling = 0.1 if end.kind in (Kind.LOSS, Kind.OUTPUT) else 0.32
    return min(ceiling, max(1e4 * end.unit, UNIT[torch.float32]))


@dataclass
class Found:
    """A cause with everything that it spoils."""

    cause: Cause
    statement: Statement
    reaches: list[str] = field(default_factory=list)


class Findings:
    """Traces the results of an audit back to lines."""

    def __init__(self, watching: Watching) -> None:
        self.watching = watching
        self.notes: list[str] = []
        self._found: dict[tuple[tuple[str, int], AuditKind], Found] = {}
        self._exempt: set[int | None] = set()

    def list_findings(self) -> list[AuditFinding]:
        """Return the findings, the worst first."""
        for end in self.watching.ends.found:
            self._follow(end)
        for wrong in self.watching.indices:
            self._trace_indices(wrong)
        self.notes += self.watching.scaling.notes
        cells = self.watching.shadows.cells.values()
        kept = [cell.state.writer for cell in cells if not cell.alive.expired()]
        self.watching.training.check_dropped(self.watching.operations, kept)
        lost = find_lost_updates(self.watching.changes.updates, self.watching.ends)
        of_rules = [*self.watching.rules.findings.values(), *self.watching.training.findings]
        findings = [*map(_convert_cause, self._found.values()), *of_rules, *lost]
        return sorted(_merge_findings(findings), key=lambda finding: list(AuditKind).index(finding.kind))

    def _follow(self, end: End) -> None:
        state = end.state
        if state.writer is None:
            return
        operation = state.writer
        if state.nan or state.inf or math.isinf(state.error):
            if operation.meant and not state.nan:
                return
            # An update of a gradient that is rounding error is blamed on the optimizer.
            is_rounding = end.kind is Kind.UPDATE and state.leaf in self._exempt
            first = blame_not_finite(operation, beyond_poles=not is_rounding)
            self._add(first, str(end), is_loss=end.kind is Kind.LOSS and first.operation is operation)
        elif self.watching.full and state.error > limit(end):
            cause = self._find_cause(end, operation)
            if cause is not None:
                self._add(cause, f"{end} ({_format_digits(state.error)})")

    def _find_cause(self, end: End, operation: Operation) -> Cause | None:
        if end.kind is Kind.UPDATE:
            if end.state.leaf in self._exempt:
                return None
            operation = operation.origin
            worst = operation.worst_source
            if worst is None or worst.writer is None or max(source.error for source in operation.sources) <= limit(end):
                return None  # a lost update has its own finding
            operation = worst.writer
        cause = blame_error(operation)
        if cause.operation.is_confirmed() is False:
            name = public_name(cause.operation.name)
            self.notes.append(f"ball arithmetic contradicts float64 at {name} and confirms the step")
            return None
        # A sum that is the loss itself has right gradients, whatever its digits.
        is_fair = cause.operation.is_fair and (not is_sum(cause.operation) or operation.origin is cause.operation)
        if is_fair and is_small(cause.operation, self._compute_loss_error(end, cause.operation)):
            self.notes.append(_explain_harmless(cause.operation))
            return None
        return None if end.kind is Kind.GRADIENT and self._is_rounding(end, operation, cause) else cause

    def _compute_loss_error(self, end: End, operation: Operation) -> float:
        """Return the absolute error of the losses that an operation leads to.

        It is infinite if there is none, as for a learning rate, and for a loss in 16 bits that has less than one digit,
        because it has all of them in float32.
        """
        if end.kind in (Kind.LOSS, Kind.OUTPUT) and operation.dtype in NARROW:
            return math.inf
        if end.kind in (Kind.OUTPUT, Kind.BUFFER):
            return end.off
        losses = [(end.off, end.state.writer) for end in self.watching.ends.found if end.kind is Kind.LOSS]
        reached = max((off for off, made in losses if made and operation.leads_to(made)), default=math.inf)
        return reached / (self.watching.scaling.scale or 1.0)

    def _is_rounding(self, end: End, operation: Operation, cause: Cause) -> bool:
        """Whether the exact gradient is zero, as for the bias of attention keys, so that the rest is rounding error."""
        origin = operation
        while origin.name in _COPIES and origin.sources:
            worst = max(origin.sources, key=lambda source: source.error)
            if worst.writer is None:
                break
            origin = worst.writer
        carried = max(origin.read_error, origin.unit)
        cancels = carried <= READ_WELL and origin.cancelled * carried >= HARMLESS
        if cancels:
            self._exempt.add(end.state.leaf)
            self.notes.append(
                f"{end} is zero up to rounding (its terms cancel by a factor of {origin.cancelled:.0e}): harmless, but "
                "Adam turns it into steps as large as the learning rate"
            )
        elif cause.read is not None and cause.operation.backward and _may_cancel(cause.operation):
            self._exempt.add(end.state.leaf)
            self.notes.append(
                f"{end} is rounding error: the terms of {public_name(cause.operation.name)} cancel in the backward pass"
            )
            return True
        return cancels

    def _add(self, cause: Cause, reaches: str, *, is_loss: bool = False) -> None:
        kind, sentence, remedy = describe(cause, self.watching.ends, self.watching.operations)
        if kind is AuditKind.ACCUMULATION:
            sentence += explain_stall(self.watching.operations, cause.operation)
        if kind is AuditKind.OVERFLOW and is_loss and cause.operation.name.startswith("mul"):
            remedy = "use a smaller loss scale, or let torch.amp.GradScaler choose it: it lowers a scale that overflows"
        update, scale = self._find_first_update(), self._find_remaining_scale()
        if kind in _NOT_FINITE and update is not None and scale:
            sentence += f" (line {cause.operation.line.number}); the optimizer takes gradients times {scale:,.0f}"
            kind, remedy, cause = AuditKind.OVERFLOW, REMEDY["scaler"], replace(cause, operation=update)
        key = (cause.operation.line.key, kind)
        if key not in self._found:
            self._found[key] = Found(cause, (kind, sentence, remedy))
        self._found[key].reaches.append(reaches)

    def _find_remaining_scale(self) -> float:
        """Return the scale of a loss whose gradients an optimizer used without unscaling them; 0 if there is none."""
        losses = [end.state.writer for end in self.watching.ends.found if end.kind is Kind.LOSS]
        scaled = [
            made.sources[1] for made in losses if made is not None and made.name == "mul" and len(made.sources) == 2
        ]
        scales = [s.largest for s in scaled if s.writer is None and math.frexp(s.largest)[0] == 0.5]
        return 0.0 if self.watching.scaling.scale else max((s for s in scales if s >= 256), default=0.0)

    def _find_first_update(self) -> Operation | None:
        """Return the first operation that changes a parameter."""
        operations = self.watching.operations
        return next((o for o in operations if o.name[-1] == "_" and any(s.leaf is not None for s in o.sources)), None)

    def _trace_indices(self, wrong: Indices) -> None:
        """Trace wrong indices back to the line that counted them."""
        cause = blame_error(wrong.writer) if self.watching.full else Cause(wrong.writer)
        kind = AuditKind.ACCUMULATION if is_sum(cause.operation) else AuditKind.INACCURATE
        key = (cause.operation.line.key, kind)
        self._found.setdefault(key, Found(cause, (kind, wrong.sentence, COUNTS))).reaches.append("indices")


def _may_cancel(operation: Operation) -> bool:
    """Whether the terms of an operation may cancel: nothing underflows, and a sum is smaller than its terms."""
    grows = operation.largest >= max((source.largest for source in operation.sources), default=0.0)
    return operation.vanished <= 0.3 and not (bare(operation.name) == "add" and grows)


def _explain_harmless(operation: Operation) -> str:
    """Return a note on a harmless loss of digits."""
    place = f"{cell(Path(operation.line.file).name)}:{operation.line.number}"
    note = f"{public_name(operation.name)} at {place} has {digits(operation.worst, operation)} left"
    return f"{note}, since its terms cancel: harmless, because the error of the loss is small compared with these terms"


def _convert_cause(entry: Found) -> AuditFinding:
    operation = entry.cause.operation
    return make_finding(
        entry.statement,
        operation.line,
        operation.name,
        operation.dtype,
        backward=operation.backward,
        law=None if operation.backward else LAWS.get((entry.statement[0], operation.name)),
        reaches=tuple(dict.fromkeys(entry.reaches)),
        oracle=_find_oracle(entry.cause),
    )


def _find_oracle(cause: Cause) -> str | None:
    """Return the evidence for a loss of digits."""
    if cause.read is None:
        return None
    return "ball arithmetic" if cause.operation.is_confirmed() else "float64 alone"


_NOT_FINITE = {AuditKind.OVERFLOW, AuditKind.POLE, AuditKind.INVALID, AuditKind.MASKED}


def _merge_findings(findings: Sequence[AuditFinding]) -> list[AuditFinding]:
    """Merge findings of the same line and kind; NaN and infinity in forward and backward pass are one finding.

    On a line with NaN or infinity, lost digits are no other cause. An eps of zero is the cause of a pole.
    """
    merged: list[AuditFinding] = []
    for finding in sorted(findings, key=lambda f: (f.kind is not AuditKind.EPS, f.kind not in _NOT_FINITE, f.backward)):
        place = next((place for place, cause in enumerate(merged) if _explains(cause, finding)), None)
        if place is None:
            merged.append(finding)
            continue
        cause = merged[place]
        sentence = cause.sentence + (f"; {finding.sentence}" if cause.kind is AuditKind.EPS is not finding.kind else "")
        reaches, times = tuple(dict.fromkeys((*cause.reaches, *finding.reaches))), cause.times + finding.times
        merged[place] = cause.model_copy(update={"sentence": sentence, "reaches": reaches, "times": times})
    return merged


def _explains(cause: AuditFinding, finding: AuditFinding) -> bool:
    """Whether a finding of the same line is the cause of another."""
    is_update = cause.kind is AuditKind.UPDATE
    is_same = cause.kind is finding.kind and not (is_update and cause.operation != finding.operation)
    is_eps = cause.kind is AuditKind.EPS and finding.kind in (AuditKind.POLE, AuditKind.INVALID, AuditKind.UNDERFLOW)
    is_beside = cause.kind in _NOT_FINITE and (
        finding.kind in _NOT_FINITE or finding.kind is AuditKind.TRAINING or finding.oracle is not None
    )
    return (cause.file, cause.line) == (finding.file, finding.line) and (is_same or is_eps or is_beside)


def _format_digits(error: float) -> str:
    return "no digits left" if error >= 0.5 else f"{-math.log10(error):.1f} digits left"


STILL = 0.5
"""Minimum lost share of an update, by elements and by norm, for a finding."""


def find_lost_updates(updates: Sequence[Update], ends: Ends) -> Iterator[AuditFinding]:
    """Yield a finding for each line and kind of lost update."""
    groups: dict[tuple[tuple[str, int], bool, str], list[Update]] = defaultdict(list)
    for update in updates:
        is_compensated = update.leaf is not None and update.leaf in ends.compensated
        if not is_compensated and _is_lost(update):
            groups[(update.line.key, update.leaf is not None, update.operation)].append(update)
    for group in groups.values():
        yield _make_update_finding(group, ends)


def _is_lost(update: Update) -> bool:
    """Whether most of an update is lost; for an average whether it does not move, or stops far from its target."""
    is_still = update.lost > STILL and update.still > STILL * update.wanted
    if update.gap is None:
        return is_still
    return update.stops_at > FAR and (is_still or update.gap > FAR)


def _make_update_finding(updates: Sequence[Update], ends: Ends) -> AuditFinding:
    first = updates[0]
    buffers = list(dict.fromkeys(update.buffer for update in updates if update.buffer))
    names = [ends.name(update.leaf) for update in updates if update.leaf is not None]
    of_weights = [f"the update of {name}" for name in dict.fromkeys(names)]
    reaches = (*of_weights, *(f"the buffer {name}" for name in buffers))
    statement = (AuditKind.UPDATE, _format_sentence(updates, ends, buffers), _choose_remedy(first))
    return make_finding(statement, first.line, first.operation, first.dtype, reaches=reaches, times=len(updates))


def _format_sentence(updates: Sequence[Update], ends: Ends, buffers: Sequence[str]) -> str:
    first, whose = updates[0], f"buffer {buffers[0]}" if buffers else "average"
    if first.gap is not None:
        return (
            f"the {whose} does not reach its target: a step covers {first.share:.1g} of the distance, and "
            f"{dtype_name(first.dtype)} rounds that away within {100 * first.stops_at:.3g} % of its size"
        )
    share = sum(update.still for update in updates) / sum(update.wanted for update in updates)
    still, updated = {update.leaf for update in updates}, len(ends.updated)
    is_parameter = first.leaf is not None
    others = f"entries of the {whose}" if buffers else "entries of an average or of the optimizer's state"
    action = "weights" if is_parameter else others
    where = f" in {len(still):,} of {updated:,} tensors" if is_parameter and len(still) < updated else ""
    return (
        f"{100 * share:.0f} % of the {action}{where} do not change: "
        f"{_explain_update(max(updates, key=lambda update: update.still))}"
    )


def _explain_update(update: Update) -> str:
    name = dtype_name(update.dtype)
    if update.headroom > 2:
        return f"they are too small for {name}, whose smallest positive number is {SMALLEST[update.dtype]:.3g}"
    action = "the decay" if "mul" in update.operation else "the update"
    return f"{action} is {update.ratio:.1e} of their size, but {name} resolves only {2 * UNIT[update.dtype]:.1e}"


def _choose_remedy(update: Update) -> str:
    if update.dtype not in NARROW:
        return "use a smaller decay, so that a step is more than the format resolves, or keep the average in float64"
    if update.buffer:
        return "keep the buffers in float32 (`.bfloat16()` and `.half()` convert them too), or let them move faster"
    return "keep weights and optimizer state in float32 (or use stochastic rounding, or keep the remainder)"
