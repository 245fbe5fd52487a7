"""From an end that is wrong back along the writers, to the operation that made it so.

What is not finite comes from the first operation that read only finite numbers. What has lost its digits comes from the
*line* over which the error grows most, growth being summed over a line's operations: a slow accumulation is then found,
which no single operation of it shows.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from harness.auditor.naming import bare
from harness.auditor.operation import Birth, Operation, Source
from harness.auditor.operator import SMALLEST_NORMAL

UPSTREAM = 0.5
"""Input error above which a pole is not blamed on the operation that hits it."""

CALM = 8
"""Input error, in unit roundoffs, below which an input counts as exact."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Who made an end wrong.

    Parameters
    ----------
    operation
        The operation.
    read, wrote
        Errors of what its line read and wrote; ``None`` where the cause is no loss of digits.
    is_data
        Whether what the step started from was not finite.
    is_emptied
        Whether results underflowed to zero, of which a later operation made what is not finite.
    then
        That later operation; of a logarithm the softmax that underflowed before it.
    """

    operation: Operation
    read: float | None = None
    wrote: float | None = None
    is_data: bool = False
    is_emptied: bool = False
    then: Operation | None = None


def blame_not_finite(operations: Sequence[Operation], operation: Operation, *, beyond_poles: bool = True) -> Cause:
    """Go back to the first operation that read finite numbers only; infinities that a mask put there are meant.

    Parameters
    ----------
    operations, operation
        All, and the one that wrote what is not finite.
    beyond_poles
        Whether a pole is blamed on what made its operands wrong, where that is known.
    """
    while True:
        sources = operation.sources
        found = (
            [s for s in sources if s.nan]
            or [s for s in sources if s.inf and not _is_meant(operations, s)]
            or [s for s in sources if math.isinf(s.error) and not s.inf]
        )
        made = [source.writer for source in found if source.writer >= 0]
        if not made:
            return _born(operations, operation, beyond_poles=beyond_poles)
        operation = operations[min(made)]


def _is_meant(operations: Sequence[Operation], source: Source) -> bool:
    return source.writer < 0 or operations[source.writer].meant


def _born(operations: Sequence[Operation], operation: Operation, *, beyond_poles: bool) -> Cause:
    sources, birth = operation.sources, operation.birth
    if any(s.writer < 0 and (s.nan or (s.inf and not operation.nan)) for s in sources):
        return Cause(operation, is_data=True)
    if birth is None or not beyond_poles:
        return Cause(operation)
    if not birth.again:
        return _blame_emptied(operation, _emptied_divisor(operations, operation, birth))
    # A pole, of operands that are none in truth: whoever made them wrong is to blame.
    wrong = [source for source in sources if source.writer >= 0 and source.worst >= UPSTREAM]
    is_finite_in_truth = birth.exact is not None and math.isfinite(birth.exact)
    emptied = _emptied(operations, operation, is_finite_in_truth=is_finite_in_truth)
    if emptied is not None and not (wrong and is_finite_in_truth):
        return _blame_emptied(operation, emptied)
    if not wrong or not is_finite_in_truth:
        return Cause(_emptied_sum(operations, operation) or operation)
    return blame_error(operations, operations[max(wrong, key=lambda source: source.worst).writer])


def _blame_emptied(operation: Operation, emptied: Operation | None) -> Cause:
    """Blame what underflowed on an earlier line; of softmax the logarithm is to blame, which log_softmax replaces."""
    if emptied is None:
        return Cause(operation)
    is_same_line = emptied.line.key == operation.line.key
    if is_same_line or bare(emptied.name) == "_softmax":
        return Cause(operation, then=emptied if bare(emptied.name) in _NEVER_ZERO else None)
    return Cause(emptied, is_emptied=True, then=operation)


_NEVER_ZERO = {"exp", "exp2", "sigmoid", "softplus", "_softmax", "cosh", "erfc"}
"""Functions whose result is zero only by underflow, or at infinity."""

_MOVES = {"index", "gather", "clone", "_to_copy", "masked_select", "index_select", "select", "cat", "neg"}


def _emptied(operations: Sequence[Operation], pole: Operation, *, is_finite_in_truth: bool) -> Operation | None:
    """Return the operation whose result underflowed to the zero at which a pole is; ``None`` if the zero is exact."""
    if pole.birth is None or 0.0 not in pole.birth.operands:
        return None
    for source in pole.sources if is_finite_in_truth else ():
        made = operations[source.writer] if source.writer >= 0 else None
        if made is not None and made.has_emptied:
            return _first_emptied(operations, made)
    for source in pole.sources:
        made = operations[source.writer] if source.writer >= 0 else None
        while made is not None and bare(made.name) in _MOVES and made.sources and made.sources[0].writer >= 0:
            made = operations[made.sources[0].writer]
        if made is not None and bare(made.name) in _NEVER_ZERO and not any(s.inf for s in made.sources):
            return made
    return None


def _emptied_divisor(operations: Sequence[Operation], operation: Operation, birth: Birth) -> Operation | None:
    """Return the operation whose results underflow, where a division by one of its subnormal results overflows."""
    divisor = birth.operands[1] if len(birth.operands) > 1 else None
    if bare(operation.name) != "div" or not divisor or abs(divisor) >= SMALLEST_NORMAL[operation.dtype]:
        return None
    written = [operations[source.writer] for source in operation.sources if source.writer >= 0]
    made = next((one for one in written if one.has_emptied), None)
    return None if made is None else _first_emptied(operations, made)


def _first_emptied(operations: Sequence[Operation], operation: Operation) -> Operation:
    while True:
        before = [operations[source.writer] for source in operation.sources if source.writer >= 0]
        made = next((one for one in before if one.has_emptied), None)
        if made is None:
            return operation
        operation = made


def _emptied_sum(operations: Sequence[Operation], operation: Operation) -> Operation | None:
    """The exponential that underflowed, where what is zero is a sum of exponentials, which never is in truth."""
    for source in operation.sources:
        summed = operations[source.writer] if source.writer >= 0 else None
        if summed is None or summed.name not in ("sum", "mean"):
            continue
        for inner in summed.sources:
            made = operations[inner.writer] if inner.writer >= 0 else None
            if made is not None and made.name.startswith("exp") and made.read_range is not None:
                return made
    return None


def blame_error(operations: Sequence[Operation], operation: Operation) -> Cause:
    """Go back along the largest error that was read, to the line over which it grows most."""
    growth: dict[tuple[tuple[str, int], bool], float] = defaultdict(float)
    steepest: dict[tuple[tuple[str, int], bool], tuple[float, Operation]] = {}
    ends: dict[tuple[tuple[str, int], bool], tuple[float, float]] = {}
    while True:
        read = max((source.worst for source in operation.sources), default=0.0)
        if math.isinf(operation.worst):
            return blame_not_finite(operations, operation)
        grown = _grown(operation, read)
        key = (operation.line.key, operation.backward)
        growth[key] += grown
        ends[key] = (read, ends.get(key, (0.0, operation.worst))[1])
        if key not in steepest or grown >= steepest[key][0]:
            steepest[key] = (grown, operation)
        worst = max(
            (source for source in operation.sources if source.writer >= 0),
            key=lambda source: source.worst,
            default=None,
        )
        if worst is None or worst.worst <= CALM * operation.unit:
            break
        operation = operations[worst.writer]
    key = max(growth, key=growth.__getitem__)
    return Cause(steepest[key][1], *ends[key])


def _grown(operation: Operation, read: float) -> float:
    """Decimal digits that are lost from what is read to what is written; where none are left, none can be lost."""
    if math.isinf(read):
        return 0.0
    return math.log10(max(min(operation.worst, 1.0), operation.unit) / max(min(read, 1.0), operation.unit))
