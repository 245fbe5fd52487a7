"""Make a failing example minimal: fewest rows, fewest columns, simplest numbers, smallest magnitude.

The last step bisects the largest entry of the first input over the representable numbers, to find an exact threshold.
Every candidate stays within the inputs of the law; see :class:`harness.verdict.trial.Members`.
"""

import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.floats.format import Format, from_ordinal, to_ordinal
from harness.floats.oracle import content_of
from harness.laws import Axes, Example
from harness.verdict.draw import Deadline
from harness.verdict.trial import Members, Trials, count_positions, is_same, make_row_of_each, stack_rows, take

_LEVELS = 6
"""Levels of a bisection that are evaluated together, as rows of an example."""


@dataclass(frozen=True)
class Interval:
    """Ordinals between a passing number and a failing number."""

    passing: int
    failing: int
    spacing: int
    """Smallest distance between the two ends."""

    def halve(self, fails: Callable[[int], bool]) -> int:
        """Return the last ordinal that fails, with one test per bit."""
        passing, failing = self.passing, self.failing
        while abs(failing - passing) > self.spacing:
            middle = (failing + passing) // 2
            passing, failing = (passing, middle) if fails(middle) else (middle, failing)
        return failing

    def halve_by_levels(
        self, each_fails: Callable[[list[int]], list[bool] | None], fails: Callable[[int], bool]
    ) -> int:
        """Bisect as above, with the candidates of the next steps as rows of an example.

        If a row behaves differently alone, each step needs a separate call.
        """
        passing, failing = self.passing, self.failing
        while abs(failing - passing) > self.spacing:
            ordinals = _list_midpoints(passing, failing, self.spacing, _LEVELS)
            answers = each_fails(ordinals)
            if answers is None:
                return self.halve(fails)
            is_failing = dict(zip(ordinals, answers, strict=True))
            while abs(failing - passing) > self.spacing and (middle := (failing + passing) // 2) in is_failing:
                passing, failing = (passing, middle) if is_failing[middle] else (middle, failing)
        single = (failing == self.failing or fails(failing)) and (passing == self.passing or not fails(passing))
        return failing if single else self.halve(fails)


def _list_midpoints(passing: int, failing: int, spacing: int, levels: int) -> list[int]:
    """Return all possible midpoints of the next halvings."""
    if not levels or abs(failing - passing) <= spacing:
        return []
    middle = (failing + passing) // 2
    return [
        middle,
        *_list_midpoints(passing, middle, spacing, levels - 1),
        *_list_midpoints(middle, failing, spacing, levels - 1),
    ]


_PLACES = 32
"""Places along an axis at which a run is tried to be dropped."""

_LONG = 1024
"""Length from which only the number of entries on an axis matters, which bisection has already minimized."""

_MANY = 64
"""Inputs with more elements than this keep their values; only whole rows and columns are dropped."""

_AT_ONCE = 8
"""Steps that are tried together, doubled after each attempt without success."""

_ELEMENTS = 4096
"""Elements of the largest input that one question has at most."""

_NEAR_BITS = 9
"""Leading bits to which a number is found that need not be found exactly."""

Place = tuple[str, tuple[int, ...]]
"""Name of an input and index of an entry."""


@dataclass(frozen=True)
class _Step:
    """An example that may be simpler than another."""

    candidate: Example | None
    at: Place | None = None
    """Entry that must not change."""


@dataclass
class _Trial:
    """A candidate: a member that still fails."""

    axes: Mapping[str, Axes]
    format: Format
    members: Members
    fails: Callable[[Example], bool]
    exact: bool = True
    """Whether the last step goes to the last number that fails, or near it."""
    whole: bool = False
    """Whether numbers are whole, and stay so."""
    broken_rows: Callable[[Example], NDArray[np.bool_] | None] | None = None
    """Positions along the leading axis that break the law; used where many rows are quicker than many calls."""
    bisected: bool = True
    """Whether the last step is taken at all."""
    holding: set[Hashable] = field(default_factory=set)
    """Candidates that did not fail; the second pass repeats most of them."""

    def attempt(self, candidate: Example | None) -> Example | None:
        """Return the member nearest to a candidate if that still fails."""
        member = self.member(candidate)
        return member if member is not None and self.still_fails(member) else None

    def find_first(self, steps: Iterable[_Step]) -> tuple[_Step, Example] | None:
        """Return the first step whose member still fails, and the member; ``None`` without one.

        If the law measures row by row, several steps are rows of a single example.
        """
        queue, batch_size = iter(steps), _AT_ONCE
        while batch := list(islice(queue, batch_size if self.broken_rows is not None else 1)):
            members = [self.member(step.candidate, at=step.at) for step in batch]
            answers = self._test_together(members)
            for position, (step, member) in enumerate(zip(batch, members, strict=True)):
                if member is not None and (self.still_fails(member) if answers is None else answers[position]):
                    return step, member
            batch_size = min(
                2 * batch_size, max(1, _ELEMENTS // max(map(_count_elements, filter(None, members)), default=1))
            )
        return None

    def _test_together(self, members: Sequence[Example | None]) -> list[bool] | None:
        """Return which members fail, in one measurement; ``None`` if they must be tried in turn."""
        new = [member if member is not None and not self._is_known_to_hold(member) else None for member in members]
        answers = self.find_failing(new) if len(new) - new.count(None) > 1 else None
        for member, fails in zip(new, answers or (), strict=False):
            if member is not None and not fails:
                self._note_as_holding(member)
        return answers

    def member(self, candidate: Example | None, *, at: Place | None = None) -> Example | None:
        """Return the member nearest to a candidate; ``None`` if the step is refused."""
        member = None if candidate is None else self.members.nearest(candidate)
        if candidate is None or member is None:
            return None
        if at is not None and not is_same(float(member[at[0]][at[1]]), float(candidate[at[0]][at[1]])):
            return None
        if self.whole and not all(map(_is_whole, member.values())):
            return None
        return member

    def find_failing(self, members: Sequence[Example | None]) -> list[bool] | None:
        """Return which members fail, each as a row of an example; ``None`` if this is impossible.

        It is impossible if they have several rows, or if the law does not measure row by row.
        """
        present = [member for member in members if member is not None]
        broken = self.find_broken(stack_rows(present, self.axes), len(present)) if present else None
        if broken is None:
            return None
        answers = iter(broken)
        return [member is not None and next(answers) for member in members]

    def find_broken(self, together: Example | None, rows: int) -> list[bool] | None:
        """Return which rows of an example break the law; without such information, ``None`` now and later."""
        if self.broken_rows is None or together is None:
            return None
        broken = self.broken_rows(together)
        if broken is None or len(broken) != rows:
            self.broken_rows = None
            return None
        return list(map(bool, broken))

    def still_fails(self, member: Example) -> bool:
        """Whether a member fails; a member that held before is not measured again."""
        if self._is_known_to_hold(member):
            return False
        fails = self.fails(member)
        if not fails:
            self._note_as_holding(member)
        return fails

    def _is_known_to_hold(self, member: Example) -> bool:
        return tuple(map(content_of, member.values())) in self.holding

    def _note_as_holding(self, member: Example) -> None:
        content = tuple(map(content_of, member.values()))
        if None not in content:
            self.holding.add(content)


def minimise(
    example: Example,
    axes: Mapping[str, Axes],
    format_: Format,
    fails: Callable[[Example], bool],
    *,
    exact: bool = True,
    whole: bool = False,
    bisected: bool = True,
    broken_rows: Callable[[Example], NDArray[np.bool_] | None] | None = None,
) -> Example:
    """Return the simplest example found that still fails, after a few hundred calls of ``fails``.

    Without ``exact``, the largest entry is found to a 256th, in a third of the calls; without ``bisected``, not at all.
    ``whole`` keeps whole numbers whole. ``broken_rows`` returns which rows of an example break the law, or ``None`` if
    the law does not measure row by row. It allows several steps in one call.
    """
    members = Members(example, axes, format_)
    trial = _Trial(axes, format_, members, fails, exact, whole, broken_rows, bisected=bisected)
    # Twice, since rows and columns may be needed only as long as the numbers are large or many.
    minimal = _run_pass(_run_pass(example, trial), trial, repeated=True)
    if broken_rows is None or fails(minimal):
        return minimal
    # The rows affect each other: a row may fail only together with others.
    return minimise(example, axes, format_, fails, exact=exact, whole=whole, bisected=bisected)


def minimise_broken(
    trials: Trials, example: Example, deadline: Deadline, keeps: Callable[[Any], Any] = lambda _: True, **options: Any
) -> Example:
    """Return the simplest example found until the deadline that breaks the law with a severity of some kind.

    Parameters
    ----------
    trials
        The law, on a subject.
    example
        An example that breaks it.
    deadline
        Deadline, after which no example is simpler.
    keeps
        Whether a severity is of the kind; of several, which ones are.
    options
        Further options of :func:`minimise`.
    """

    def fails(smaller: Example) -> bool:
        measurement = None if deadline.is_up else trials.measure(smaller)
        return measurement is not None and measurement.broken and bool(keeps(measurement.most_severe))

    def find_broken_rows(together: Example) -> NDArray[np.bool_] | None:
        severity = None if deadline.is_up else trials.severity_of_rows(together)
        return None if severity is None else np.asarray((severity > 0.0) & keeps(severity))

    options = {"whole": trials.job.law.of_whole_numbers, **options}
    return minimise(example, trials.job.axes, trials.job.format, fails, broken_rows=find_broken_rows, **options)


def _is_whole(value: object) -> bool:
    return not isinstance(value, Tensor) or bool((value == value.round()).all())


def _run_pass(example: Example, trial: _Trial, *, repeated: bool = False) -> Example:
    before, primary = example, next(iter(trial.axes), None)
    axes = trial.axes
    names = (input_axes.names[: 1 if input_axes.kept else None] for input_axes in axes.values())
    for name in dict.fromkeys(name for group in names for name in group):
        example = _shorten(example, name, trial)
    for name in axes:
        if _has_values(axes[name], example[name]) and example[name].numel() <= _MANY:
            example = _simplify(example, name, trial, kept_from_growing=repeated and name == primary)
    if (repeated and example is before) or not trial.bisected:
        # The entry was bisected, and no other entry has changed since.
        return example
    if primary is not None and _has_values(axes[primary], example[primary]) and 0 < example[primary].numel() <= _MANY:
        example = _bisect_largest(example, primary, trial)
    return example


def _has_values(axes: Axes, value: Tensor) -> bool:
    """Return whether the entries may change: no index, no mask, and no fixed values."""
    return axes.index_of is None and not axes.kept and value.dtype != torch.bool


def _shorten(example: Example, name: str, trial: _Trial) -> Example:
    """Drop runs of positions along one axis, longest runs first, as long as the example still fails."""
    axes = trial.axes
    example = _find_shortest_prefix(example, name, trial)
    if count_positions(example, axes, name) > _LONG:
        return example
    run = max(1, count_positions(example, axes, name) // 2)
    while True:
        before = count_positions(example, axes, name)
        # Long axes: a few places only, since a drop that helps usually helps anywhere.
        starts = range(0, before, max(run, -(-before // _PLACES)))
        runs = [range(start, min(start + run, before)) for start in starts]
        # The last run is shorter, so its remainder has another length and cannot share an example.
        shorter = _remove_first_run(example, name, [candidate for candidate in runs if len(candidate) == run], trial)
        shorter = shorter or _remove_first_run(
            example, name, [candidate for candidate in runs if len(candidate) < run], trial
        )
        if shorter is not None:
            example = shorter
        elif run <= max(1, before // _PLACES):
            return example
        else:
            run //= 2


def _remove_first_run(example: Example, name: str, runs: Sequence[range], trial: _Trial) -> Example | None:
    """Return the example without the first run of positions that can be dropped."""
    positions = range(count_positions(example, trial.axes, name))
    kept = ([i for i in positions if i not in run] for run in runs)
    shorter = trial.find_first(_Step(take(example, trial.axes, name, indices) if indices else None) for indices in kept)
    return None if shorter is None else shorter[1]


def _find_shortest_prefix(example: Example, name: str, trial: _Trial) -> Example:
    """Bisect a long axis for the shortest length that fails, if only the length matters."""
    failing, passing = count_positions(example, trial.axes, name), 0
    if failing <= _MANY:
        return example
    while failing - passing > 1:
        middle = (failing + passing) // 2
        shorter = trial.attempt(take(example, trial.axes, name, range(middle)))
        if shorter is not None:
            example, failing = shorter, middle
        else:
            passing = middle
    return example


def _simplify(example: Example, name: str, trial: _Trial, *, kept_from_growing: bool) -> Example:
    """Replace each finite entry by zero, one, or a short rounding, whichever is the first that still fails.

    The largest entry may be prevented from growing, since it would only be bisected again.
    """
    bisected = _find_largest(example[name]) if kept_from_growing else None
    pending = list(np.ndindex(tuple(example[name].shape)))
    while pending:
        steps = (
            step
            for index in pending
            for step in _list_replacements(example, name, index, trial, kept=index == bisected)
        )
        simpler = trial.find_first(steps)
        if simpler is None:
            break
        step, example = simpler
        pending = pending[pending.index(step.at[1]) + 1 :] if step.at is not None else []
    return example


def _list_replacements(
    example: Example, name: str, index: tuple[int, ...], trial: _Trial, *, kept: bool
) -> Iterator[_Step]:
    """Yield the replacements of an entry, the simplest first; optionally none that is larger."""
    current, positive = float(example[name][index]), trial.axes[name].positive
    largest = torch.finfo(example[name].dtype).max if example[name].is_floating_point() else np.inf
    if not np.isfinite(current) or (positive and current == 0.0):
        return
    for simple in _list_simpler_numbers(current, *(() if trial.bisected else _POWERS)):
        # The largest number rounded to fewer digits is none of the format.
        if abs(simple) > (abs(current) if kept else largest):
            continue
        changed = _replace_entry(example, name, index, simple)
        if is_same(float(changed[name][index]), current):
            return
        if not positive or float(changed[name][index]) > 0.0:
            yield _Step(changed, at=(name, index))


_POWERS = (10.0, 100.0, 1000.0)
"""Numbers that an entry may become if it does not become the last one that fails."""


_SMALL = (0.1, 0.01, 0.001)
"""Numbers that a smaller entry may become."""


def _list_simpler_numbers(value: float, *powers: float) -> Iterator[float]:
    yield 0.0
    if np.signbit(value):
        yield -0.0
    yield from (1.0, math.copysign(1.0, value))
    yield from (math.copysign(power, value) for power in powers if power < abs(value))
    yield from (math.copysign(power, value) for power in _SMALL if power > abs(value))
    for digits in (1, 2, 3, 4):
        yield float(f"{value:.{digits - 1}e}")


def _replace_entry(example: Example, name: str, index: tuple[int, ...], value: float) -> Example:
    changed = example[name].clone()
    changed[index] = value
    return {**example, name: changed}


def _bisect_largest(example: Example, name: str, trial: _Trial) -> Example:
    """Move the finite entry of largest magnitude toward zero, to the last representable number that still fails."""
    tensor, position = example[name], _find_largest(example[name])
    if not tensor[position].isfinite():
        return example
    failing, passing = int(to_ordinal(tensor)[position]), 1 if trial.axes[name].positive else 0
    sign = math.copysign(1.0, float(tensor[position]))

    def member(ordinal: int) -> Example | None:
        # Ordinal 0 is both zeros; keep the sign that failed.
        value = abs(float(from_ordinal(np.array(ordinal), trial.format)))
        smaller = trial.member(_replace_entry(example, name, position, sign * value), at=(name, position))
        # If another entry would take the old value of this one, the two would only change places.
        moved = (
            smaller is not None and trial.axes[name].restore is not None and _find_largest(smaller[name]) != position
        )
        return None if moved else smaller

    def each_fails(ordinals: list[int]) -> list[bool] | None:
        if trial.axes[name].restore is not None or trial.whole:
            return trial.find_failing([member(ordinal) for ordinal in ordinals])
        values = from_ordinal(np.abs(ordinals), trial.format).copysign(tensor[position])
        return trial.find_broken(make_row_of_each(example, trial.axes, name, position, values), len(ordinals))

    def fails(ordinal: int) -> bool:
        smaller = member(ordinal)
        return smaller is not None and trial.still_fails(smaller)

    if abs(failing) > passing and fails(passing):
        return member(passing) or example
    spacing = 1 if trial.exact else 1 << max(0, trial.format.precision - _NEAR_BITS)
    last = Interval(passing, failing, spacing).halve_by_levels(each_fails, fails)
    # If every normal number fails, the smallest one says no more than the simple one.
    is_boundary = abs(float(from_ordinal(np.array(last), trial.format))) > trial.format.tiny
    return member(last) or example if is_boundary and last != failing else example


def _count_elements(example: Example) -> int:
    return max((value.numel() for value in example.values() if isinstance(value, Tensor)), default=1)


def _find_largest(tensor: Tensor) -> tuple[int, ...]:
    """Return the index of the finite entry with the largest magnitude."""
    magnitudes = torch.where(tensor.isfinite(), tensor.double().abs(), -1.0)
    return tuple(int(i) for i in np.unravel_index(int(magnitudes.argmax()), tuple(tensor.shape)))
