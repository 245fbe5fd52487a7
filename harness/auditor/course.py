"""How the error grows along a step: from line to line, in the order in which their operations were carried out."""

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
    """Yield the stretches of a step, each with the largest error of what its operations gave.

    Parameters
    ----------
    watching
        An audit with shadows, when the step is done.
    """
    stretches = groupby(watching.operations, key=lambda operation: (operation.line, operation.backward))
    for (line, backward), operations in islice(stretches, MOST):
        worst = max(operations, key=lambda operation: operation.worst)
        at = {name: value for name, value in place(line).items() if name != "caller"}
        is_finite = math.isfinite(worst.worst) and not worst.nan
        error = worst.worst if is_finite else None
        yield Stretch(**at, backward=backward, operation=known_as(worst.name), error=error)
