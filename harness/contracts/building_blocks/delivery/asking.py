"""Requests to a loader for the laws, and the laws that are made from them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from harness.contracts.building_blocks.delivery.finding import skip_if
from harness.floats import Format, Measurement
from harness.laws import Example, Law
from harness.loading.delivery import Deliveries
from harness.loading.source import Request


@dataclass(frozen=True)
class Requests:
    """The examples of a law of loaders: requests in the order in which they are tried, each as keywords and values."""

    several: tuple[Example, ...]

    def __call__(self, _: Format) -> st.SearchStrategy[Example]:
        """Return the strategy of these requests."""
        return st.sampled_from(self.several)

    def __add__(self, others: "Requests") -> "Requests":
        return Requests((*self.several, *others.several))


def asks(**values: Sequence[Any]) -> Requests:
    """Return the requests for every combination of some values."""
    examples: list[Example] = [{}]
    for name, choices in values.items():
        examples = [{**example, name: choice} for example in examples for choice in choices]
    return Requests(tuple(examples))


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
