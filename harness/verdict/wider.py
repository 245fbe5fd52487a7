"""What a wider format mends: the same code, computed in float32 and rounded once at its end.

A format of 16 bits is left in many ways: squares overflow, a small constant vanishes, roundings add up. Where the law
holds as soon as the code is given float32, that is one cause, and it is tried rather than guessed.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from harness.calling.adapter import NotApplicable
from harness.floats import FORMATS
from harness.laws.law import Example
from harness.laws.subject import CaseError
from harness.verdict.draw import Deadline, first_failing
from harness.verdict.job import Job
from harness.verdict.trial import Trials

EXAMPLES = 16
"""Examples drawn in addition to the failing one: an overflow at 12 disappears in float32, but one at 100 remains."""

_OF_NUMBERS = {"value", "finite", "algebra", "special", "length", "gradient"}
"""Groups of laws about results; a copy in another dtype hides the side effects of a call."""


def is_mended_wider(job: Job, example: Example, *, seed: int, deadline: Deadline) -> bool:
    """Whether a law that is broken in 16 bits holds where the same code computes in float32 and rounds once.

    Parameters
    ----------
    job
        The law, of a case in a dtype.
    example
        One that breaks it.
    seed, deadline
        Of the examples that are drawn beside it, and until when.
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
        # What does not answer in float32 is not mended by it.
        return False
