"""A couple: a base, a candidate and a second base that live at the same time."""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from harness.gate.arm import ArmError, ArmProcess, CaseSource, SliceTimes
from harness.timing.clock import ROUND_S

SLICE_S, FEWEST_ROUNDS = 0.01, 5
"""Minimum duration and number of rounds of a slice."""

BASE, CANDIDATE, NULL, CONTROL = "base", "candidate", "null", "control"
"""The arms. The control is the second base, when it does a tenth more calls."""

FEWER, MORE = 10, 11
"""Numbers of calls of the base and the positive control, which does a tenth more work."""

AnswerT = TypeVar("AnswerT")


@dataclass(frozen=True)
class SlicePlan:
    """Plan of the measurement of a case in every couple.

    Parameters
    ----------
    rounds
        Rounds a slice.
    iterations
        Calls a round.
    """

    rounds: int
    iterations: int

    @classmethod
    def of(cls, warm_s: float) -> "SlicePlan":
        """Plan for a case, given the seconds of a warm call."""
        iterations = max(1, round(ROUND_S / warm_s))
        return cls(max(FEWEST_ROUNDS, round(SLICE_S / (iterations * warm_s))), iterations)

    @classmethod
    def of_control(cls, warm_s: float) -> "SlicePlan":
        """Plan for a case to which a tenth is added: rounds as short as that allows.

        It has another number of calls than the case's own slices, which distinguishes them.
        """
        tens = max(1, round(ROUND_S / (FEWER * warm_s)))
        iterations = FEWER * (tens + 1 if FEWER * tens == cls.of(warm_s).iterations else tens)
        return cls(max(FEWEST_ROUNDS, round(SLICE_S / (iterations * warm_s))), iterations)

    @property
    def more(self) -> int:
        """Calls a round with a tenth added."""
        return self.iterations // FEWER * MORE

    def duration_s(self, warm_s: float) -> float:
        """Seconds of a slice, about."""
        return (self.rounds * self.iterations + 1) * warm_s


class Couple:
    """Processes that are alive together; see :func:`couple`.

    Parameters
    ----------
    arms
        The processes, by name of the arm.
    draw
        Generator for the order of measurements.
    """

    def __init__(self, arms: Mapping[str, ArmProcess], draw: random.Random) -> None:
        self._arms = arms
        self._draw = draw

    def cases(self, arm: str) -> dict[str, str]:
        """Names of the cases of an arm's tree that are timed, each with its contract."""
        return self._of(arm, ArmProcess.cases)

    def warm_s(self, case: str) -> float:
        """Seconds of a warm call in the base."""
        seconds: float = self._of(BASE, lambda arm: arm.prepare(case))
        return seconds

    def prepare(self, case: str) -> None:
        """Make a case ready in all arms.

        Raises
        ------
        ArmError
            If an arm cannot; the message names it first.
        """
        for name in self._shuffled(self._arms):
            self._of(name, lambda arm: arm.prepare(case))

    def turn(self, case: str, plan: SlicePlan) -> dict[str, SliceTimes]:
        """Measure one slice of a case in every arm, in random order.

        Raises
        ------
        ArmError
            If it cannot be timed in an arm; the message names the arm first.
        """
        return self._measured(case, plan, dict.fromkeys(self._arms, plan.iterations))

    def control(self, case: str, plan: SlicePlan) -> dict[str, SliceTimes]:
        """Measure one slice of a case in the base, and one in the second base with a tenth more calls a round."""
        measured = self._measured(case, plan, {BASE: plan.iterations, NULL: plan.more})
        return {BASE: measured[BASE], CONTROL: measured[NULL]}

    def _measured(self, case: str, plan: SlicePlan, iterations: Mapping[str, int]) -> dict[str, SliceTimes]:
        return {
            name: self._of(name, lambda arm, calls=iterations[name]: arm.slice(case, plan.rounds, calls))
            for name in self._shuffled(iterations)
        }

    def _of(self, name: str, ask: Callable[..., AnswerT]) -> AnswerT:
        try:
            return ask(self._arms[name])
        except ArmError as error:
            raise ArmError(f"in the {name}, {error}") from error

    def _shuffled(self, names: Iterable[str]) -> list[str]:
        listed = list(names)
        return self._draw.sample(listed, len(listed))


@contextmanager
def couple(sources: Mapping[str, CaseSource], draw: random.Random) -> Iterator[Couple]:
    """Begin one process for each source, in random order, and end them at the end."""
    arms: dict[str, ArmProcess] = {}
    try:
        for name in draw.sample(list(sources), len(sources)):
            arms[name] = ArmProcess(sources[name])
        yield Couple(arms, draw)
    finally:
        for arm in arms.values():
            arm.end()
