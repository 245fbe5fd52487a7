"""Suspicion and confirmation of slowdowns.

A couple of processes gives one number for each case, the logarithm of a ratio of times. Only numbers of different
couples are independent, so every interval is over couples. There are two readings of a couple. The null arm decides
which reading is sharper on this machine at this time.

A look is taken after each block of couples. A case is suspected if its lower bound exceeds the margin. It has regressed
only if the next block, which is independent of the suspicion, confirms this.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from statistics import median

import numpy as np

from harness.gate.arm import BASE, CONTROL, FEWER, MORE, NULL
from harness.record import Estimate, Slices, bounded_ratio, one_sided_reach

BLOCK = 5
"""Couples between two looks."""

MARGIN, TOLERANCE = 0.02, 0.05
"""A slowdown within the margin is none; one below the tolerance is tolerated."""


class State(StrEnum):
    """State of the comparison of a case."""

    OPEN = "open"
    """Not yet shown to be slower or to be within the tolerance."""
    FEW = "too few"
    """Fewer pairs than a verdict needs."""
    SUSPECTED = "suspected"
    """Slower, to be confirmed by fresh couples."""
    SLOWER = "slower"
    FASTER = "faster"
    UNCHANGED = "unchanged"
    VOID = "void"
    """The base differs from itself, so no statement is possible."""

    @property
    def is_settled(self) -> bool:
        """Whether further couples are of no use."""
        return self in {State.SLOWER, State.FASTER, State.UNCHANGED}


@dataclass(frozen=True)
class Margins:
    """Limits of a slowdown; 0.02 is two percent."""

    margin: float = MARGIN
    """A slowdown within it is none."""
    tolerance: float = TOLERANCE
    """A slowdown below it is tolerated."""


ArmPair = tuple[Sequence[float], Sequence[float]]
"""Fastest rounds of the slices of the base and another arm, in matching order."""

Statistic = Callable[[Sequence[float], Sequence[float]], float]
"""Makes one number of a pair: the logarithm of a ratio."""


def fastest(base_s: Sequence[float], arm_s: Sequence[float]) -> float:
    """Return the logarithm of the ratio of the fastest rounds.

    This is the sharpest reading on a quiet machine, because noise only lengthens a round. On a machine that is nearly
    always disturbed, one arm may have an undisturbed round and the other none.
    """
    assert len(base_s) == len(arm_s), "arms have equally many slices"
    return math.log(min(arm_s) / min(base_s))


def log_ratio(base_s: Sequence[float], arm_s: Sequence[float]) -> float:
    """Return the median over all turns of the logarithm of the ratio of adjacent slices.

    Another program that is nearly always running slows both slices down.
    """
    assert len(base_s) == len(arm_s), "arms have equally many slices"
    logs: list[float] = np.log(np.asarray(arm_s) / np.asarray(base_s)).tolist()
    return median(logs)


def sharper(nulls: Sequence[ArmPair]) -> Statistic:
    """Return the reading that varies less between couples when the base is compared with itself.

    The choice ignores the candidate, and considers only how numbers vary. It favors neither slower nor faster code.
    It is made when a look is taken, so that no case is decided between two looks.
    """
    complete = nulls[: len(nulls) - len(nulls) % BLOCK]
    if not complete:
        return fastest
    return min((fastest, log_ratio), key=lambda reading: float(np.std([reading(*pair) for pair in complete])))


@dataclass
class Evidence:
    """Measurements of a trial."""

    slices: list[Slices] = field(default_factory=list)
    """All slices: of every couple, case and arm."""
    failures: dict[str, str] = field(default_factory=dict)
    """Why a case could not be timed, by case."""
    unreached: list[str] = field(default_factory=list)
    """Cases for which the budget was too small."""
    enough_s: float = 0.0
    """The budget that had reached the quickest case, where none was reached; else 0."""
    startup_s: float = 0.0
    """Seconds of the budget that passed before the first pair."""
    control: str | None = None
    """The case that was the positive control."""
    duration_s: float = 0.0
    """Seconds of the whole trial."""

    def log_ratios(self, case: str, arm: str) -> list[float]:
        """Return the numbers of a case in an arm, one a couple, in the order of the couples.

        The reading is the sharpest one for the null arm of the case. The control has rounds of another length, so its
        own pairs choose its reading.
        """
        read = sharper(self._list_pairs(case, CONTROL if arm == CONTROL else NULL))
        return [read(*pair) for pair in self._list_pairs(case, arm)]

    def _list_pairs(self, case: str, arm: str) -> list[ArmPair]:
        """Return the base's slices and an arm's, one pair a couple.

        The control is compared with slices of the base from the same turns, which have fewer calls per round.
        """
        of_case = [slices for slices in self.slices if slices.case == case]
        bases = {(slices.couple, slices.iterations): slices for slices in of_case if slices.arm == BASE}
        of_arm = [slices for slices in of_case if slices.arm == arm]
        calls = [slices.iterations // MORE * FEWER if arm == CONTROL else slices.iterations for slices in of_arm]
        return [
            (bases[slices.couple, fewer].minima_s, slices.minima_s) for slices, fewer in zip(of_arm, calls, strict=True)
        ]


def visible(error: float, couples: int, margin: float) -> float | None:
    """Return the smallest slowdown that would have been suspected with a probability of about 95 %; ``None`` if none.

    The mean has to exceed the margin by the bound's reach, and does so 19 times of 20 where the truth exceeds it by
    twice the reach.
    """
    reach = one_sided_reach(error, couples)
    return math.expm1(math.log1p(margin) + 2.0 * reach) if math.isfinite(reach) else None


def is_slower(log_ratios: Sequence[float], margin: float) -> bool:
    """Whether the lower bound exceeds the margin."""
    return len(log_ratios) > 1 and bounded_ratio(log_ratios).low > 1.0 + margin


def is_void(nulls: Sequence[float], margin: float) -> bool:
    """Whether the base, measured against itself, is beyond the margin on either side."""
    if len(nulls) < 2:
        return False
    null = bounded_ratio(nulls)
    return null.low > 1.0 + margin or null.high < 1.0 / (1.0 + margin)


def seems_slower(log_ratios: Sequence[float], nulls: Sequence[float], margin: float) -> bool:
    """Whether the whole interval lies beyond the margin, even if the pairs are too few for a verdict.

    If the second base also differs from the base, the candidate must be slower than both. Otherwise, the difference
    may be between processes, and not between the two versions of the code.
    """
    if not is_slower(log_ratios, margin):
        return False
    differences = [ours - null for ours, null in zip(log_ratios, nulls, strict=False)]
    return not is_void(nulls, margin) or is_slower(differences, margin)


def state(log_ratios: Sequence[float], nulls: Sequence[float], margins: Margins) -> State:
    """Return the state of a case after some couples, by repeating all looks."""
    suspected, reached = False, State.OPEN
    for end in range(BLOCK, len(log_ratios) + 1, BLOCK):
        if suspected and is_slower(log_ratios[end - BLOCK : end], margins.margin):
            reached = State.SLOWER
            break
        slowdown = bounded_ratio(log_ratios[:end])
        suspected = slowdown.low > 1.0 + margins.margin
        reached = State.SUSPECTED if suspected else _judge_unsuspected(slowdown, margins)
        if reached.is_settled:
            break
    if reached is State.OPEN and is_slower(log_ratios, margins.margin):
        reached = State.SUSPECTED
    if reached is State.OPEN and len(log_ratios) < BLOCK:
        return State.FEW
    return State.VOID if reached is not State.OPEN and is_void(nulls, margins.margin) else reached


def _judge_unsuspected(slowdown: Estimate, margins: Margins) -> State:
    if slowdown.high < 1.0 / (1.0 + margins.margin):
        return State.FASTER
    return State.UNCHANGED if slowdown.high < 1.0 + margins.tolerance else State.OPEN
