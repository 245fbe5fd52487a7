"""Speed relative to a reference: pairs of fresh processes that alternate, each on the same new inputs."""

import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from harness.bench.scoring.timed import Inputs, Timed
from harness.record import Estimate, geometric_mean
from harness.timing.interleaving import one_turn

TURN_S = 0.02
"""Minimum seconds of a turn, so that the cost of messages is negligible."""

MOST_BYTES = 2**26
"""Maximum bytes of inputs per turn, which limits the number of calls."""

TURNS = 6
"""Number of timed turns per pair, after one that is not timed."""

FEWEST_COUPLES, MOST_COUPLES = 5, 40

NARROW = 1.05
"""An interval whose ends are within this factor is narrow enough."""


@dataclass(frozen=True)
class Couples:
    """Result of the measurement.

    Parameters
    ----------
    log_ratios
        Logarithm of the reference's time divided by the candidate's, for each pair of processes.
    candidate_s, reference_s
        Duration of the fastest call.
    doubtful
        Inputs of timed calls with answers of the candidate that differ from the reference.
    """

    log_ratios: tuple[float, ...]
    candidate_s: float
    reference_s: float
    doubtful: tuple[tuple[Inputs, Any], ...]

    @property
    def ratio(self) -> Estimate:
        """Return the speed-up of the candidate."""
        return geometric_mean([math.exp(log_ratio) for log_ratio in self.log_ratios])


def couples(
    candidate: Timed, reference: Timed, fresh: Callable[[int], list[Inputs]], *, seconds: float, seed: int
) -> Couples:
    """Measure pairs until the interval is narrow, or the time is up.

    Parameters
    ----------
    candidate, reference
        Implementations to time.
    fresh
        Returns the requested number of new inputs.
    seconds
        Time after which no further pair starts.
    seed
        Secret seed for the order of turns and the choice of compared answers.

    Raises
    ------
    UntimedError
        If an implementation cannot be timed.
    """
    draw = random.Random(seed)  # noqa: S311 - whoever is timed has not the seed
    until = time.monotonic() + seconds
    calls = _calls(reference, fresh)
    log_ratios: list[float] = []
    doubtful: list[tuple[Inputs, Any]] = []
    best = {candidate: math.inf, reference: math.inf}
    while _goes_on(log_ratios, until):
        found = _couple(candidate, reference, fresh, calls, draw, doubtful)
        log_ratios.append(math.log(found[reference] / found[candidate]))
        best = {side: min(best[side], found[side] / calls) for side in best}
    return Couples(tuple(log_ratios), best[candidate], best[reference], tuple(doubtful))


def _goes_on(log_ratios: Sequence[float], until: float) -> bool:
    if not log_ratios:
        return True
    if len(log_ratios) >= MOST_COUPLES or time.monotonic() >= until:
        return False
    if len(log_ratios) < FEWEST_COUPLES:
        return True
    ratio = geometric_mean([math.exp(log_ratio) for log_ratio in log_ratios])
    return ratio.high > NARROW * ratio.low


def _calls(reference: Timed, fresh: Callable[[int], list[Inputs]]) -> int:
    """Return the calls per turn: the reference takes long enough, and the inputs fit into memory."""
    (inputs,) = fresh(1)
    size = sum(x.numel() * x.element_size() for x in inputs if isinstance(x, Tensor))
    most, calls = max(1, MOST_BYTES // max(size, 1)), 1
    reference.renew()
    reference.turn(fresh(1))
    while calls < most and (took_s := reference.turn(fresh(calls))) < TURN_S:
        calls = min(most, max(2 * calls, int(1.2 * calls * TURN_S / max(took_s, 1e-4))))
    return calls


def _couple(
    candidate: Timed,
    reference: Timed,
    fresh: Callable[[int], list[Inputs]],
    calls: int,
    draw: random.Random,
    doubtful: list[tuple[Inputs, Any]],
) -> dict[Timed, float]:
    """Return the seconds of the fastest turn of both; an answer from every turn is compared."""
    fastest = {candidate: math.inf, reference: math.inf}
    for side in fastest:
        side.renew()
        side.turn(fresh(min(calls, 2)))
        side.turn(fresh(calls))
    for _ in range(TURNS):
        batches = fresh(calls)
        for side, seconds in one_turn(fastest, lambda side: side.turn(batches), draw).items():  # noqa: B023 - used at once
            fastest[side] = min(fastest[side], seconds)
        at = draw.randrange(calls)
        (answer,), (expected,) = candidate.told(at), reference.told(at)
        if not _close(answer, expected):
            doubtful.append((batches[at], answer))
    return fastest


def _close(answer: Any, expected: Any) -> bool:
    """Whether two answers differ by rounding only, with the tolerances of torch's tests."""
    try:
        torch.testing.assert_close(answer, expected, equal_nan=True)
    except (AssertionError, TypeError, ValueError):
        return False
    return True
