"""Measurements taken in turns: each round visits every arm once, in random order, so that drift meets all alike.

Arms that are measured minutes apart differ by what the machine did in between, 4 to 49 % for the same code. Within a
round they are milliseconds apart, and what is compared is the ratio within the round. Importing this imports no torch.
"""

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from harness.timing.clock import MOST, Clock

SLICE_S = 2e-3
"""Approximate seconds of a turn of an arm."""

FEWEST_ROUNDS = 12
"""Rounds there are however small the budget is; fewer give no interval worth the name."""

ASKED_EVERY = 6
"""Rounds between two questions whether there are enough: an answer costs as much as a short round."""

Slice = Callable[[int], tuple[float, ...]]
"""Makes a number of calls and returns their time in seconds, in total or by part."""


@dataclass(frozen=True)
class Arm:
    """One of the things compared.

    Parameters
    ----------
    slice
        What its turn is.
    calls
        Calls a turn.
    """

    slice: Slice
    calls: int


class Interleaved(NamedTuple):
    """What came of it.

    Parameters
    ----------
    times
        Seconds a call of each arm, a tuple a round: the same round has the same place in every list.
    failed
        What the arms that did not come to the end raised; they have no times.
    """

    times: "Times"
    failed: dict[str, Exception]


def whole(function: Callable[[], object], clock: Clock) -> Slice:
    """Return a turn that times calls of a function as one. One call more goes before them and is not timed.

    Notes
    -----
    That call brings back into the caches what the other arms have taken out.
    """

    def turn(calls: int) -> tuple[float, ...]:
        function()
        start = clock()
        for _ in range(calls):
            function()
        return (clock() - start,)

    return turn


def in_parts(parts: Callable[[Callable[[], None]], object], clock: Clock) -> Slice:
    """Return a turn that times the parts of a call apart.

    Parameters
    ----------
    parts
        Makes one call, and calls what it is given at the end of each part.
    clock
        Seconds.
    """

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
    """Return how many calls fill a turn, given the seconds of a warm call; at least one."""
    return max(1, math.ceil(slice_s / max(warm_s, 1e-9)))


def rounds_for(budget_s: float, arms_s: float, arms: int) -> int:
    """Return the rounds that take about ``budget_s`` seconds an arm, given the seconds that one round takes."""
    return min(max(int(budget_s * arms / max(arms_s, 1e-9)), FEWEST_ROUNDS), MOST)


Times = dict[str, list[tuple[float, ...]]]
"""Seconds per call for the arms, a tuple per round."""


def interleave(
    arms: Mapping[str, Arm], *, rounds: int, seed: int = 0, enough: Callable[[Times], bool] | None = None
) -> Interleaved:
    """Give every arm one turn a round, in an order drawn anew each round; every arm has equally many.

    Parameters
    ----------
    arms
        By name. One that raises is left out from then on.
    rounds
        Turns of each arm, at most.
    seed
        Seed of the orders.
    enough
        Whether the times so far say enough; asked every few rounds, from the fewest on. Where absent all are taken.
    """
    order, rng = list(arms), random.Random(seed)  # noqa: S311 - an order, not a secret
    times: Times = {name: [] for name in arms}
    failed: dict[str, Exception] = {}
    for done in range(rounds):
        if enough is not None and done >= FEWEST_ROUNDS and done % ASKED_EVERY == 0 and enough(times):
            break
        rng.shuffle(order)
        for name in tuple(order):
            try:
                taken = arms[name].slice(arms[name].calls)
            except Exception as error:  # noqa: BLE001 - the arm's own benchmark raises it
                failed[name] = error
                order.remove(name)
                del times[name]
            else:
                times[name].append(tuple(part_s / arms[name].calls for part_s in taken))
    return Interleaved(times, failed)
