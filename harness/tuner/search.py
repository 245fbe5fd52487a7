"""Finding a near-best configuration with few measurements.

The search is pure: the function that measures is an argument, and so is the seed.

Short slices of all contenders are interleaved in random order, so that drift of the machine affects them equally. After
each round the slower half leaves. A contender whose fastest slice is far behind the leader leaves earlier, but never
after a single slice, which may have been cold. Rates are not unimodal in the number of workers: one worker is often
worse than none where two are better. The search therefore compares no workers with as many as there are cores, and
looks at other numbers only where workers are worth it.

The two leaders are measured in pairs until the interval of their ratio separates them or shows that the cheaper one is
as fast. If measurements do not distinguish configurations, the search takes the fewest workers, then the least memory.
If the time of a training step is known, the first configuration that keeps ahead of it ends the search.
"""

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator, TypeAdapter

from harness.loading.throughput import PREFETCH
from harness.record import Estimate, Method, geometric_mean, mean_ratio
from harness.tuner.loader_choice import Choice
from harness.tuner.slices import Measured, differ, overall, rates_of

KEEPS_AHEAD = 0.8
"""Largest share of a step that a batch may take with workers: reading is slightly faster than processing."""

KEEPS_AHEAD_ALONE = 0.25
"""Largest share of a step that a batch may take without workers, where the step waits for each batch."""


Measure = Callable[[Choice, float], Measured]
"""Function that measures a configuration for about the given number of seconds."""


class Reason(StrEnum):
    """Why the search ended."""

    PARTED = "it is faster than the second: the confidence interval of their ratio excludes 1"
    TIED = "it ties with the second, and uses fewer workers or less memory"
    KEEPS_AHEAD = "it keeps up with the step: a faster loader gains nothing"
    UNDECIDED = "it is not distinguishable from the second, and uses fewer workers or less memory"
    ALONE = "no other configuration is nearly as fast"
    BUDGET = "the time limit was reached; it is the fastest of the configurations that were measured at least twice"
    BUDGET_UNDECIDED = "the time limit was reached; it is the cheapest of the configurations not distinguishable so far"
    NO_ANSWER = "the time limit was reached before any configuration was measured twice"
    GOING_ON = "the search is still running"


@dataclass(frozen=True)
class LoaderSearchSettings:
    """Settings of the search.

    Parameters
    ----------
    cores
        Workers that can work at once: the number of cores, or more if they wait.
    budget_s
        Time limit in seconds; the search then ends with its current best. No limit if absent.
    slice_s
        Seconds per slice in the first round; later rounds have longer slices.
    passes
        Slices per contender and round.
    dominated
        A contender leaves early if its fastest slice is below this share of the leader's rate.
    tie
        A more expensive configuration that is faster by at most this share is not worth it.
    couples
        Minimum and maximum number of pairs of slices of two leaders.
    step_s
        Seconds of a training step by batch size, if known.
    seed
        Random seed for the order of slices.
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


def _read_rates(pairs: Any) -> dict[Choice, Estimate]:
    return dict(
        pairs if isinstance(pairs, Mapping) else TypeAdapter(list[tuple[Choice, Estimate]]).validate_python(pairs)
    )


Rates = Annotated[
    Mapping[Choice, Estimate],
    PlainSerializer(lambda rates: list(rates.items()), return_type=list[tuple[Choice, Estimate]]),
    PlainValidator(_read_rates),
]
"""Rates of configurations; a document has them as pairs."""


@dataclass(frozen=True)
class SearchState:
    """The state of a search.

    Parameters
    ----------
    best
        The configuration to take.
    rate
        Its samples per second.
    second
        The configuration it was last compared with, if any.
    lead
        Its rate relative to the second, from pairs of slices; ``None`` if they were not paired.
    reason
        Why the search ended, or that it is still running.
    rates
        Samples per second of every measured configuration.
    spent_s
        Duration in seconds until now.
    slices
        Number of slices until now.
    similar_choices
        Measured configurations with rates that are not distinguishable from the best.
    """

    best: Choice
    rate: Estimate
    second: Choice | None
    lead: Estimate | None
    reason: Reason
    rates: Rates
    spent_s: float
    slices: int
    similar_choices: tuple[Choice, ...] = ()


class OutOfTime(BaseException):
    """The time limit passed during a slice; an ``except Exception`` of the code that loads does not catch it."""


class _SearchEnd(Exception):  # noqa: N818 - a signal, not an error
    """The time limit was reached, or loading keeps ahead."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


class LoaderSearch:
    """One search: :meth:`run` measures, and :meth:`standing` returns the current state."""

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
        """Measure slice by slice and yield the state after each; the last one is the answer."""
        try:
            for _ in self._course():
                yield self.standing()
        except _SearchEnd as over:
            self._reason = over.reason
        except OutOfTime:
            self._reason = Reason.BUDGET
        if self._reason is Reason.BUDGET:
            with suppress(OutOfTime):
                self._repeat_the_fastest()
            self._take_the_cheapest()
        if self._slices:
            yield self.standing()

    def _repeat_the_fastest(self) -> None:
        """Measure the fastest configuration again if none was measured twice, so that there is an interval."""
        if self._slices and not any(map(self._has_interval, self._slices)):
            fastest = self._sort_by_rate()[0]
            self._slices[fastest].append(self._measure(fastest, self.settings.slice_s))

    def standing(self) -> SearchState:
        """Return the current state, after at least one slice."""
        rates = {choice: geometric_mean(rates_of(slices)) for choice, slices in self._slices.items()}
        leaders = self._leaders or self._sort_by_rate()
        best, second = leaders[0], leaders[1] if len(leaders) > 1 else None
        slices = sum(map(len, self._slices.values()))
        similar = tuple(choice for choice in self._not_distinguishable(best) if choice != best)
        return SearchState(best, rates[best], second, self._lead, self._reason, rates, self.spent_s, slices, similar)

    def _sort_by_rate(self) -> tuple[Choice, ...]:
        """Return all measured configurations, the fastest first."""
        return tuple(sorted(self._slices, key=lambda choice: -self._value(choice)))

    def _not_distinguishable(self, best: Choice) -> list[Choice]:
        """Return the configurations that the measurements do not show to be slower or faster than the best."""
        return [
            choice for choice in self._slices if not differ(self._slices, choice, best, least=self.settings.dominated)
        ]

    def _take_the_cheapest(self) -> None:
        """Take the cheapest configuration that is not distinguishable from the fastest, and not dominated by it.

        A configuration that was measured once has no interval, and is not compared.
        """
        rates = {choice: geometric_mean(rates_of(slices)).point for choice, slices in self._slices.items()}
        ranked = sorted(filter(self._has_interval, rates), key=lambda choice: -rates[choice])
        self._lead = None
        if not ranked:
            self._leaders, self._reason = (), Reason.NO_ANSWER
            return
        fastest = ranked[0]
        similar = self._not_distinguishable(fastest)
        least = self.settings.dominated * rates[fastest]
        near = [choice for choice in ranked if choice in similar and rates[choice] >= least]
        cheapest = min(near, key=lambda choice: choice.cost)
        if cheapest == fastest:
            self._leaders = tuple(ranked[:2])
        else:
            self._leaders, self._reason = (cheapest, fastest), Reason.BUDGET_UNDECIDED

    def _course(self) -> Iterator[None]:
        """Measure the frame, then the neighbors of its leader, then pairs of leaders."""
        fresh = self._choose_frame()
        while fresh:
            if self.settings.step_s:
                yield from self._cheapest_that_keeps_ahead(fresh)
            yield from self._halve((*self._leaders, *fresh))
            fresh = self._find_neighbors(self._leaders[0])
        yield from self._couple()

    def _choose_frame(self) -> tuple[Choice, ...]:
        """Return what to begin with: no workers, and as many as there are cores; all else at its default."""
        numbers = sorted({choice.workers for choice in self.grid})
        ends = {numbers[0], min(numbers, key=lambda number: abs(number - self.settings.cores))}
        first = min(self.grid, key=lambda choice: abs(choice.prefetch - PREFETCH))
        return tuple(
            choice
            for choice in self.grid
            if choice.workers in ends and (not choice.workers or choice.prefetch == first.prefetch)
        )

    def _look(self, choice: Choice, seconds: float) -> Measured:
        """Measure a slice; end the search if there is no time left for it."""
        budget_s = self.settings.budget_s
        if budget_s is not None and self._slices and self.spent_s + self._foreseen_s(choice, seconds) > budget_s:
            raise _SearchEnd(Reason.BUDGET)
        measured = self._measure(choice, seconds)
        self._slices.setdefault(choice, []).append(measured)
        return measured

    def _has_interval(self, choice: Choice) -> bool:
        # A single configuration is compared with none, and needs no interval.
        return len(self.grid) == 1 or len(rates_of(self._slices[choice])) > 1

    def _foreseen_s(self, choice: Choice, seconds: float) -> float:
        """Predict the duration of a slice: that of the last one of the choice, or the longest of the batch size."""
        similar = [
            slices
            for measured_choice, slices in self._slices.items()
            if measured_choice.batch_size == choice.batch_size
        ]
        history = self._slices.get(choice) or [max(slices, key=lambda one: one.spent_s) for slices in similar]
        return max([seconds, *(measured.spent_s for measured in history[-1:])])

    def _cheapest_that_keeps_ahead(self, fresh: Sequence[Choice]) -> Iterator[None]:
        """Measure the cheapest first, and end the search if its whole interval keeps ahead of the step."""
        _, max_couples = self.settings.couples
        for choice in sorted(fresh, key=lambda choice: choice.cost):
            loads: list[float] = []
            enough = KEEPS_AHEAD if choice.workers else KEEPS_AHEAD_ALONE
            while len(loads) < max_couples and self._compute_share(choice, loads).point <= enough:
                loads.append(choice.batch_size / self._look(choice, self.settings.slice_s).rate)
                yield
                if self._compute_share(choice, loads).high <= enough:
                    self._leaders = (choice,)
                    raise _SearchEnd(Reason.KEEPS_AHEAD)

    def _compute_share(self, choice: Choice, loads: Sequence[float]) -> Estimate:
        """Return the share of a step that a batch takes; unknown without a slice."""
        if not loads:
            return Estimate(0.0, 0.0, math.inf, Method.STUDENT)
        return geometric_mean(loads).through(lambda load_s: load_s / self.settings.step_s[choice.batch_size])

    def _halve(self, contenders: Sequence[Choice]) -> Iterator[None]:
        """Measure in rounds of ever longer slices until the two fastest are left.

        Each pass of a round has a random order, so that one noisy moment does not decide.
        """
        seconds, survivors = self.settings.slice_s, tuple(contenders)
        slices: dict[Choice, list[Measured]] = {choice: [] for choice in survivors}
        while True:
            for _ in range(self.settings.passes):
                for choice in self._random.sample(survivors, len(survivors)):
                    slices[choice].append(self._look(choice, seconds))
                    yield
                survivors = self._filter_undominated({choice: slices[choice] for choice in survivors})
            self._leaders = survivors = survivors[: max(2, math.ceil(len(survivors) / 2))]
            if len(survivors) <= 2:
                return
            seconds *= 2

    def _filter_undominated(self, slices: Mapping[Choice, Sequence[Measured]]) -> tuple[Choice, ...]:
        """Return the contenders near the fastest, by rate. A single slice, which may be cold, drops no contender."""
        rates = {choice: overall(measurements) for choice, measurements in slices.items()}
        least = self.settings.dominated * max(rates.values())
        near = [
            choice
            for choice in rates
            if len(self._slices[choice]) < _BEFORE_LEAVING or max(rates_of(slices[choice])) >= least
        ]
        return tuple(sorted(near, key=lambda choice: -rates[choice]))

    def _find_neighbors(self, leader: Choice) -> tuple[Choice, ...]:
        """Return the unmeasured configurations that differ from the leader by one step in one respect."""
        return tuple(choice for choice in self.grid if choice not in self._slices and self._is_next(choice, leader))

    def _is_next(self, choice: Choice, leader: Choice) -> bool:
        differing = [axis for axis in _AXES if getattr(choice, axis) != getattr(leader, axis)]
        if len(differing) != 1:
            return False
        (axis,) = differing
        here = getattr(leader, axis)
        if axis == "workers" and not leader.workers:
            here = self._find_rival(leader)
            if not here:
                return False
        values = sorted({getattr(neighbor, axis) for neighbor in self.grid} | {here})
        return abs(values.index(getattr(choice, axis)) - values.index(here)) == 1

    def _find_rival(self, leader: Choice) -> int:
        """Return the largest number of workers that came near a leader without workers; 0 if none did."""
        least = self.settings.dominated * self._value(leader)
        similar = [choice for choice in self._slices if choice == replace(leader, workers=choice.workers)]
        return max(choice.workers for choice in similar if self._value(choice) >= least)

    def _value(self, choice: Choice) -> float:
        return overall(self._slices[choice])

    def _couple(self) -> Iterator[None]:
        """Measure the two leaders in pairs, then the winner with a cheaper one that may be as fast."""
        if len(self._leaders) < 2:
            for _ in range(self.settings.couples[0]):
                self._look(self._leaders[0], _LONGER * self.settings.slice_s)
                yield
            self._reason = Reason.ALONE
        else:
            yield from self._compare_pair(*self._leaders)
        best = self._leaders[0]
        cheaper = [choice for choice in self._not_distinguishable(best) if choice.workers < best.workers]
        if cheaper and not set(cheaper) & set(self._leaders):
            yield from self._compare_pair(best, min(cheaper, key=lambda choice: choice.cost))

    def _compare_pair(self, first: Choice, second: Choice) -> Iterator[None]:
        """Measure two configurations in pairs until their ratio is known; take the faster, or the cheaper of equals."""
        least_couples, max_couples = self.settings.couples
        rates: dict[Choice, list[float]] = {first: [], second: []}
        while len(rates[first]) < max_couples:
            for choice in self._random.sample((first, second), 2):
                rates[choice].append(self._look(choice, _LONGER * self.settings.slice_s).rate)
                yield
            lead = mean_ratio(rates[first], rates[second])
            gain = lead if second.cost < first.cost else lead.inverse  # the gain of the more expensive one
            if len(rates[first]) >= least_couples and (_parts(lead) or gain.high <= 1.0 + self.settings.tie):
                break
        if _parts(lead):
            self._reason, swaps = Reason.PARTED, lead.point < 1.0
        else:
            ties = gain.high <= 1.0 + self.settings.tie
            self._reason, swaps = Reason.TIED if ties else Reason.UNDECIDED, second.cost < first.cost
        self._leaders, self._lead = ((second, first), lead.inverse) if swaps else ((first, second), lead)


_AXES = tuple(axis.name for axis in fields(Choice))
_LONGER = 4
"""Slice length of the two leaders, relative to the first round."""

_BEFORE_LEAVING = 2
"""Slices of a contender before it may leave early."""


def _parts(lead: Estimate) -> bool:
    return lead.low > 1.0 or lead.high < 1.0
