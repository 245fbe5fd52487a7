"""Drawing: examples of a law, those that were found before first, until one breaks it or time is up."""

import contextlib
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import hypothesis
from hypothesis import HealthCheck, Phase, Verbosity, given, settings

from harness.calling.adapter import NotApplicable
from harness.laws.law import Example
from harness.laws.subject import CaseError
from harness.verdict.reproducible import reproducible
from harness.verdict.trial import Trials


@dataclass(frozen=True)
class Deadline:
    """Until when to search."""

    end: float

    @property
    def is_up(self) -> bool:
        """Whether it is later."""
        return time.perf_counter() > self.end


class _End(BaseException):
    """The end of the draws: an example that fails, trouble, or neither where time is up.

    No ``Exception``, since Hypothesis would run one of those again, and spell its example out for nobody to read.
    """

    def __init__(self, failing: Example | None = None, trouble: CaseError | NotApplicable | None = None) -> None:
        self.failing, self.trouble = failing, trouble


FURTHER = 8
"""Examples that are drawn after one has failed, to see how bad it gets."""


def first_failing(
    trials: Trials, remembered: Iterable[Example], *, examples: int, seed: int, deadline: Deadline
) -> Example | None:
    """Replay what was found before, then draw, until the law breaks on both tiers of the oracle or time is up.

    Parameters
    ----------
    trials
        The law, on a subject.
    remembered
        What was found before.
    examples
        Examples to draw.
    seed
        Seed of the draws.
    deadline
        Until when; at least one row is looked at.

    Returns
    -------
    example
        One that fails; ``None`` where none was found.

    Raises
    ------
    CaseError, NotApplicable
        If the implementation does not answer.
    """
    for example in remembered:
        if deadline.is_up and trials.census.rows:
            trials.census.cut_short = True
            return None
        if (failing := trials.failing(example)) is not None:
            return failing

    def look(example: Example) -> None:
        if deadline.is_up and trials.census.rows:
            trials.census.cut_short = True
            raise _End
        try:
            failing = trials.failing(example)
        except (CaseError, NotApplicable) as trouble:
            raise _End(trouble=trouble) from trouble
        if failing is not None:
            raise _End(failing)

    try:
        _draw(trials, look, examples=examples, seed=seed)
    except _End as end:
        if end.trouble is not None:
            raise end.trouble from None
        return end.failing
    return None


def worst_beside(trials: Trials, failing: Example, *, examples: int, seed: int, deadline: Deadline) -> Example:
    """Draw further examples, and return the failing row that deviates most: an unconfirmed find of the screen.

    Parameters
    ----------
    trials
        The law, on a subject; what is drawn here is not part of its census, which is about what led to the verdict.
    failing
        A row that fails.
    examples
        How many to draw.
    seed
        Seed of the draws.
    deadline
        Until when.
    """
    worst, ratio = failing, trials.measure(failing).most_severe

    def look(example: Example) -> None:
        nonlocal worst, ratio
        if deadline.is_up or math.isinf(ratio):
            raise _End
        try:
            row, of_row = trials.worst_row(example)
        except (CaseError, NotApplicable) as trouble:
            # The law is broken, whatever else the implementation does.
            raise _End from trouble
        if of_row > ratio:
            worst, ratio = row, of_row

    with contextlib.suppress(_End):
        # Other draws than those that led to the failing one.
        _draw(trials, look, examples=examples, seed=seed + 1)
    return worst


def _draw(trials: Trials, look: Callable[[Example], None], *, examples: int, seed: int) -> None:
    """Show some examples of the law to ``look``, which ends the draws by raising what is no ``Exception``."""

    @hypothesis.seed(seed)
    @settings(
        max_examples=examples,
        phases=(Phase.generate,),
        database=None,
        deadline=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
    )
    @given(trials.job.inputs(trials.job.format))
    def draw(example: Example) -> None:
        look(example)

    with reproducible():
        draw()
