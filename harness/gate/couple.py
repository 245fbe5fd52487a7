"""A couple: a base and a candidate that live at the same time, and a second base beside them."""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from harness.gate.arm import Arm, ArmError, Slice, Source

SLICE_S, FEWEST_ROUNDS = 0.01, 5
"""A slice lasts so long, and has so many rounds, at least."""

ROUND_S = 50e-6
"""A round lasts at least so long: a thousand times what reading the clock costs."""

BASE, CANDIDATE, NULL, CONTROL = "base", "candidate", "null", "control"
"""The arms. The control is the second base, when it does a tenth more calls."""

FEWER, MORE = 10, 11
"""Calls a round of the base and of the positive control."""

AnswerT = TypeVar("AnswerT")


@dataclass(frozen=True)
class Plan:
    """How a case is measured in every couple.

    Parameters
    ----------
    rounds
        Rounds a slice.
    iterations
        Calls a round.
    slices
        Slices of each arm.
    """

    rounds: int
    iterations: int
    slices: int

    @classmethod
    def of(cls, warm_s: float, slices: int) -> "Plan":
        """Plan for a case with calls of so many seconds."""
        iterations = max(1, round(ROUND_S / warm_s))
        return cls(max(FEWEST_ROUNDS, round(SLICE_S / (iterations * warm_s))), iterations, slices)

    @classmethod
    def of_control(cls, warm_s: float, slices: int) -> "Plan":
        """Plan for a case to which a tenth is added."""
        return cls(max(FEWEST_ROUNDS, round(SLICE_S / (FEWER * warm_s))), FEWER, slices)

    def duration_s(self, warm_s: float) -> float:
        """Seconds that the slices of one arm take, about."""
        return self.slices * (self.rounds * self.iterations + 1) * warm_s


class Couple:
    """Processes that are alive together; see :func:`couple`.

    Parameters
    ----------
    arms
        The processes, by name of the arm.
    draw
        What the order of things is drawn from.
    """

    def __init__(self, arms: Mapping[str, Arm], draw: random.Random) -> None:
        self._arms = arms
        self._draw = draw

    def cases(self, arm: str) -> dict[str, str]:
        """Names of the cases of an arm's tree that are timed, each with its contract."""
        return self._of(arm, Arm.cases)

    def warm_s(self, case: str) -> float:
        """Seconds of a warm call in the base."""
        seconds: float = self._of(BASE, lambda arm: arm.prepare(case))
        return seconds

    def measure(self, case: str, plan: Plan) -> Mapping[str, Sequence[Slice]]:
        """Measure a case in all arms: slices in random order, equally many of each.

        Raises
        ------
        ArmError
            If it cannot be timed in one of them, which the message names first.
        """
        return self._measured(case, plan, dict.fromkeys(self._arms, plan.iterations))

    def control(self, case: str, plan: Plan) -> Mapping[str, Sequence[Slice]]:
        """Measure a case in the base, and in the second base with a tenth more calls a round."""
        measured = self._measured(case, plan, {BASE: FEWER, NULL: MORE})
        return {BASE: measured[BASE], CONTROL: measured[NULL]}

    def _measured(self, case: str, plan: Plan, iterations: Mapping[str, int]) -> dict[str, list[Slice]]:
        for name in self._shuffled(iterations):
            self._of(name, lambda arm: arm.prepare(case))
        found: dict[str, list[Slice]] = {name: [] for name in iterations}
        for name in self._shuffled([*iterations] * plan.slices):
            calls = iterations[name]
            found[name].append(self._of(name, lambda arm, calls=calls: arm.slice(plan.rounds, calls)))
        return found

    def _of(self, name: str, ask: Callable[..., AnswerT]) -> AnswerT:
        try:
            return ask(self._arms[name])
        except ArmError as error:
            raise ArmError(f"in the {name}, {error}") from error

    def _shuffled(self, names: Iterable[str]) -> list[str]:
        listed = list(names)
        return self._draw.sample(listed, len(listed))


@contextmanager
def couple(sources: Mapping[str, Source], draw: random.Random) -> Iterator[Couple]:
    """Begin one process for each source, in random order, and end them at the end."""
    arms: dict[str, Arm] = {}
    try:
        for name in draw.sample(list(sources), len(sources)):
            arms[name] = Arm(sources[name])
        yield Couple(arms, draw)
    finally:
        for arm in arms.values():
            arm.end()
