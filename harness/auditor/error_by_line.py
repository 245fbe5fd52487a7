"""Growth of the error along a step, in execution order."""

import math
from collections.abc import Iterator
from itertools import groupby, islice

from harness.auditor.line import place
from harness.auditor.naming import known_as
from harness.auditor.watching import Watching
from harness.record.audit import Stretch

MOST = 200
"""Maximum number of recorded stretches; later ones appear only in findings."""


def errors_along(watching: Watching) -> Iterator[Stretch]:
    """Yield consecutive operations of a line, with their largest error."""
    stretches = groupby(watching.operations, key=lambda operation: (operation.line, operation.backward))
    for (line, backward), operations in islice(stretches, MOST):
        worst = max(operations, key=lambda operation: operation.worst)
        at = {name: value for name, value in place(line).items() if name != "caller"}
        is_finite = math.isfinite(worst.worst) and not worst.nan
        error = worst.worst if is_finite else None
        yield Stretch(**at, backward=backward, operation=known_as(worst.name), error=error)
