"""From an end that is wrong back along the writers, to the operation that made it so.

What is not finite comes from the first operation that read only finite numbers. What has lost its digits comes from the
*line* over which the error grows most, growth being summed over a line's operations: a slow accumulation is then found,
which no single operation of it shows.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from harness.auditor.operation import Operation, Source

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
    """

    operation: Operation
    read: float | None = None
    wrote: float | None = None
    is_data: bool = False


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
    if birth is None or not birth.again or not beyond_poles:
        return Cause(operation)
    # A pole, of operands that are none in truth: whoever made them wrong is to blame.
    wrong = [source for source in sources if source.writer >= 0 and source.worst >= UPSTREAM]
    is_finite_in_truth = birth.exact is not None and math.isfinite(birth.exact)
    if not wrong or not is_finite_in_truth:
        return Cause(_emptied_sum(operations, operation) or operation)
    return blame_error(operations, operations[max(wrong, key=lambda source: source.worst).writer])


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
