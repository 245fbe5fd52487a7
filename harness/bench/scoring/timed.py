"""An implementation that is timed from outside: in a process of its own, by a clock that it cannot reach.

An instance is made before its inputs exist. Then the process gets the inputs of a turn, calls the implementation on all
of them, and returns a checksum of each result; the time of this is taken here. Each turn has new inputs, so earlier
results are of no use. Results that are fetched afterwards must have the checksums that were returned within the time.
"""

import math
import time
from collections.abc import Sequence
from typing import Any, Self

from harness.case import Case
from harness.isolation.child import Child, LostError
from harness.isolation.encoding import checksum
from harness.isolation.fork_server import SERVER
from harness.isolation.limits import Limits
from harness.isolation.program import setup
from harness.isolation.remote import RemoteHost

Inputs = Sequence[Any]
"""Arguments for a single call."""

_EMPTY_TURNS = 10


class UntimedError(Exception):
    """Why something cannot be timed."""


class Timed:
    """An implementation in a process of its own; a context, which ends the process.

    Parameters
    ----------
    target
        As :func:`harness.calling.discovery.load` takes it.
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
        """End the process, and what it has started."""
        self._child.close()

    def renew(self) -> None:
        """Go on in a process that was asked for nothing yet, and see how long it takes to be told nothing."""
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
        # A neighbor may have delayed the telling of nothing more than that of something.
        return seconds - min(self._telling_s, seconds / 2)

    def _turn(self, batches: Sequence[Inputs]) -> float:
        self._ask("make", case=0)
        self._ask("take", inputs=[list(inputs) for inputs in batches], device=self._device)
        start = time.perf_counter()
        answer = self._ask("turn")
        seconds = time.perf_counter() - start
        checksums = answer.get("value")
        self._checksums = list(checksums) if isinstance(checksums, list) else []
        return seconds

    def told(self, *at: int) -> list[Any]:
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

    def _ask(self, what: str, **facts: Any) -> dict[str, Any]:
        self._begin()
        try:
            answer = self._place.ask(what, **facts)
        except LostError as lost:
            raise UntimedError(f"{self.target} {lost.loss.sentence} while it is timed") from None
        for kind in ("raised", "inapplicable", "misplaced"):
            if kind in answer:
                words = answer[kind][0] if kind == "raised" else answer[kind]
                raise UntimedError(f"{self.target} raises {words} while it is timed")
        return answer
