"""Check whether a wider format is a remedy: the same code in float32, with one rounding at the end.

In 16 bits, squares overflow, small constants vanish, and rounding errors add up. If the law holds with float32 inputs,
this is one cause.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from harness.calling.adapter import NotApplicable
from harness.floats import FORMATS
from harness.laws.case_error import CaseError
from harness.laws.law import Example
from harness.verdict.draw import Deadline, first_failing
from harness.verdict.job import Job
from harness.verdict.trial import Trials

EXAMPLES = 16
"""Examples drawn in addition to the failing one: an overflow at 12 disappears in float32, but one at 100 remains."""

_OF_NUMBERS = {"value", "finite", "algebra", "special", "length", "gradient"}
"""Groups of laws about results; a copy in another dtype hides the side effects of a call."""


def is_mended_wider(job: Job, example: Example, *, seed: int, deadline: Deadline) -> bool:
    """Return whether a law that is broken in 16 bits holds if the same code computes in float32 and rounds once.

    Parameters
    ----------
    job
        The law, for a case in a dtype.
    example
        An example that breaks it.
    seed, deadline
        Seed and deadline for further examples.
    """
    if job.format.precision >= FORMATS["float32"].precision or job.law.intermittent or job.law.group not in _OF_NUMBERS:
        return False
    narrow = job.format.dtype

    def widened(inputs: Sequence[Any]) -> list[Any]:
        return [x.float() if isinstance(x, Tensor) and x.dtype is narrow else x for x in inputs]

    def rounded(output: Any) -> Any:
        return output.to(narrow) if isinstance(output, Tensor) and output.dtype is torch.float32 else output

    trials = Trials(job, job.subject.arranged(widened, rounded))
    try:
        return first_failing(trials, (example,), examples=EXAMPLES, seed=seed, deadline=deadline) is None
    except (CaseError, NotApplicable):
        # Without a result in float32 it is no remedy.
        return False
