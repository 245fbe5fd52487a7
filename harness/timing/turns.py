"""Measurements in turns: each round measures every arm once, in random order, so that drift affects all equally.

Arms that are measured minutes apart differ by the state of the machine, by 4 to 49 % for the same code. Within a round
they are milliseconds apart, so ratios are taken within rounds. Importing this module imports no torch.
"""

import math
import random
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from harness.timing.clock import MAX_ROUNDS, Clock

SLICE_S = 2e-3
"""Approximate duration of a turn of an arm, in seconds."""

MIN_TURNS = 12
"""Minimum number of rounds for any budget."""

CHECK_EVERY = 6
"""Rounds between two checks whether the rounds are enough; a check costs as much as a short round."""

Slice = Callable[[int], tuple[float, ...]]
"""Makes a number of calls and returns their time in seconds, in total or by part."""


@dataclass(frozen=True)
class Arm:
    """An alternative in a comparison, with the number of ``calls`` per turn."""

    slice: Slice
    calls: int


class Interleaved(NamedTuple):
    """Result of interleaved measurements.

    Parameters
    ----------
    times
        Seconds per call and arm, one tuple per round; a round has the same position in all lists.
    failed
        Exceptions of arms that did not finish; they have no times.
    """

    times: "Times"
    failed: dict[str, Exception]


def whole(function: Callable[[], object], clock: Clock) -> Slice:
    """Return a turn that times all its calls together.

    An untimed call before them refills the caches after the turns of other arms.
    """

    def turn(calls: int) -> tuple[float, ...]:
        function()
        start = clock()
        for _ in range(calls):
            function()
        return (clock() - start,)

    return turn


def time_parts(parts: Callable[[Callable[[], None]], object], clock: Clock) -> Slice:
    """Return a turn that times the parts of a call separately; ``parts`` reports the end of a part."""

    def turn(calls: int) -> tuple[float, ...]:
        marks: list[float] = []
        parts(lambda: None)
        durations: list[list[float]] = []
        for _ in range(calls):
            marks.clear()
            marks.append(clock())
            parts(lambda: marks.append(clock()))
            durations.append([end - begin for begin, end in pairwise(marks)])
        return tuple(map(math.fsum, zip(*durations, strict=True)))

    return turn


def calls_within(slice_s: float, warm_s: float) -> int:
    """Return the number of calls that fill a turn, one or more, given the seconds of a warm call."""
    return max(1, math.ceil(slice_s / max(warm_s, 1e-9)))


def rounds_for(budget_s: float, arms_s: float, arms: int) -> int:
    """Return the rounds that take about ``budget_s`` seconds per arm, given the seconds of a round."""
    return min(max(int(budget_s * arms / max(arms_s, 1e-9)), MIN_TURNS), MAX_ROUNDS)


Times = dict[str, list[tuple[float, ...]]]
"""Seconds per call and arm, one tuple per round."""


def take_turns(
    arms: Iterable[str], order: random.Random, failed: Collection[str], rounds: int, enough: Callable[[int], bool]
) -> Iterator[tuple[int, str]]:
    """Yield the number of a round and the arm whose turn it is, which the caller measures.

    Parameters
    ----------
    arms
        Names of the arms.
    order
        Draws the order of each round.
    failed
        The arms that have no further turn; the caller adds to them.
    rounds
        Maximum number of rounds.
    enough
        Returns whether the given number of rounds is enough.
    """
    for number in range(rounds):
        if enough(number):
            return
        names = [name for name in arms if name not in failed]
        for name in order.sample(names, len(names)):
            yield number + 1, name


def interleave(
    arms: Mapping[str, Arm], *, rounds: int, seed: int = 0, enough: Callable[[Times], bool] | None = None
) -> Interleaved:
    """Give every arm one turn per round, in random order; all arms have equally many turns.

    Parameters
    ----------
    arms
        Arms by name. An arm that raises leaves.
    rounds
        Maximum number of rounds.
    seed
        Random seed of the orders.
    enough
        Returns whether the times so far are enough; called every few rounds after the minimum number.
    """
    order = random.Random(seed)  # noqa: S311 - an order, not a secret
    times: Times = {name: [] for name in arms}
    failed: dict[str, Exception] = {}

    def are_enough(done: int) -> bool:
        return enough is not None and done >= MIN_TURNS and done % CHECK_EVERY == 0 and enough(times)

    for _, name in take_turns(arms, order, failed, rounds, are_enough):
        try:
            slice_ = arms[name].slice(arms[name].calls)
        except Exception as error:  # noqa: BLE001 - the arm's own benchmark raises it
            failed[name] = error
            del times[name]
        else:
            times[name].append(tuple(part_s / arms[name].calls for part_s in slice_))
    return Interleaved(times, failed)
