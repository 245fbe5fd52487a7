"""Finding a near-best configuration with few measurements. Pure: what measures is an argument, and so is the seed.

Short slices of all contenders are interleaved in random order, so that what drifts on the machine drifts for all; after
each round the slower half leaves, and at once whatever is dominated. Rates are not unimodal in the number of workers:
one worker is often worse than none where two are better. So none is compared with as many as there are cores, and the
numbers between and beyond are looked at where workers are worth it. The two leaders are measured in couples until the
interval of their ratio parts them or calls them equal, and of equals the one with the fewest workers, then the least
memory, is taken. Where the step's time is known, the first that keeps ahead of it ends the search.
"""

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum

from harness.loading.configuration import PREFETCH
from harness.record import Estimate, Method, geometric_mean, mean_ratio
from harness.tuner.configuration import Choice

KEEPS_AHEAD = 0.8
"""Workers keep ahead where a batch takes at most this share of a step: reading is slightly faster than processing."""

KEEPS_AHEAD_ALONE = 0.25
"""Without workers the step waits while a batch is made: a fifth of the time where that takes a quarter of a step."""


@dataclass(frozen=True)
class Measured:
    """One short measurement of a configuration that is warm.

    Parameters
    ----------
    samples
        Samples delivered; 1 or more.
    seconds
        In how many seconds.
    spent_s
        Seconds that it took in all, starting and warming up included.
    """

    samples: int
    seconds: float
    spent_s: float

    @property
    def rate(self) -> float:
        """Samples a second."""
        return self.samples / self.seconds


Measure = Callable[[Choice, float], Measured]
"""Function that measures a configuration for about the given number of seconds."""


class Reason(StrEnum):
    """Why the search ended."""

    PARTED = "it is faster than the second: the confidence interval of their ratio excludes 1"
    TIED = "it ties with the second, and uses fewer workers or less memory"
    KEEPS_AHEAD = "it keeps up with the step: a faster loader gains nothing"
    UNDECIDED = "the measurements do not separate it from the second; it is faster on average"
    ALONE = "no other configuration is nearly as fast"
    BUDGET = "the time limit was reached"
    GOING_ON = "the search is still running"


@dataclass(frozen=True)
class LoaderSearchSettings:
    """How the search goes about it.

    Parameters
    ----------
    cores
        Workers that may be at work at once: the cores, or more where they wait.
    budget_s
        Seconds after which it ends with the best so far; none where absent.
    slice_s
        Seconds of a slice in the first round; later rounds have longer ones.
    passes
        Slices of each contender a round, in passes over all of them.
    dominated
        What has less than this share of the leader's rate leaves at once.
    tie
        Two configurations are equal where the interval of their ratio lies within 1 -+ this.
    couples
        Fewest and most couples of slices of the two leaders.
    step_s
        Seconds of a training step by batch size, where known.
    seed
        Seed of the order of slices.
    """

    cores: int
    budget_s: float | None = None
    slice_s: float = 0.1
    passes: int = 2
    dominated: float = 0.55
    tie: float = 0.03
    couples: tuple[int, int] = (3, 6)
    step_s: Mapping[int, float] = field(default_factory=dict)
    seed: int = 0


@dataclass(frozen=True)
class SearchState:
    """What is known so far.

    Parameters
    ----------
    best
        The configuration to take.
    rate
        Its samples a second.
    second
        The one it was last compared with; ``None`` where there is none.
    lead
        Its rate to the second's, from couples of slices; ``None`` where they were not coupled.
    reason
        Why the search ended, or that it goes on.
    rates
        Samples a second of everything measured.
    spent_s
        Seconds so far.
    slices
        Slices so far.
    """

    best: Choice
    rate: Estimate
    second: Choice | None
    lead: Estimate | None
    reason: Reason
    rates: Mapping[Choice, Estimate]
    spent_s: float
    slices: int


class _SearchEnd(Exception):  # noqa: N818 - a signal, not an error
    """The time bound was reached, or loading keeps ahead."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


class LoaderSearch:
    """One search; :meth:`run` measures, :meth:`standing` says at any moment what is best so far.

    Parameters
    ----------
    grid
        The configurations there are to choose from; at least one.
    measure
        Measures one.
    settings
        How to go about it.
    """

    def __init__(self, grid: Sequence[Choice], measure: Measure, settings: LoaderSearchSettings) -> None:
        self.grid = tuple(grid)
        self.settings = settings
        self._measure = measure
        self._random = random.Random(settings.seed)  # noqa: S311 - an order, no secret
        self._slices: dict[Choice, list[Measured]] = {}
        self._leaders: tuple[Choice, ...] = ()
        self._lead: Estimate | None = None
        self._reason = Reason.GOING_ON

    @property
    def spent_s(self) -> float:
        """Seconds so far."""
        return math.fsum(measured.spent_s for slices in self._slices.values() for measured in slices)

    def run(self) -> Iterator[SearchState]:
        """Measure slice by slice and yield what is known after each; the last one is the answer."""
        try:
            for _ in self._course():
                yield self.standing()
        except _SearchEnd as over:
            self._reason = over.reason
        yield self.standing()

    def standing(self) -> SearchState:
        """What is known so far; something was measured."""
        rates = {choice: geometric_mean(_rates(slices)) for choice, slices in self._slices.items()}
        leaders = self._leaders or tuple(sorted(rates, key=lambda choice: -rates[choice].point))
        best, second = leaders[0], leaders[1] if len(leaders) > 1 else None
        slices = sum(map(len, self._slices.values()))
        return SearchState(best, rates[best], second, self._lead, self._reason, rates, self.spent_s, slices)

    def _course(self) -> Iterator[None]:
        """The whole search: the frame, what lies around its leader, the couples."""
        fresh = self._frame()
        while fresh:
            if self.settings.step_s:
                yield from self._cheapest_that_keeps_ahead(fresh)
            yield from self._halve((*self._leaders, *fresh))
            fresh = self._around(self._leaders[0])
        yield from self._couple()

    def _frame(self) -> tuple[Choice, ...]:
        """What the search begins with: no workers and as many as there are cores, everything else at its default."""
        numbers = sorted({choice.workers for choice in self.grid})
        ends = {numbers[0], min(numbers, key=lambda number: abs(number - self.settings.cores))}
        first = min(self.grid, key=lambda choice: abs(choice.prefetch - PREFETCH))
        return tuple(
            choice
            for choice in self.grid
            if choice.workers in ends and (not choice.workers or choice.prefetch == first.prefetch)
        )

    def _look(self, choice: Choice, seconds: float) -> Measured:
        """Measure a slice; the search is over where there is no time left for it."""
        budget_s = self.settings.budget_s
        if budget_s is not None and self._slices and self.spent_s + self._foreseen_s(choice, seconds) > budget_s:
            raise _SearchEnd(Reason.BUDGET)
        measured = self._measure(choice, seconds)
        self._slices.setdefault(choice, []).append(measured)
        return measured

    def _foreseen_s(self, choice: Choice, seconds: float) -> float:
        """What a slice will take: as long as the last of the same choice, or the longest of the same batch size."""
        alike = [slices for other, slices in self._slices.items() if other.batch_size == choice.batch_size]
        known = self._slices.get(choice) or [max(slices, key=lambda one: one.spent_s) for slices in alike]
        return max([seconds, *(measured.spent_s for measured in known[-1:])])

    def _cheapest_that_keeps_ahead(self, fresh: Sequence[Choice]) -> Iterator[None]:
        """Look at the cheapest first, and end the search with one that surely keeps ahead."""
        _, most = self.settings.couples
        for choice in sorted(fresh, key=lambda choice: choice.cost):
            loads: list[float] = []
            enough = KEEPS_AHEAD if choice.workers else KEEPS_AHEAD_ALONE
            while len(loads) < most and self._share(choice, loads).point <= enough:
                loads.append(choice.batch_size / self._look(choice, self.settings.slice_s).rate)
                yield
                if self._share(choice, loads).high <= enough:
                    self._leaders = (choice,)
                    raise _SearchEnd(Reason.KEEPS_AHEAD)

    def _share(self, choice: Choice, loads: Sequence[float]) -> Estimate:
        """What a batch takes as a share of a step; nothing is known without a slice."""
        if not loads:
            return Estimate(0.0, 0.0, math.inf, Method.STUDENT)
        return geometric_mean(loads).through(lambda load_s: load_s / self.settings.step_s[choice.batch_size])

    def _halve(self, contenders: Sequence[Choice]) -> Iterator[None]:
        """Measure in rounds of slices that become longer, until the two fastest are left.

        Notes
        -----
        A round has several passes, each in an order of its own, so that one noisy moment throws nobody out.
        """
        seconds, left = self.settings.slice_s, tuple(contenders)
        slices: dict[Choice, list[Measured]] = {choice: [] for choice in left}
        while True:
            for _ in range(self.settings.passes):
                for choice in self._random.sample(left, len(left)):
                    slices[choice].append(self._look(choice, seconds))
                    yield
                left = self._undominated({choice: _overall(slices[choice]) for choice in left})
            self._leaders = left = left[: max(2, math.ceil(len(left) / 2))]
            if len(left) <= 2:
                return
            seconds *= 2

    def _undominated(self, rates: Mapping[Choice, float]) -> tuple[Choice, ...]:
        """Those that come near the fastest, in order of their rates."""
        least = self.settings.dominated * max(rates.values())
        near = [choice for choice, rate in rates.items() if rate >= least]
        return tuple(sorted(near, key=lambda choice: -rates[choice]))

    def _around(self, leader: Choice) -> tuple[Choice, ...]:
        """What differs from the leader in one respect, by one step, and was not measured yet."""
        return tuple(choice for choice in self.grid if choice not in self._slices and self._is_next(choice, leader))

    def _is_next(self, choice: Choice, leader: Choice) -> bool:
        differing = [axis for axis in _AXES if getattr(choice, axis) != getattr(leader, axis)]
        if len(differing) != 1:
            return False
        (axis,) = differing
        here = getattr(leader, axis)
        if axis == "workers" and not leader.workers:
            here = self._rival(leader)
            if not here:
                return False
        values = sorted({getattr(other, axis) for other in self.grid} | {here})
        return abs(values.index(getattr(choice, axis)) - values.index(here)) == 1

    def _rival(self, leader: Choice) -> int:
        """The number of workers that came near a leader without any; 0 where none did, and they are not worth it."""
        least = self.settings.dominated * self._value(leader)
        alike = [choice for choice in self._slices if choice == replace(leader, workers=choice.workers)]
        return max(choice.workers for choice in alike if self._value(choice) >= least)

    def _value(self, choice: Choice) -> float:
        return _overall(self._slices[choice])

    def _couple(self) -> Iterator[None]:
        """Measure the two leaders in couples until they part, are equal, or have had their most."""
        fewest, most = self.settings.couples
        if len(self._leaders) < 2:
            for _ in range(fewest):
                self._look(self._leaders[0], _LONGER * self.settings.slice_s)
                yield
            self._reason = Reason.ALONE
            return
        first, second = self._leaders
        rates: dict[Choice, list[float]] = {first: [], second: []}
        while len(rates[first]) < most:
            for choice in self._random.sample((first, second), 2):
                rates[choice].append(self._look(choice, _LONGER * self.settings.slice_s).rate)
                yield
            lead = mean_ratio(rates[first], rates[second])
            if len(rates[first]) >= fewest and (_parts(lead) or self._equal(lead.low, lead.high)):
                break
        self._decide(lead)

    def _decide(self, lead: Estimate) -> None:
        """Take the faster one, or of two that are equal the cheaper one."""
        first, second = self._leaders
        if _parts(lead):
            self._reason, swaps = Reason.PARTED, lead.point < 1.0
        elif self._equal(lead.point):
            self._reason, swaps = Reason.TIED, second.cost < first.cost
        else:
            self._reason, swaps = Reason.UNDECIDED, lead.point < 1.0
        self._leaders, self._lead = ((second, first), lead.inverse) if swaps else ((first, second), lead)

    def _equal(self, *ratios: float) -> bool:
        return all(abs(ratio - 1.0) <= self.settings.tie for ratio in ratios)


_AXES = tuple(axis.name for axis in fields(Choice))
_LONGER = 4
"""Slice length of the two leaders, relative to the first round."""


def _overall(slices: Sequence[Measured]) -> float:
    """Samples of all slices in the seconds of all.

    A mean of their rates is that of the slices in which nothing was waited for, where items are uneven.
    """
    return sum(measured.samples for measured in slices) / math.fsum(measured.seconds for measured in slices)


def _rates(slices: Sequence[Measured]) -> list[float]:
    return [measured.rate for measured in slices]


def _parts(lead: Estimate) -> bool:
    return lead.low > 1.0 or lead.high < 1.0
