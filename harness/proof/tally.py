"""Tallies: the findings on a part of the inputs. Tallies of disjoint parts can be added."""

from collections.abc import Callable, Mapping
from itertools import zip_longest
from typing import Any, Self

from harness.calling.adapter import NotApplicable
from harness.calling.host import clock_of
from harness.case import Case
from harness.laws.case_error import CaseError
from harness.record import Departure, Property, Record, Violation, Witness

LIMITS = (1, 2, 4, 8, 16, 64, 1024)
"""Deviations in ulp for which the inputs beyond are counted."""

MOMENTS = ((0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2))
"""Exponents of the two operands' codes in the sums that show which inputs were visited."""


_ADDED = ("not_correctly_rounded", "not_finite", "duration_s", "floor_s", "resolved")


class Tally(Record):
    """Findings on a part of the inputs."""

    moments: tuple[int, ...] = (0,) * len(MOMENTS)
    """Sums of products of powers of the visited codes; the first is their count."""
    not_correctly_rounded: int = 0
    beyond: tuple[int, ...] = (0,) * len(LIMITS)
    not_finite: int = 0
    differing: int | None = None
    witness: Witness | None = None
    order: tuple[int, ...] = ()
    """Place of the witness in the space; among equal deviations, the first counts."""
    broken: Mapping[str, Violation] = {}
    """Laws that broke, each with its first violation."""
    duration_s: float = 0.0
    floor_s: float = 0.0
    error: str | None = None
    skipped: str | None = None
    """Reason why there is nothing to prove."""
    histogram: tuple[int, ...] = ()
    """Number of float32 inputs by deviation, in steps of 1/8 ulp."""
    departures: Mapping[str, Departure] = {}
    compared: Mapping[str, int] = {}
    resolved: int = 0
    """Number of outputs that ball arithmetic decided."""
    properties: tuple[Property, ...] = ()
    """Properties of the case that applied when it was judged."""

    @property
    def visited(self) -> int:
        """Number of visited inputs."""
        return self.moments[0]

    def __add__(self, other: Self) -> "Tally":
        worse = _choose_worse(other, self)
        return Tally(
            moments=tuple(a + b for a, b in zip(self.moments, other.moments, strict=True)),
            beyond=tuple(a + b for a, b in zip(self.beyond, other.beyond, strict=True)),
            differing=_sum(self.differing, other.differing),
            witness=worse.witness,
            order=worse.order,
            broken={**other.broken, **self.broken},
            error=self.error or other.error,
            skipped=self.skipped or other.skipped,
            histogram=tuple(a + b for a, b in zip_longest(self.histogram, other.histogram, fillvalue=0)),
            departures=_merge(self.departures, other.departures),
            compared=_merge(self.compared, other.compared),
            properties=tuple(dict.fromkeys((*self.properties, *other.properties))),
            **{name: getattr(self, name) + getattr(other, name) for name in _ADDED},
        )


def attempt(case: Case, visit: Callable[[], Tally]) -> Tally:
    """Return the tally of a visit with its time; without an answer of the implementation, its error or the reason."""
    clock = clock_of(case)
    started = clock()
    try:
        tally = visit()
    except CaseError as error:
        tally = Tally(error=str(error))
    except NotApplicable as reason:
        tally = Tally(skipped=str(reason))
    return tally.model_copy(update={"duration_s": clock() - started})


def _choose_worse(tally: Tally, other: Tally) -> Tally:
    """Return the tally whose witness deviates more; among equal ones, the earlier."""
    if tally.witness is None or other.witness is None:
        return other if tally.witness is None else tally
    return max(tally, other, key=lambda tally: (_get_deviation(tally), tuple(-position for position in tally.order)))


def _get_deviation(tally: Tally) -> float:
    return tally.witness.deviation if tally.witness is not None else 0.0


def _merge(first: Mapping[str, Any], later: Mapping[str, Any]) -> dict[str, Any]:
    """Add the values of equal names."""
    return {**first, **later, **{name: first[name] + later[name] for name in first if name in later}}


def _sum(count: int | None, other: int | None) -> int | None:
    return None if count is None and other is None else (count or 0) + (other or 0)


def spell_moments(moments: tuple[int, ...]) -> str:
    """Return moments as one text, the checksum of a proof."""
    return "-".join(f"{moment:x}" for moment in moments)
