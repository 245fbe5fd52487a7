"""What a run says of numerics and counts, in the form in which it is compared and committed.

A figure has four digits, rounded up: what is compared is rounded in the same way.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from pydantic import Field

from harness.record import Breaking, Origin, Record, Run, Status, Verdict

DIGITS = 4
"""Of a deviation."""


class Figures(NamedTuple):
    """What one law says of a case in a dtype: status, examples, rows, and the largest deviation."""

    status: Status
    examples: int
    rows: int
    largest: float | None


class Standing(Record):
    """What is known of one case on one device."""

    case: str
    contract: str
    device: str = "cpu"
    dtypes: tuple[str, ...]
    """The order of the dtypes below; ``None`` where there is nothing in one of them."""
    laws: dict[str, tuple[Figures | None, ...]]
    points: dict[str, dict[str, tuple[str | None, ...]]] = Field(default_factory=dict)
    """By law and ray: the breaking point in hexadecimal, an empty text where the law holds to the end of the ray."""
    counts: dict[str, int] = Field(default_factory=dict)
    """Operators, bytes, batches and samples of one call."""

    def figures(self) -> dict[tuple[str, str], Figures]:
        """What each law says in each dtype."""
        return {
            (law, dtype): found
            for law, row in self.laws.items()
            for dtype, found in zip(self.dtypes, row, strict=True)
            if found is not None
        }

    def breaking_points(self) -> dict[tuple[str, str, str], str]:
        """The breaking points by law, ray and dtype."""
        return {
            (law, ray, dtype): point
            for law, rays in self.points.items()
            for ray, row in rays.items()
            for dtype, point in zip(self.dtypes, row, strict=True)
            if point is not None
        }


class Summary(NamedTuple):
    """All that a run says, and what it was made with."""

    origin: Origin
    cases: dict[tuple[str, str], Standing]
    """By name and device."""


def summarised(
    head: Run, verdicts: Sequence[Verdict], breakings: Sequence[Breaking], counts: dict[str, dict[str, int]]
) -> Summary:
    """Return what a run says, in the form of a baseline.

    Parameters
    ----------
    head, verdicts, breakings
        The run.
    counts
        By case.
    """
    standings: dict[tuple[str, str], Standing] = {}
    for case, device in sorted({(one.case, one.device) for one in verdicts}):
        own = [one for one in verdicts if (one.case, one.device) == (case, device)]
        points = [one for one in breakings if (one.case, one.device) == (case, device)]
        standings[case, device] = _standing(own, points, counts.get(case, {}) if device == "cpu" else {})
    return Summary(Origin.of(head.environment), standings)


def _standing(verdicts: Sequence[Verdict], breakings: Sequence[Breaking], counts: dict[str, int]) -> Standing:
    first = verdicts[0]
    dtypes = tuple(sorted({one.dtype for one in verdicts} | {one.dtype for one in breakings}))
    said = {(one.law, one.dtype): _figures(one) for one in verdicts}
    breaks = {(one.law, one.ray, one.dtype): one.value_hex or "" for one in breakings}
    points: dict[str, dict[str, tuple[str | None, ...]]] = {}
    for law, ray in sorted({(one.law, one.ray) for one in breakings}):
        points.setdefault(law, {})[ray] = tuple(breaks.get((law, ray, dtype)) for dtype in dtypes)
    return Standing(
        case=first.case,
        contract=first.contract,
        device=first.device,
        dtypes=dtypes,
        laws={law: tuple(said.get((law, dtype)) for dtype in dtypes) for law in sorted({one.law for one in verdicts})},
        points=points,
        counts=dict(sorted(counts.items())),
    )


def _figures(verdict: Verdict) -> Figures:
    return Figures(verdict.status, verdict.examples, verdict.rows, rounded_up(verdict.largest))


def rounded_up(deviation: float | None) -> float | None:
    """Return a deviation with the digits a baseline keeps, never smaller than it was."""
    if deviation is None or deviation == 0.0 or not math.isfinite(deviation):
        return deviation
    unit = 10.0 ** (math.floor(math.log10(deviation)) + 1 - DIGITS)
    shown = float(f"{math.ceil(deviation / unit) * unit:.{DIGITS}g}")
    return shown if shown >= deviation else float(f"{(math.ceil(deviation / unit) + 1) * unit:.{DIGITS}g}")
