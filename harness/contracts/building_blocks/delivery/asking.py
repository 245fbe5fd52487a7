"""Requests to a loader for the laws, and the measurements that the laws return."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from harness.calling.adapter import NotApplicable
from harness.floats import Format, Measurement
from harness.laws import Example, Law
from harness.loading.delivery import Deliveries
from harness.loading.reader import Epoch
from harness.loading.source import Request


@dataclass(frozen=True)
class Requests:
    """The examples of a law of loaders: requests in the order in which they are tried, each as keywords and values."""

    several: tuple[Example, ...]

    def __call__(self, _: Format) -> st.SearchStrategy[Example]:
        """Return the strategy of these requests."""
        return st.sampled_from(self.several)


def asks(**values: Sequence[Any]) -> Requests:
    """Return the requests for every combination of some values."""
    examples: list[Example] = [{}]
    for name, choices in values.items():
        examples = [{**one, name: choice} for one in examples for choice in choices]
    return Requests(tuple(examples))


def satisfied(rows: int = 1) -> Measurement:
    """Return the measurement of a law that holds on this number of samples."""
    zero = np.zeros(max(rows, 1))
    return Measurement(zero, zero, zero, zero)


def found(sentence: str, deviation: float, *, actual: float = 1.0, expected: float = 0.0) -> Measurement:
    """Return the measurement of a broken law, with a sentence and a positive deviation in the law's unit."""
    one = np.ones(1)
    return Measurement(max(deviation, 1.0) * one, 0.0 * one, actual * one, expected * one, sentence)


def skip_if(condition: object, reason: str) -> None:
    """Skip the law.

    Raises
    ------
    NotApplicable
        If the condition holds.
    """
    if condition:
        raise NotApplicable(reason)


def named(deliveries: Deliveries, *keywords: str) -> None:
    """Skip the law if the loader's factory lacks a parameter."""
    for keyword in keywords:
        missing = f"{deliveries.name} has no parameter `{keyword}`, so this law does not apply"
        skip_if(not deliveries.names(keyword), missing)


def varied(deliveries: Deliveries, keyword: str, value: Any) -> None:
    """Skip the law for a value other than the default of a parameter that the loader's factory lacks."""
    if value != getattr(Request(), keyword):
        named(deliveries, keyword)


def allowed_request(deliveries: Deliveries, **wanted: Any) -> Request:
    """Return a request, or skip the law as :func:`varied` does."""
    for keyword, value in wanted.items():
        varied(deliveries, keyword, value)
    return deliveries.request(**wanted)


def whole(epoch: Epoch, why: str = "an epoch") -> Epoch:
    """Return an epoch that was read to its end; skip the law if it was truncated."""
    skip_if(not epoch.ended, f"{why} is too long and was cut; use a smaller data set")
    return epoch


def not_random(deliveries: Deliveries) -> None:
    """Skip the law if samples differ each time they are read."""
    skip_if(deliveries.is_random, "its samples differ each time they are read, so they cannot be compared")


def created_with(deliveries: Deliveries, request: Request) -> str:
    """Return how the loader was created, as the end of a sentence."""
    spelling = deliveries.source.spelled(request)
    return f" with {spelling}" if spelling else ""


def differing_places(first: Sequence[object], second: Sequence[object]) -> list[int]:
    """Return the places at which two sequences differ, up to the end of the shorter one."""
    return [at for at, (one, another) in enumerate(zip(first, second, strict=False)) if one != another]


def spans(numbers: Sequence[int], limit: int = 6) -> str:
    """Return numbers in words, such as ``3``, ``3 and 7`` or ``0 to 40``."""
    ordered = sorted(set(numbers))
    if len(ordered) > 2 and ordered[-1] - ordered[0] == len(ordered) - 1:
        return f"{ordered[0]} to {ordered[-1]}"
    texts = [str(number) for number in ordered[:limit]]
    more = f" and {len(ordered) - limit} more" if len(ordered) > limit else ""
    return f"{', '.join(texts[:-1])} and {texts[-1]}" if len(texts) > 1 and not more else f"{', '.join(texts)}{more}"


Measure = Callable[..., Measurement]


def delivery_law(statement: str, inputs: Requests, **info: Any) -> Callable[[Measure], Law]:
    """Decorate a function ``measure(deliveries, **request)`` to make it a law of loaders.

    ``inputs`` are the requests that are tried in order until one breaks the law. ``info`` are other fields of
    :class:`~harness.laws.law.Law`.
    """

    def decorate(measure: Measure) -> Law:
        return Law(
            measure.__name__,
            statement,
            measure=measure,
            inputs=inputs,
            **{"group": "data", "unit": "samples", "source": "contract", **info},
        )

    return decorate
