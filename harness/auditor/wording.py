"""What is said of a cause, and what is to be done: one sentence each."""

import math
from collections.abc import Callable, Mapping, Sequence

from harness.auditor.blame import Cause
from harness.auditor.breaking import overflows_from
from harness.auditor.operation import Birth, Operation
from harness.auditor.operator import LARGEST, SMALLEST, dtype_name
from harness.record.audit import AuditKind

Said = tuple[AuditKind, str, str]
"""Kind, sentence and remedy."""

_LOGARITHMS = {"log", "log2", "log10", "log1p"}
_ROOTS = {"sqrt", "rsqrt", "pow"}
_DIVISIONS = {"div", "reciprocal"}
_SUMS = {"sum", "mean", "cumsum", "mm", "addmm", "bmm"}

_REMEDY: Mapping[str, str] = {
    "exp": "subtract the row maximum first, or use torch.softmax, logsumexp or F.softplus",
    "log": "work with logits (log_softmax, logsigmoid, *_with_logits), or keep the argument above 0",
    "div": "make the divisor safe before you divide: torch.where hides the value, not the gradient",
    "slope": "add an eps inside the root, sqrt(x + eps): its slope at 0 is infinite",
    "sqrt": "keep the argument above 0: add an eps inside the root",
    "masked": "skip fully masked rows, or keep at least one entry in each row",
    "mul": "avoid the infinite factor: make its argument safe before the operation",
    "power": "scale before taking the power, or compute this line in float32",
    "overflow": "scale the operands first, or compute this line in float32",
    "gradient": "scale the loss (torch.amp.GradScaler), or use bfloat16 or float32 here",
    "underflow": "work with logarithms, or scale the operands first",
    "cancel": "subtract the common part before squaring or summing, or compute this line in a wider dtype",
    "sum": "sum in float32 (`dtype=torch.float32`), or use pairwise summation instead of one term at a time",
}


def describe(cause: Cause, name: Callable[[int], str]) -> Said:
    """Say what happened at an operation.

    Parameters
    ----------
    cause
        Who is to blame.
    name
        What a parameter is called, by its identity.
    """
    if cause.is_data:
        return _of_data(cause.operation, name)
    if cause.read is not None and cause.wrote is not None:
        return _of_digits(cause.operation, cause.read, cause.wrote)
    return _of_birth(cause.operation)


def _of_data(operation: Operation, name: Callable[[int], str]) -> Said:
    leaves = [s.leaf for s in operation.sources if s.writer < 0 and (s.nan or s.inf) and s.leaf is not None]
    if leaves:
        sentence = f"the parameter {name(leaves[0])} already contains NaN or inf when the step begins"
        return AuditKind.DATA, sentence, "audit the previous step, which produced it"
    return (
        AuditKind.DATA,
        f"the input of {operation.name} already contains NaN or inf",
        "check the batch and the initial state of the step",
    )


# What is not finite


def _of_birth(operation: Operation) -> Said:
    birth, name = operation.birth, operation.name.strip("_")
    if birth is None and operation.read_range is not None:
        return _of_emptied_sum(operation, operation.read_range[0])
    if birth is None:
        kind = AuditKind.INVALID if operation.nan else AuditKind.OVERFLOW
        return kind, f"{operation.name} returns {'NaN' if operation.nan else 'inf'}", "check the inputs of this line"
    if not birth.size or (name in {"mean", "std", "var"} and operation.nan):
        return _of_too_few(operation, birth)
    if operation.name in {"_softmax", "_log_softmax"} and operation.nan:
        return _of_softmax(birth)
    if not operation.nan and not birth.again:
        return _of_overflow(operation, birth)
    return _of_pole(operation, birth)


def _of_emptied_sum(operation: Operation, least: float) -> Said:
    sentence = (
        f"{operation.name}({least:.5g}) underflows to 0 in {dtype_name(operation.dtype)}, and so do whole sums that "
        "are used as a divisor or as the argument of a logarithm"
    )
    return AuditKind.UNDERFLOW, sentence, _REMEDY["exp"]


def _of_too_few(operation: Operation, birth: Birth) -> Said:
    sentence = f"{operation.name} of too few entries is NaN ({_how_many(birth)})"
    return AuditKind.INVALID, sentence, "skip empty inputs, or divide by max(count, 1)"


def _of_softmax(birth: Birth) -> Said:
    if birth.operands and birth.operands[0] == math.inf:
        return AuditKind.INVALID, f"softmax of +inf is NaN in {_how_many(birth)}", _REMEDY["overflow"]
    return AuditKind.MASKED, f"{_how_many(birth)} are fully masked: softmax returns NaN there", _REMEDY["masked"]


def _of_overflow(operation: Operation, birth: Birth) -> Said:
    name, dtype = operation.name.strip("_"), dtype_name(operation.dtype)
    limit = overflows_from(name, operation.dtype)
    operand = birth.operands[0] if birth.operands else None
    if limit is not None and operand is not None:
        sentence = f"{name}({operand:.5g}) overflows in {dtype}: it is inf from {limit!r} on ({_how_many(birth)})"
        return AuditKind.OVERFLOW, sentence, _REMEDY["exp"]
    is_known = birth.exact is not None and math.isfinite(birth.exact)
    result = f"its result {birth.exact:.4g} exceeds" if is_known else "its result exceeds"
    largest = f"{LARGEST[operation.dtype]:.5g}, the largest {dtype} number"
    sentence = f"{name} overflows: {result} {largest} ({_how_many(birth)})"
    return AuditKind.OVERFLOW, sentence, _REMEDY["power" if name in {"pow", "square", "prod"} else "overflow"]


def _of_pole(operation: Operation, birth: Birth) -> Said:
    name, nan = operation.name.strip("_"), operation.nan
    first, second = (*birth.operands, None, None)[:2]
    kind, gives = (AuditKind.INVALID, "NaN") if nan else (AuditKind.POLE, "inf")
    if name in _DIVISIONS and (second == 0 or name == "reciprocal"):
        numerator = 1.0 if name == "reciprocal" else first
        return kind, _division(operation, birth, numerator), _REMEDY["slope" if _is_slope(operation, first) else "div"]
    if name in _LOGARITHMS and first is not None:
        return kind, f"{name}({first:g}) is {'NaN' if nan else '-inf'} in {_how_many(birth)}", _REMEDY["log"]
    if name in _ROOTS and first is not None:
        power = f", {second:g}" if name == "pow" and second is not None else ""
        return kind, f"{name}({first:g}{power}) is {gives} in {_how_many(birth)}", _REMEDY["sqrt"]
    what = ""
    if nan:
        what = " of 0 and inf" if name == "mul" else " of infinities" if name in {"sub", "add", "sum"} else ""
    return (
        kind,
        f"{name}{what} returns {gives} in {_how_many(birth)}",
        _REMEDY.get(name, "check the inputs of this line"),
    )


def _is_slope(operation: Operation, numerator: float | None) -> bool:
    return operation.backward and numerator != 0


def _division(operation: Operation, birth: Birth, numerator: float | None) -> str:
    what = "0 / 0" if numerator == 0 else "a division by 0"
    if birth.exact is not None and math.isfinite(birth.exact):
        dtype = dtype_name(operation.dtype)
        return f"{what} in {dtype}: the exact divisor is not 0, but it underflowed ({_how_many(birth)})"
    return f"{what}: the divisor is exactly 0 in {_how_many(birth)}"


def _how_many(birth: Birth) -> str:
    if birth.all_rows > 1 and birth.all_rows != birth.size:
        return f"{birth.rows:,} of {birth.all_rows:,} rows"
    return f"{birth.count:,} of {birth.size:,} {'entry' if birth.size == 1 else 'entries'}"


# What loses digits


def _of_digits(operation: Operation, read: float, wrote: float) -> Said:
    dtype = dtype_name(operation.dtype)
    if operation.vanished > 0.3:
        sentence = (
            f"{100 * operation.vanished:.0f} % of the results of {operation.name} underflow to 0 in {dtype}, whose "
            f"smallest positive number is {SMALLEST[operation.dtype]:.3g}"
        )
        return AuditKind.UNDERFLOW, sentence, _REMEDY["gradient" if operation.backward else "underflow"]
    kind, remedy = _kind_of_loss(operation, read, wrote)
    sentence = (
        f"{operation.name} in {dtype} loses accuracy: its inputs agree with exact arithmetic to "
        f"{digits(read, operation)}, its result to {digits(wrote, operation)}"
    )
    return kind, sentence, remedy


def _kind_of_loss(operation: Operation, read: float, wrote: float) -> tuple[AuditKind, str]:
    name = operation.name.strip("_")
    if name in {"sub", "rsub", "add"} and wrote > 30 * max(read, operation.unit):
        scalar_sum = operation.shape == () and name == "add" and read > CREPT * wrote
        return (AuditKind.ACCUMULATION, _REMEDY["sum"]) if scalar_sum else (AuditKind.CANCELLATION, _REMEDY["cancel"])
    if name in _SUMS | {"add"}:
        return AuditKind.ACCUMULATION, _REMEDY["sum"]
    return AuditKind.INACCURATE, _REMEDY["cancel"]


CREPT = 0.01


def stalled(operations: Sequence[Operation], last: Operation) -> str:
    """Say from which term on a sum in 16 bits no longer grows by most of its terms; nothing where it always does.

    Parameters
    ----------
    operations, last
        All, and one of the additions of the sum.
    """
    sums = [one.added for one in operations if one.line == last.line and one.name == last.name and one.added]
    before = [0.0, *(total for _, total in sums)]
    lost = [term > 0.0 and total == was for (term, total), was in zip(sums, before, strict=False)]
    # From the end back, as long as at least half of the terms are lost.
    start, kept = len(lost), 0
    for index in reversed(range(len(lost))):
        kept += 1 if lost[index] else -1
        if kept >= 0 and lost[index]:
            start = index
        elif kept < 0:
            break
    if len(lost) - start < 2:
        return ""
    return f"; the sum stalls at {sums[start][1]:.5g}, from term {start + 1:,} of {len(sums):,}"


def digits(error: float, operation: Operation) -> str:
    """Say how many decimal digits of something are right, given its relative error."""
    if error >= 0.5:
        return "0 digits"
    return f"{-math.log10(max(error, operation.unit)):.1f} digits"
