"""Doubts about a time on an accelerator: faults of the measurement, for which it is rejected, and remarks.

A step cannot be faster than its floor, and cannot end before the accelerator does. A remark names work that the time
includes, or that the events do not see.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from torch import Tensor

from harness.compat.torch import TorchDispatchMode, tree_leaves
from harness.record import Estimate, median_ratio
from harness.wording.number import percent, times

APART = 0.1
"""Smallest relative difference that is named."""

SHORTEST_S = 1e-9
"""Least time that counts, since a clock may not move."""


def find_faults(
    rounds_s: Sequence[float],
    floor_s: Sequence[float],
    device_s: Sequence[float],
    flushed_per_s: Sequence[float],
    memory_per_s: Sequence[float],
) -> Iterator[str]:
    """Yield the reasons why times are wrong.

    Parameters
    ----------
    rounds_s, floor_s, device_s
        Seconds of a step that is waited for, of its floor, and of the accelerator by its events, in each round.
    flushed_per_s, memory_per_s
        Bytes per second that are read after a flush of the cache, and at most from the memory.
    """
    for limit_s, owner in ((floor_s, "its floor"), (device_s, "the accelerator's own time")):
        if (ratio := _compare(rounds_s, limit_s)).high < 1.0 - APART:
            yield f"the step takes {times(ratio.point)} {owner}, so the accelerator was not waited for"
            break
    if (ratio := median_ratio(flushed_per_s, memory_per_s)).low > 1.0 + APART:
        yield f"data is read at {times(ratio.point)} the rate of the memory, so the cache was not flushed"


def find_remarks(
    device_s: Sequence[float],
    beyond_s: Sequence[float],
    product_launch_s: Sequence[float],
    product_s: Sequence[float],
    copies: Sequence[str],
) -> Iterator[str]:
    """Yield remarks on work that a time includes, or that events do not see.

    Parameters
    ----------
    device_s, beyond_s
        Seconds of the accelerator by its events, and after the last event, in each round.
    product_launch_s, product_s
        Seconds of the host to queue a large product, and of the accelerator for it, in each round.
    copies
        Directions in which the step copies.
    """
    if (ratio := _compare(beyond_s, device_s)).low > APART:
        yield f"the step goes on for {percent(ratio.point)} of its time on another stream, which events do not see"
    if _compare(product_launch_s, product_s).low > 0.5:
        yield "the accelerator computes on the host's time: to queue a product takes as long as the product"
    for copied in copies:
        yield f"the step copies {copied}, which its time includes"


def _compare(series_s: Sequence[float], limit_s: Sequence[float]) -> Estimate:
    """Return the ratio of two times; a time of zero counts as none."""
    return median_ratio([max(each_s, SHORTEST_S / 100) for each_s in series_s], [max(x, SHORTEST_S) for x in limit_s])


class _Copies(TorchDispatchMode):
    """Notes the copies between host and accelerator."""

    def __init__(self, device: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.device = device
        self.directions: dict[str, None] = {}

    def __torch_dispatch__(self, operation: Any, _: object, args: Any = (), kwargs: Any = None) -> Any:
        """Carry out an operation, and compare the devices of operands and results."""
        result = operation(*args, **(kwargs or {}))
        given, made = (self._list_devices(values) for values in ((args, kwargs), result))
        if str(operation).startswith(("aten._to_copy", "aten.copy_", "aten._local_scalar_dense")):
            if "cpu" in given and self.device in made:
                self.directions[f"from the host to {self.device}"] = None
            if self.device in given and self.device not in made:
                self.directions[f"from {self.device} to the host"] = None
        return result

    @staticmethod
    def _list_devices(values: object) -> set[str]:
        return {x.device.type for x in tree_leaves(values) if isinstance(x, Tensor)}


def find_copies(launch: Callable[[], object], device: str) -> tuple[str, ...]:
    """Return the directions in which a step copies between host and accelerator."""
    with _Copies(device) as copies:
        launch()
    return tuple(copies.directions)
