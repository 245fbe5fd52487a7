"""Speed relative to a reference: pairs of fresh processes that alternate, each on the same new inputs.

Each implementation runs in a separate process, and a clock that it cannot reach times it. An instance is made before
its inputs exist. Then the process gets the inputs of a turn, calls the implementation on each, and returns checksums
of the results. Each turn has new inputs, so earlier results are of no use. Results that are fetched afterwards
must have the checksums that were returned within the time.
"""

import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from harness.case import Case
from harness.isolation.child import Child, LostError
from harness.isolation.encoding import checksum
from harness.isolation.fork_server import SERVER
from harness.isolation.limits import Limits
from harness.isolation.program import setup
from harness.isolation.remote import RemoteHost
from harness.record import Estimate, geometric_mean

Inputs = Sequence[Any]
"""Arguments for a single call."""

_EMPTY_TURNS = 10


class UntimedError(Exception):
    """Why something cannot be timed."""


class Timed:
    """An implementation in a separate process; the context manager ends the process.

    Parameters
    ----------
    target
        As :func:`harness.calling.target.load` takes it.
    contract
        The contract of a single function.
    call
        How it is called, where that is otherwise than the contract says.
    limits
        Under which it runs.
    device
        Where it computes.
    """

    def __init__(self, target: str, contract: str, *, call: Any, limits: Limits, device: str) -> None:
        self.target, self._limits, self._device = target, limits, device
        self._child = Child(limits, setup(target, call, limits), server=SERVER)
        self._place = RemoteHost(self._child)
        self.cases: list[Case] = []
        self._contract, self._call = contract, call
        self._checksums: list[Any] = []
        self._telling_s = math.inf
        """Shortest time of an empty message to the process."""

    def __enter__(self) -> Self:
        """Load it.

        Raises
        ------
        UsageError
            If it cannot be loaded.
        """
        self.cases = self._place.cases(self.target, self._contract, {"call": self._call})
        self._begin()
        return self

    def __exit__(self, *_: object) -> None:
        """End the process and its child processes."""
        self._child.close()

    def renew(self) -> None:
        """Continue in a fresh process, and time an empty message to it."""
        self._child.renew()
        self._telling_s = min(self._telling_s, *(self._turn([]) for _ in range(_EMPTY_TURNS)))

    def turn(self, batches: Sequence[Inputs]) -> float:
        """Return the seconds of a call on each of some inputs.

        Raises
        ------
        UntimedError
            If a call raises, or does not return.
        """
        seconds = self._turn(batches)
        # Another program may have delayed the empty message more than this one.
        return seconds - min(self._telling_s, seconds / 2)

    def _turn(self, batches: Sequence[Inputs]) -> float:
        self._ask("make", case=0)
        self._ask("take", inputs=[list(inputs) for inputs in batches], device=self._device)
        start = time.perf_counter()
        reply = self._ask("turn")
        seconds = time.perf_counter() - start
        checksums = reply.get("value")
        self._checksums = list(checksums) if isinstance(checksums, list) else []
        return seconds

    def reported(self, *at: int) -> list[Any]:
        """Return the results for some of the inputs of the last turn.

        Raises
        ------
        UntimedError
            If they are not the results that there were when the clock stopped.
        """
        value = self._ask("tell", at=list(at))["value"]
        values = list(value) if isinstance(value, list) and len(value) == len(at) else [None] * len(at)
        if [checksum(one) for one in values] != [self._checksum(one) for one in at]:
            raise UntimedError(f"{self.target} changes its results after the time has been taken")
        return values

    def _checksum(self, at: int) -> Any:
        return self._checksums[at] if at < len(self._checksums) else None

    def _begin(self) -> None:
        within_s = self._limits.first_call_s + self._limits.law_s
        self._child.begin(self._limits.call_s, self._limits.first_call_s, within_s)

    def _ask(self, what: str, **arguments: Any) -> dict[str, Any]:
        self._begin()
        try:
            reply = self._place.ask(what, **arguments)
        except LostError as lost:
            raise UntimedError(f"{self.target} {lost.loss.sentence} while it is timed") from None
        for kind in ("raised", "inapplicable", "misplaced"):
            if kind in reply:
                words = reply[kind][0] if kind == "raised" else reply[kind]
                raise UntimedError(f"{self.target} raises {words} while it is timed")
        return reply


TURN_S = 0.02
"""Minimum seconds of a turn, so that the cost of messages is negligible."""

MAX_BYTES = 2**26
"""Maximum bytes of inputs per turn, which limits the number of calls."""

TURNS = 6
"""Number of timed turns per pair, after an untimed turn."""

MIN_COUPLES, MAX_COUPLES = 5, 40

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
    draw = random.Random(seed)  # noqa: S311 - the timed code does not know the seed
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
    if len(log_ratios) >= MAX_COUPLES or time.monotonic() >= until:
        return False
    if len(log_ratios) < MIN_COUPLES:
        return True
    ratio = geometric_mean([math.exp(log_ratio) for log_ratio in log_ratios])
    return ratio.high > NARROW * ratio.low


def _calls(reference: Timed, fresh: Callable[[int], list[Inputs]]) -> int:
    """Return the calls per turn: the reference takes long enough, and the inputs fit into memory."""
    (inputs,) = fresh(1)
    size = sum(x.numel() * x.element_size() for x in inputs if isinstance(x, Tensor))
    max_calls, calls = max(1, MAX_BYTES // max(size, 1)), 1
    reference.renew()
    reference.turn(fresh(1))
    while calls < max_calls and (took_s := reference.turn(fresh(calls))) < TURN_S:
        calls = min(max_calls, max(2 * calls, int(1.2 * calls * TURN_S / max(took_s, 1e-4))))
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
        for side in draw.sample(list(fastest), len(fastest)):
            fastest[side] = min(fastest[side], side.turn(batches))
        at = draw.randrange(calls)
        (reply,), (expected,) = candidate.reported(at), reference.reported(at)
        if not _close(reply, expected):
            doubtful.append((batches[at], reply))
    return fastest


def _close(reply: Any, expected: Any) -> bool:
    """Whether two answers differ by rounding only, with the tolerances of torch's tests."""
    try:
        torch.testing.assert_close(reply, expected, equal_nan=True)
    except (AssertionError, TypeError, ValueError):
        return False
    return True
