"""Draw examples of a law, known counterexamples first, until one breaks it or the time is up."""

import contextlib
import random
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from harness.calling.adapter import NotApplicable
from harness.laws.case_error import CaseError
from harness.laws.law import Example
from harness.verdict.example_pool import Drawn, digest_of, drawn
from harness.verdict.trial import Trials


@dataclass(frozen=True)
class Deadline:
    """The end of a search."""

    end: float

    @property
    def is_up(self) -> bool:
        """Whether the deadline has passed."""
        return time.perf_counter() > self.end


FURTHER = 8
"""Examples that are drawn after one has failed, to see how bad it gets."""


def first_failing(
    trials: Trials, remembered: Iterable[Example], *, examples: int, seed: int, deadline: Deadline
) -> Example | None:
    """Replay known counterexamples, then draw, until both tiers of the oracle see a violation or the time is up.

    Parameters
    ----------
    trials
        The law, on a subject.
    remembered
        Known counterexamples.
    examples
        Number of examples to draw.
    seed
        Seed of the examples.
    deadline
        Deadline; at least one row is tried.

    Returns
    -------
    example
        An example that fails; ``None`` without one.

    Raises
    ------
    CaseError, NotApplicable
        If the implementation does not return a result.
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
    """Draw further examples, and return failing rows without confirmation.

    Parameters
    ----------
    trials
        The law, on a subject; these examples do not count in its census.
    failing
        A row that fails.
    examples
        Number of examples to draw; may be zero.
    seed
        Seed of the examples.
    deadline
        Deadline.
    unlike
        Whether to return several rows of an example; see :meth:`~harness.verdict.trial.Trials.failing_rows`.

    Returns
    -------
    The rows with their severity, the worst first.
    """
    rows = [(failing, trials.measure(failing).most_severe)]
    # The law is broken, whatever else the implementation does.
    with contextlib.suppress(CaseError, NotApplicable):
        # Use another seed than for the failing example.
        for example, _ in _drawn(trials, examples=examples, seed=seed + 1) if examples else ():
            if deadline.is_up:
                break
            rows += trials.failing_rows(example, unlike=unlike)
    return sorted(rows, key=lambda row: -row[1])


def _drawn(trials: Trials, *, examples: int, seed: int) -> Iterator[Drawn]:
    """Yield examples of the law; before each, reset the global random generators."""
    before = random.getstate(), np.random.get_state()  # noqa: NPY002 - the global generator is what is meant
    try:
        for one in drawn(trials.job.inputs, trials.job.format, examples=examples, seed=seed):
            random.seed(0)
            np.random.seed(0)  # noqa: NPY002
            trials.subject.host.begin_alike()
            yield one
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
