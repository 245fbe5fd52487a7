"""Numerics and counts of a run, in the form in which they are compared and committed.

A figure has four digits, rounded up. Both sides of a comparison are rounded in the same way. If calls on the same
inputs disagree, there are no deviations and breaking points, and only the status of the laws is stored.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from pydantic import Field

from harness.record import Breaking, Gate, GateFinding, Origin, Outcome, Record, Run, Status, Verdict

DIGITS = 4
"""Of a deviation."""

AGREE = "calls_agree"
"""The law without which a deviation is a chance."""


class Figures(NamedTuple):
    """Result of a law for a case in a dtype."""

    status: Status
    examples: int
    rows: int
    largest: float | None
    bound: float | None = None
    """The typical bound with three digits; ``None`` if nothing ran, or if the baseline is older than this field."""
    inputs: str | None = None
    """Digest of the inputs; ``None`` if nothing ran, or if the baseline is older than this field."""


class Snapshot(Record):
    """Results of a case on a device."""

    case: str
    contract: str
    device: str = "cpu"
    dtypes: tuple[str, ...]
    """The order of the dtypes below; ``None`` if a dtype has no value."""
    laws: dict[str, tuple[Figures | None, ...]]
    points: dict[str, dict[str, tuple[str | None, ...]]] = Field(default_factory=dict)
    """Breaking points by law and ray, in hexadecimal; an empty text if the law holds to the end of the ray."""
    counts: dict[str, int] = Field(default_factory=dict)
    """Operators, bytes, batches and samples for a single call."""

    def figures(self) -> dict[tuple[str, str], Figures]:
        """Results by law and dtype."""
        return {
            (law, dtype): figures
            for law, row in self.laws.items()
            for dtype, figures in zip(self.dtypes, row, strict=True)
            if figures is not None
        }

    def where(self, dtype: str) -> str:
        """A dtype, and the device where that is not the CPU."""
        return dtype if self.device == "cpu" else f"{dtype} on {self.device}"

    @property
    def by_chance(self) -> frozenset[str]:
        """The dtypes in which calls on the same inputs do not agree."""
        agree = zip(self.dtypes, self.laws.get(AGREE, ()), strict=False)
        return frozenset(dtype for dtype, figures in agree if figures is not None and _is_chance(figures.status))

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
    """Results of a run, and its environment."""

    origin: Origin
    cases: dict[tuple[str, str], Snapshot]
    """Cases by name and device."""
    surveyed: bool
    """Whether the run searched for breaking points."""


class Counts(Record):
    """Counts by case, and the reasons why other cases could not be called."""

    by_case: dict[str, dict[str, int]] = Field(default_factory=dict)
    failures: dict[str, str] = Field(default_factory=dict)
    uncompiled: dict[str, str] = Field(default_factory=dict)
    """The reasons why cases that need a compiler were not called."""

    @property
    def findings(self) -> list[GateFinding]:
        """A sentence on each case that could not be called."""
        return [
            GateFinding(gate=Gate.COUNTS, case=case, outcome=outcome, sentence=f"{case} {what} {why}.")
            for outcome, what, reasons in (
                (Outcome.NO_VERDICT, "cannot be counted: calling it raises", self.failures),
                (Outcome.INCONCLUSIVE, "is not counted:", self.uncompiled),
            )
            for case, why in reasons.items()
        ]


def summarize_run(
    head: Run, verdicts: Sequence[Verdict], breakings: Sequence[Breaking], counts: dict[str, dict[str, int]]
) -> Summary:
    """Return the results of a run, in the form of a baseline."""
    snapshots: dict[tuple[str, str], Snapshot] = {}
    for case, device in sorted({(verdict.case, verdict.device) for verdict in verdicts}):
        selected = [verdict for verdict in verdicts if (verdict.case, verdict.device) == (case, device)]
        points = [point for point in breakings if (point.case, point.device) == (case, device)]
        snapshots[case, device] = _make_snapshot(selected, points, counts.get(case, {}) if device == "cpu" else {})
    return Summary(Origin.of(head.environment), snapshots, surveyed=bool(breakings))


def _make_snapshot(verdicts: Sequence[Verdict], breakings: Sequence[Breaking], counts: dict[str, int]) -> Snapshot:
    first = verdicts[0]
    chance = {verdict.dtype for verdict in verdicts if verdict.law == AGREE and _is_chance(verdict.status)}
    breakings = [point for point in breakings if point.dtype not in chance]
    dtypes = tuple(sorted({verdict.dtype for verdict in verdicts} | {point.dtype for point in breakings}))
    figures = {(row.law, row.dtype): _summarize_verdict(row, by_chance=row.dtype in chance) for row in verdicts}
    breaks = {(point.law, point.ray, point.dtype): point.value_hex or "" for point in breakings}
    points: dict[str, dict[str, tuple[str | None, ...]]] = {}
    for law, ray in sorted({(point.law, point.ray) for point in breakings}):
        points.setdefault(law, {})[ray] = tuple(breaks.get((law, ray, dtype)) for dtype in dtypes)
    return Snapshot(
        case=first.case,
        contract=first.contract,
        device=first.device,
        dtypes=dtypes,
        laws={
            law: tuple(figures.get((law, dtype)) for dtype in dtypes) for law in sorted({row.law for row in verdicts})
        },
        points=points,
        counts=dict(sorted(counts.items())),
    )


def _is_chance(status: Status) -> bool:
    return status in {Status.BROKEN, Status.EXPECTED, Status.LOST, Status.UNCLAIMED}


def _summarize_verdict(verdict: Verdict, *, by_chance: bool) -> Figures:
    """A verdict in short; where it is a chance on which example a law breaks, no number of examples either."""
    bound = None if verdict.typical_bound is None else float(f"{verdict.typical_bound:.3g}")
    inputs = verdict.inputs if verdict.status is Status.HOLDS else None
    if not by_chance:
        return Figures(verdict.status, verdict.examples, verdict.rows, round_up(verdict.largest), bound, inputs)
    if verdict.status is Status.HOLDS:
        return Figures(verdict.status, verdict.examples, verdict.rows, None, bound, inputs)
    return Figures(verdict.status, 0, 0, None)


def round_up(deviation: float | None) -> float | None:
    """Return a deviation with the digits a baseline keeps, never smaller than it was."""
    if deviation is None or deviation == 0.0 or not math.isfinite(deviation):
        return deviation
    unit = 10.0 ** (math.floor(math.log10(deviation)) + 1 - DIGITS)
    rounded = float(f"{math.ceil(deviation / unit) * unit:.{DIGITS}g}")
    return rounded if rounded >= deviation else float(f"{(math.ceil(deviation / unit) + 1) * unit:.{DIGITS}g}")
