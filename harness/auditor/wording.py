"""Sentences and remedies of causes."""

import math
from collections.abc import Sequence
from typing import Any

import torch

from harness.auditor import remedy as remedies
from harness.auditor.blame import Cause
from harness.auditor.end import Ends
from harness.auditor.line import Line, place
from harness.auditor.operation import FirstNonfinite, Operation, bare, public_name
from harness.error import cell
from harness.exact.tape import LARGEST, NARROW, SMALLEST, dtype_name
from harness.findings.closed_form import find_overflow
from harness.record.audit import AuditFinding, AuditKind

Statement = tuple[AuditKind, str, str]
"""Kind, sentence and remedy."""

_GROWING = {"add", "sub", "mul", "addcmul", "lerp"}
"""Operations whose infinite result is an overflow, although their operands were overwritten."""


def make_finding(statement: Statement, line: Line, name: str, dtype: torch.dtype, **more: Any) -> AuditFinding:
    """Return the finding about an operation of a line."""
    kind, sentence, remedy = statement
    caller = None if line.caller is None else f"{cell(line.caller[0])}:{line.caller[1]}"
    place_fields = {**place(line), "caller": caller, "operation": public_name(name), "dtype": dtype_name(dtype)}
    return AuditFinding(**place_fields, kind=kind, sentence=sentence, remedy=remedy, **more)


def describe(cause: Cause, ends: Ends, operations: Sequence[Operation]) -> Statement:
    """Return kind, sentence and remedy of a cause among the operations."""
    operation = cause.operation
    if cause.is_data:
        return _explain_data(operation, ends)
    if cause.is_residue and cause.then is not None:
        return _explain_residue(operation, cause.then)
    if cause.is_emptied:
        return AuditKind.UNDERFLOW, _explain_underflow(operation, cause.then), remedies.remedy_underflow(operation)
    if cause.read is not None and cause.wrote is not None:
        return _explain_digits(cause)
    kind, sentence, remedy = _explain_first_nonfinite(operation, operations[operation.number + 1 :][: remedies.NEAREST])
    grown = remedies.find_grown_weight(operation) if kind in (AuditKind.OVERFLOW, AuditKind.INVALID) else None
    if grown is not None:
        return kind, f"{sentence}; the weights have grown to {grown:.2g}", remedies.TRAINING
    if (
        kind is AuditKind.OVERFLOW
        and not operation.backward
        and remedies.diverges(operation, operations[: operation.number])
    ):
        return kind, f"{sentence}; it grows whenever this line runs", remedies.REMEDY["diverges"]
    if cause.then is not None:
        source = "" if cause.then.line == operation.line else f" ({_format_place(cause.then)})"
        return (
            kind,
            f"{sentence}; {_explain_underflow(cause.then, None)}{source}",
            remedies.remedy_underflow(cause.then),
        )
    return kind, sentence, remedy


def _explain_residue(operation: Operation, then: Operation) -> Statement:
    clause = (
        f"{public_name(operation.name)} in {dtype_name(operation.dtype)} leaves only the rounding error of its terms"
    )
    sentence = f"{clause}; {public_name(then.name)} of it is NaN ({_format_place(then)})"
    return AuditKind.CANCELLATION, sentence, remedies.remedy_cancellation(operation)


def _format_place(operation: Operation) -> str:
    return f"line {operation.line.number}"


def _explain_data(operation: Operation, ends: Ends) -> Statement:
    spoiled = [s for s in operation.sources if s.writer is None and (s.nan or s.inf)]
    for source in spoiled:
        if source.gradient_of is not None:
            sentence = f"the gradient of {ends.name(source.gradient_of)} already contains NaN or inf before the step"
            return AuditKind.DATA, sentence, "call zero_grad() before backward, and audit the previous step"
        if source.leaf is not None:
            sentence = f"the parameter {ends.name(source.leaf)} already contains NaN or inf when the step begins"
            return AuditKind.DATA, sentence, "audit the previous step, which produced it"
    sentence = f"the input of {public_name(operation.name)} already contains NaN or inf"
    return AuditKind.DATA, sentence, "check the batch and the initial state of the step"


# What is not finite


def _explain_first_nonfinite(operation: Operation, later: Sequence[Operation]) -> Statement:
    first_nonfinite, name, public = operation.first_nonfinite, bare(operation.name), public_name(operation.name)
    if first_nonfinite is None and operation.read_range is not None:
        return _explain_emptied_sum(operation, operation.read_range[0])
    if first_nonfinite is None:
        kind = AuditKind.INVALID if operation.nan else AuditKind.OVERFLOW
        return kind, f"{public} returns {'NaN' if operation.nan else 'inf'}", "check the inputs of this line"
    if not first_nonfinite.size or (name in {"mean", "std", "var"} and operation.nan):
        return _explain_too_few(operation, first_nonfinite)
    if name in {"_softmax", "_log_softmax"} and operation.nan:
        return _explain_softmax(first_nonfinite)
    is_in_place = first_nonfinite.wide is None and name in _GROWING
    if not operation.nan and (is_in_place or not first_nonfinite.again):
        return _explain_overflow(operation, first_nonfinite, later)
    return _explain_pole(operation, first_nonfinite)


def _explain_emptied_sum(operation: Operation, least: float) -> Statement:
    sentence = (
        f"{public_name(operation.name)}({least:.5g}) underflows to 0 in {dtype_name(operation.dtype)}, and so do whole "
        "sums that are used as a divisor or as the argument of a logarithm"
    )
    return AuditKind.UNDERFLOW, sentence, remedies.REMEDY["exp"]


def _explain_underflow(operation: Operation, then: Operation | None) -> str:
    """Describe an underflow, and the later operation that is not finite because of it."""
    dtype, name = operation.dtype, public_name(operation.name)
    argument = "" if operation.read_range is None else f"({operation.read_range[0]:.5g})"
    clause = (
        f"{name}{argument} underflows to 0 in {dtype_name(dtype)}, "
        f"whose smallest positive number is {SMALLEST[dtype]:.3g}"
    )
    if then is None:
        return clause
    cause = "a logarithm of 0" if bare(then.name) in remedies.LOGARITHMS else "a division by 0"
    return f"{clause}; {_format_place(then)} makes {cause} of it"


def _explain_too_few(operation: Operation, first_nonfinite: FirstNonfinite) -> Statement:
    sentence = f"{public_name(operation.name)} of too few entries is NaN ({_format_count(first_nonfinite)})"
    return AuditKind.INVALID, sentence, "skip empty inputs, or divide by max(count, 1)"


def _explain_softmax(first_nonfinite: FirstNonfinite) -> Statement:
    if first_nonfinite.operands and first_nonfinite.operands[0] == math.inf:
        return (
            AuditKind.INVALID,
            f"softmax of +inf is NaN in {_format_count(first_nonfinite)}",
            remedies.REMEDY["infinite"],
        )
    sentence = f"{_format_count(first_nonfinite)} are fully masked: softmax returns NaN there"
    return AuditKind.MASKED, sentence, remedies.REMEDY["masked"]


def _explain_overflow(operation: Operation, first_nonfinite: FirstNonfinite, later: Sequence[Operation]) -> Statement:
    name, dtype = public_name(operation.name), dtype_name(operation.dtype)
    limit = find_overflow(operation.name, dtype)
    (operand, divisor), amount = (*first_nonfinite.operands, None, None)[:2], _format_count(first_nonfinite)
    if limit is not None and operand is not None:
        sentence = f"{name}({operand:.5g}) overflows in {dtype}: it is inf from {limit!r} on ({amount})"
        return AuditKind.OVERFLOW, sentence, remedies.remedy_exponential(operation, later)
    exact, result = first_nonfinite.exact, "its result exceeds"
    if exact is not None and math.isfinite(exact):
        is_beyond = abs(exact) > LARGEST[operation.dtype]
        result = f"its result {exact:.4g} exceeds" if is_beyond else "an intermediate result exceeds"
    largest = f"{LARGEST[operation.dtype]:.5g}, the largest {dtype} number"
    is_small_divisor = bare(operation.name) in remedies.DIVISIONS and divisor and abs(divisor) < 1
    divisor_remedy = remedies.REMEDY["div"]
    if operation.dtype in NARROW:
        divisor_remedy = remedies.add_wider_format(divisor_remedy, operation.dtype)
    remedy = divisor_remedy if is_small_divisor else remedies.remedy_overflow(operation)
    return AuditKind.OVERFLOW, f"{name} overflows: {result} {largest} ({amount})", remedy


def _explain_pole(operation: Operation, first_nonfinite: FirstNonfinite) -> Statement:
    name, public, nan = bare(operation.name), public_name(operation.name), operation.nan
    operands, amount = (*first_nonfinite.operands, None, None, None)[:3], _format_count(first_nonfinite)
    first, second = operands[1:] if name == "addcdiv" else operands[:2]
    kind, gives = (AuditKind.INVALID, "NaN") if nan else (AuditKind.POLE, "inf")
    if first_nonfinite.reason is not None:
        reason, remedy = first_nonfinite.reason
        return kind, f"{public} returns {gives}: {reason}", remedy
    slope = first_nonfinite.slope_of
    if (slope in remedies.SLOPES or slope in remedies.DOMAINS) and 0 in (first, second):
        where, remedy = remedies.remedy_slope(operation, slope)
        return kind, f"the slope of {where} ({amount})", remedy
    if name in remedies.DIVISIONS and (second == 0 or name in ("reciprocal", "addcdiv")):
        numerator = 1.0 if name == "reciprocal" else first
        remedy = remedies.REMEDY["optimizer" if name == "addcdiv" else "div"]
        return kind, _explain_division(operation, first_nonfinite, numerator), remedy
    argument = second if name == "xlogy" else first
    if name in remedies.DOMAINS and argument is not None and not remedies.is_inside_domain(name, argument):
        low, high, _ = remedies.DOMAINS[name]
        form = ".9g" if high < math.inf else "g"  # 1.0000001 is not 1
        numbers = ", ".join(f"{number + 0.0:{form}}" for number in first_nonfinite.operands if number is not None)
        gives = "-inf" if name in remedies.LOGARITHMS and not nan else gives
        domain = f": its domain is {low:g} to {high:g}" if high < math.inf else ""
        sentence = f"{public}({numbers}) is {gives} in {amount}{domain}"
        return kind, sentence, remedies.remedy_domain(operation, name, argument)
    cause = ""
    if nan:
        cause = " of 0 and inf" if name == "mul" else " of infinities" if name in {"sub", "add", "sum"} else ""
    sentence = f"{public}{cause} returns {gives} in {amount}"
    return kind, sentence, remedies.REMEDY.get(name, "check the inputs of this line")


def _explain_division(operation: Operation, first_nonfinite: FirstNonfinite, numerator: float | None) -> str:
    cause = "0 / 0" if numerator == 0 else "a division by 0"
    if first_nonfinite.exact is not None and math.isfinite(first_nonfinite.exact):
        dtype = dtype_name(operation.dtype)
        return f"{cause} in {dtype}: the exact divisor is not 0, but it underflowed ({_format_count(first_nonfinite)})"
    return f"{cause}: the divisor is exactly 0 in {_format_count(first_nonfinite)}"


def _format_count(first_nonfinite: FirstNonfinite) -> str:
    if first_nonfinite.all_rows > 1 and first_nonfinite.all_rows != first_nonfinite.size:
        return f"{first_nonfinite.rows:,} of {first_nonfinite.all_rows:,} rows"
    noun = "entry" if first_nonfinite.size == 1 else "entries"
    return f"{first_nonfinite.count:,} of {first_nonfinite.size:,} {noun}"


# What loses digits


def _explain_digits(cause: Cause) -> Statement:
    operation, read, wrote = cause.operation, cause.read or 0.0, cause.wrote or 0.0
    dtype, name = dtype_name(operation.dtype), public_name(operation.name)
    if operation.vanished > 0.3:
        sentence = (
            f"{100 * operation.vanished:.0f} % of the results of {name} underflow to 0 in {dtype}, whose "
            f"smallest positive number is {SMALLEST[operation.dtype]:.3g}"
        )
        return AuditKind.UNDERFLOW, sentence, remedies.remedy_underflow(operation)
    kind, remedy = _classify_loss(operation, read, wrote)
    sentence = (
        f"{name} in {dtype} loses accuracy: its inputs agree with exact arithmetic to "
        f"{digits(read, operation)}, its result to {digits(wrote, operation)}"
    )
    return kind, sentence, remedy


def _classify_loss(operation: Operation, read: float, wrote: float) -> tuple[AuditKind, str]:
    name = bare(operation.name)
    if name in {"sub", "rsub", "add"} and wrote > 30 * max(read, operation.unit):
        scalar_sum = operation.shape == () and name == "add" and read > CREPT * wrote
        if scalar_sum:
            return AuditKind.ACCUMULATION, remedies.remedy_sum(operation)
        return AuditKind.CANCELLATION, remedies.remedy_cancellation(operation)
    if remedies.is_sum(operation) or name == "add":
        return AuditKind.ACCUMULATION, remedies.remedy_sum(operation)
    return AuditKind.INACCURATE, remedies.remedy_cancellation(operation)


CREPT = 0.01


def explain_stall(operations: Sequence[Operation], last: Operation) -> str:
    """Say at which term a sum in 16 bits stops growing; return an empty string if it does not."""
    sums = [
        operation.added
        for operation in operations
        if operation.line == last.line and operation.name == last.name and operation.added
    ]
    before = [0.0, *(total for _, total in sums)]
    lost = [term > 0.0 and total == was for (term, total), was in zip(sums, before, strict=False)]
    # Search backwards while at least half of the terms are lost.
    start, balance = len(lost), 0
    for index in reversed(range(len(lost))):
        balance += 1 if lost[index] else -1
        if balance >= 0 and lost[index]:
            start = index
        elif balance < 0:
            break
    if len(lost) - start < 2:
        return ""
    return f"; the sum stalls at {sums[start][1]:.5g}, from term {start + 1:,} of {len(sums):,}"


def digits(error: float, operation: Operation) -> str:
    """Return the number of correct decimal digits for a relative error."""
    return "0 digits" if error >= 0.5 else f"{-math.log10(max(error, operation.unit)):.1f} digits"
