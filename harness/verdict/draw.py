"""Drawing: examples of a law, those that were found before first, until one breaks it or time is up."""

import contextlib
import random
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from harness.calling.adapter import NotApplicable
from harness.laws.law import Example
from harness.laws.subject import CaseError
from harness.verdict.drawn import Drawn, digest_of, drawn
from harness.verdict.trial import Trials


@dataclass(frozen=True)
class Deadline:
    """Until when to search."""

    end: float

    @property
    def is_up(self) -> bool:
        """Whether it is later."""
        return time.perf_counter() > self.end


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
        trials.census.digests.append(digest_of(example))
        if (failing := trials.failing(example)) is not None:
            return failing

    for example, digest in _drawn(trials, examples=examples, seed=seed):
        if deadline.is_up and trials.census.rows:
            trials.census.cut_short = True
            return None
        trials.census.digests.append(digest)
        if (failing := trials.failing(example)) is not None:
            return failing
    return None


def failing_rows(
    trials: Trials, failing: Example, *, examples: int, seed: int, deadline: Deadline, unlike: bool = False
) -> list[tuple[Example, float]]:
    """Draw further examples, and return failing rows: unconfirmed finds of the screen.

    Parameters
    ----------
    trials
        The law, on a subject; what is drawn here is not part of its census, which is about what led to the verdict.
    failing
        A row that fails.
    examples
        How many to draw; there may be none.
    seed
        Seed of the draws.
    deadline
        Until when.
    unlike
        Whether there are several of an example, as :meth:`~harness.verdict.trial.Trials.failing_rows` has them.

    Returns
    -------
    The one first that deviates most.
    """
    rows = [(failing, trials.measure(failing).most_severe)]
    # The law is broken, whatever else the implementation does.
    with contextlib.suppress(CaseError, NotApplicable):
        # Other draws than those that led to the failing one.
        for example, _ in _drawn(trials, examples=examples, seed=seed + 1) if examples else ():
            if deadline.is_up:
                break
            rows += trials.failing_rows(example, unlike=unlike)
    return sorted(rows, key=lambda row: -row[1])


def _drawn(trials: Trials, *, examples: int, seed: int) -> Iterator[Drawn]:
    """Yield examples of the law; on each, who draws random numbers without a generator of his own begins alike."""
    before = random.getstate(), np.random.get_state()  # noqa: NPY002 - the global generator is what is meant
    try:
        for one in drawn(trials.job.inputs, trials.job.format, examples=examples, seed=seed):
            random.seed(0)
            np.random.seed(0)  # noqa: NPY002
            trials.subject.surroundings.begin_alike()
            yield one
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
