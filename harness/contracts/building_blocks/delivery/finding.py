"""The measurements that the laws of loaders return, their words, and the reasons to skip a law."""

from collections.abc import Sequence

import numpy as np

from harness.calling.adapter import NotApplicable
from harness.floats import Measurement
from harness.loading.delivery import Deliveries
from harness.loading.reader import Epoch
from harness.loading.source import Request


def satisfied(rows: int = 1) -> Measurement:
    """Return the measurement of a law that holds on this number of samples."""
    zero = np.zeros(max(rows, 1))
    return Measurement(zero, zero, zero, zero)


def found(sentence: str, deviation: float, *, actual: float = 1.0, expected: float = 0.0) -> Measurement:
    """Return the measurement of a broken law, with a sentence and a positive deviation in the law's unit."""
    unit = np.ones(1)
    return Measurement(max(deviation, 1.0) * unit, 0.0 * unit, actual * unit, expected * unit, sentence)


def skip_if(condition: object, reason: str) -> None:
    """Skip the law.

    Raises
    ------
    NotApplicable
        If the condition holds.
    """
    if condition:
        raise NotApplicable(reason)


def whole(epoch: Epoch, why: str = "an epoch") -> Epoch:
    """Return an epoch that was read to its end; skip the law if it was truncated."""
    skip_if(not epoch.ended, f"{why} is too long and was cut; use a smaller data set")
    return epoch


def not_random(deliveries: Deliveries) -> None:
    """Skip the law if samples differ each time they are read."""
    skip_if(deliveries.is_random, "its samples differ each time they are read, so they cannot be compared")


def created_with(deliveries: Deliveries, request: Request) -> str:
    """Return how the loader was created, as the end of a sentence."""
    spelling = deliveries.source.spell(request)
    return f" with {spelling}" if spelling else ""


def differing_places(first: Sequence[object], second: Sequence[object]) -> list[int]:
    """Return the places at which two sequences differ, up to the end of the shorter one."""
    return [place for place, (former, latter) in enumerate(zip(first, second, strict=False)) if former != latter]


def spans(numbers: Sequence[int], limit: int = 6) -> str:
    """Return numbers in words, such as ``3``, ``3 and 7`` or ``0 to 40``."""
    ordered = sorted(set(numbers))
    if len(ordered) > 2 and ordered[-1] - ordered[0] == len(ordered) - 1:
        return f"{ordered[0]} to {ordered[-1]}"
    texts = [str(number) for number in ordered[:limit]]
    more = f" and {len(ordered) - limit} more" if len(ordered) > limit else ""
    return f"{', '.join(texts[:-1])} and {texts[-1]}" if len(texts) > 1 and not more else f"{', '.join(texts)}{more}"
