"""The frames of a survey: breaking points, worst cases, profiles and accumulators, one row an observation."""

from collections.abc import Iterator
from typing import Any

from harness.record import (
    Accumulator,
    Breaking,
    Profile,
    RunFolder,
    Worst,
    closed_form,
    how_sure,
    summing,
    what_happens,
)

_LARGE = {"example", "kind", "place"}


def breakings(run: RunFolder) -> list[dict[str, Any]]:
    """Return one row for each law, case, dtype and ray."""
    return [
        {
            **found.model_dump(exclude=_LARGE),
            "closed_form": closed_form(found),
            "happens": what_happens(found),
            "sure": how_sure(found),
            "record": place,
        }
        for place, found in run.places(Breaking)
    ]


def worst(run: RunFolder) -> list[dict[str, Any]]:
    """Return one row for each law, case, dtype and objective."""
    return [{**found.model_dump(exclude=_LARGE), "record": place} for place, found in run.places(Worst)]


def profiles(run: RunFolder) -> Iterator[dict[str, Any]]:
    """Yield one row for each interval of magnitude of each profile."""
    for place, found in run.places(Profile):
        for magnitude, deviation, bound in zip(found.magnitudes, found.deviations, found.bounds, strict=True):
            yield {**_head(found, place), "magnitude": magnitude, "deviation": deviation, "bound": bound}


def histograms(run: RunFolder) -> Iterator[dict[str, Any]]:
    """Yield one row for each class of each histogram, with its share of all elements."""
    for place, found in run.places(Profile):
        total = sum(found.counts)
        for edge, count in zip(found.edges, found.counts, strict=True):
            yield {**_head(found, place), "up_to": edge, "count": count, "share": count / total if total else None}


def accumulators(run: RunFolder) -> list[dict[str, Any]]:
    """Return one row for each case and dtype."""
    return [
        {**found.model_dump(), "sums": summing(found), "evidence": "; ".join(found.evidence), "record": place}
        for place, found in run.places(Accumulator)
    ]


def _head(found: Profile, place: str) -> dict[str, Any]:
    head = found.model_dump(include={"case", "family", "style", "contract", "law", "dtype", "unit"})
    return {**head, "record": place}
