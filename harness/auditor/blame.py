"""Trace a wrong loss, gradient, update, buffer or output back to the operation that caused it.

The cause of a NaN or infinity is the first operation whose inputs were finite. The cause of lost digits is the *line*
over which the error grows most. The growth is summed over the operations of a line, so that a slow accumulation is
found too.
"""

import math
from collections import defaultdict
from dataclasses import dataclass

from harness.auditor.operation import PICKS, UPSTREAM, FirstNonfinite, Operation, bare
from harness.exact.tape import SMALLEST_NORMAL

CALM = 8
"""Input error, in unit roundoffs, below which an input counts as exact."""


@dataclass(frozen=True, slots=True)
class Cause:
    """The operation that caused an error.

    Parameters
    ----------
    operation
        The operation.
    read, wrote
        Input and output error of its line; ``None`` if the cause is not a loss of digits.
    is_data
        Whether the step started from a NaN or infinity.
    is_emptied
        Whether results underflowed to zero, so that a later operation was not finite.
    is_residue
        Whether a result is only the rounding error of a difference, so that a later operation is NaN.
    then
        That later operation. If neither is true, the operation whose underflow preceded this one.
    """

    operation: Operation
    read: float | None = None
    wrote: float | None = None
    is_data: bool = False
    is_emptied: bool = False
    is_residue: bool = False
    then: Operation | None = None


def blame_not_finite(operation: Operation, *, beyond_poles: bool = True) -> Cause:
    """Return the first operation that had finite inputs; infinities of a mask count as finite.

    With ``beyond_poles``, a pole is blamed on the operation whose result was wrong there.
    """
    while True:
        sources = operation.sources
        worst_sources = (
            [s for s in sources if s.nan]
            or [s for s in sources if s.inf and not (s.writer is None or s.writer.meant)]
            or [s for s in sources if math.isinf(s.error) and not s.inf]
        )
        writers = [source.writer for source in worst_sources if source.writer is not None]
        if not writers:
            return _find_origin(operation, beyond_poles=beyond_poles)
        operation = min(writers, key=lambda writer: writer.number)


def _find_origin(operation: Operation, *, beyond_poles: bool) -> Cause:
    sources, first_nonfinite = operation.sources, operation.first_nonfinite
    if any(s.writer is None and (s.nan or (s.inf and not operation.nan)) for s in sources):
        return Cause(operation, is_data=True)
    if first_nonfinite is None or not beyond_poles:
        return Cause(operation)
    if not first_nonfinite.again:
        return _blame_underflow(operation, _find_emptied_divisor(operation, first_nonfinite))
    # The exact operands have no pole: blame the operation that made them wrong.
    worst = operation.worst_source
    wrong = worst is not None and worst.worst >= UPSTREAM and not first_nonfinite.has_right_operands
    is_finite_in_truth = first_nonfinite.exact is not None and math.isfinite(first_nonfinite.exact)
    underflowed = _find_underflow(operation, is_finite_in_truth=is_finite_in_truth)
    if underflowed is not None and not (wrong and is_finite_in_truth):
        return _blame_underflow(operation, underflowed)
    residue = _find_residue(operation, first_nonfinite)
    if residue is not None:
        return Cause(residue, is_residue=True, then=operation)
    if worst is None or worst.writer is None or not wrong or not is_finite_in_truth:
        return Cause(_find_emptied_sum(operation) or operation)
    return blame_error(worst.writer)


def _blame_underflow(operation: Operation, underflowed: Operation | None) -> Cause:
    """Blame an underflow on an earlier line; after a softmax blame the logarithm, because log_softmax replaces it."""
    if underflowed is None:
        return Cause(operation)
    is_same_line = underflowed.line.key == operation.line.key
    if is_same_line or bare(underflowed.name) == "_softmax":
        return Cause(operation, then=underflowed if bare(underflowed.name) in _NEVER_ZERO else None)
    return Cause(underflowed, is_emptied=True, then=operation)


_NEVER_ZERO = {"exp", "exp2", "sigmoid", "softplus", "_softmax", "cosh", "erfc"}
"""Functions whose result is zero only by underflow, or at infinity."""


def _find_underflow(pole: Operation, *, is_finite_in_truth: bool) -> Operation | None:
    """Return the operation whose result underflowed to the zero at which there is a pole; ``None`` if there is none."""
    if pole.first_nonfinite is None or 0.0 not in pole.first_nonfinite.operands or not pole.sources:
        return None
    places = [place for place, operand in enumerate(pole.first_nonfinite.operands) if operand == 0.0]
    writer = pole.sources[min(places[-1], len(pole.sources) - 1)].writer
    if writer is None or (is_finite_in_truth and writer.has_emptied):
        return writer and _find_first_underflow(writer)
    computed = writer.origin
    has_underflowed = bare(computed.name) in _NEVER_ZERO and computed.least <= 0.0
    return computed if has_underflowed and not any(source.inf for source in computed.sources) else None


def _find_residue(operation: Operation, first_nonfinite: FirstNonfinite) -> Operation | None:
    """Return the difference whose rounding error is the negative argument of a logarithm, a root or a power."""
    argument = next(iter(first_nonfinite.operands), None) or 0.0
    writer = operation.sources[0].writer if operation.sources else None
    if operation.backward or bare(operation.name) not in _NEEDS_POSITIVE or writer is None or argument >= 0.0:
        return None
    largest = max((source.largest for source in writer.origin.sources), default=0.0)
    is_rounding = bare(writer.origin.name) in {"sub", "rsub", "add"} and -argument <= CALM * writer.unit * largest
    return writer.origin if is_rounding else None


_NEEDS_POSITIVE = {"log", "log2", "log10", "sqrt", "rsqrt", "pow"}


def _find_emptied_divisor(operation: Operation, first_nonfinite: FirstNonfinite) -> Operation | None:
    """Return the operation that underflows, if a division by a subnormal result of it overflows."""
    divisor = first_nonfinite.operands[1] if len(first_nonfinite.operands) > 1 else None
    if bare(operation.name) != "div" or not divisor or abs(divisor) >= SMALLEST_NORMAL[operation.dtype]:
        return None
    underflow = next((writer for writer in operation.writers if writer.has_emptied), None)
    return None if underflow is None else _find_first_underflow(underflow)


def _find_first_underflow(operation: Operation) -> Operation:
    while True:
        underflow = next((writer for writer in operation.writers if writer.has_emptied), None)
        if underflow is None:
            return operation
        operation = underflow


def _find_emptied_sum(operation: Operation) -> Operation | None:
    """Return the exponential that underflowed, if the zero is a sum of exponentials, which is always positive."""
    sums = [writer for writer in operation.writers if writer.name in ("sum", "mean")]
    terms = [term for summed in sums for term in summed.writers]
    exponentials = [term for term in terms if term.name.startswith("exp") and term.read_range is not None]
    return next((exponential for exponential in exponentials if exponential.least <= 0.0), None)


def blame_error(operation: Operation) -> Cause:
    """Follow the largest input error back, and return the line over which the error grows most."""
    growth: dict[tuple[tuple[str, int], bool], float] = defaultdict(float)
    steepest: dict[tuple[tuple[str, int], bool], tuple[float, Operation]] = {}
    ends: dict[tuple[tuple[str, int], bool], tuple[float, float]] = {}
    picked = 0.0  # error of elements that were picked from a tensor, whose other elements may be right
    while True:
        read = max((source.worst for source in operation.sources), default=0.0)
        if math.isinf(operation.worst):
            return blame_not_finite(operation)
        worst, wrote = operation.worst_source, max(operation.worst, picked)
        picks = bare(operation.name) in PICKS and worst is not None
        picked = wrote if picks else 0.0
        if not picks:
            grown = _count_lost_digits(operation, read, wrote)
            key = (operation.line.key, operation.backward)
            growth[key] += grown
            ends[key] = (read, ends.get(key, (0.0, wrote))[1])
            if key not in steepest or grown >= steepest[key][0]:
                steepest[key] = (grown, operation)
        if worst is None or worst.writer is None or max(worst.worst, picked) <= CALM * operation.unit:
            break
        operation = worst.writer
    key = max(growth, key=growth.__getitem__)
    return Cause(steepest[key][1], *ends[key])


def _count_lost_digits(operation: Operation, read: float, wrote: float) -> float:
    """Return the number of decimal digits lost between input and output."""
    if math.isinf(read):
        return 0.0
    return math.log10(max(min(wrote, 1.0), operation.unit) / max(min(read, 1.0), operation.unit))
