"""The interactive figure: an implementation compared with the exact result while the parameter of a ray grows.

The page computes no number: its script only exchanges recorded texts, widths and paths. Without scripts the page shows
the breaking point of the first view.
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from typing import Any, ClassVar

from markupsafe import Markup

from harness.findings.merging import group_by
from harness.record import RayTrace
from harness.wording.number import plain

from ..page_part import Panel, Part
from ..style import PENS
from ..text import clean

MAX_CHARACTERS = 200_000
"""Maximum size of the views on one page; further contracts are only in the data files."""

WIDTH, HEIGHT = 1000, 200
"""Size of the drawing in its own units; the page stretches it."""

DTYPES = ("float32", "float64", "float16", "bfloat16")
"""Formats in the order in which calls in them are preferred."""

WRONG = "is silently wrong"

FAR = 1e300
"""Larger parameters are not drawn."""


@dataclass(frozen=True)
class Lane:
    """One row of numbers: the inputs, the result of an operation, the answer, or the exact one.

    Parameters
    ----------
    name
        Heading of the row.
    kind
        ``given``, ``stage``, ``actual`` or ``exact``.
    cells
        For each call and column the text, and the length of its bar in percent; ``None`` for no bar.
    """

    name: str
    kind: str
    cells: tuple[tuple[tuple[str, int | None], ...], ...]


@dataclass(frozen=True)
class View:
    """One implementation in one dtype along one ray, as texts.

    Parameters
    ----------
    trace
        The recorded calls.
    columns
        Column headings; entries that are equal in every call share a column.
    lanes
        Rows of numbers.
    says
        One sentence for each call.
    """

    trace: RayTrace
    columns: tuple[str, ...]
    lanes: tuple[Lane, ...]
    says: tuple[str, ...]

    @property
    def at(self) -> int:
        """The first call to show: the breaking point, or the last."""
        ts = [call.t for call in self.trace.stations]
        return ts.index(self.trace.breaks_at) if self.trace.breaks_at in ts else len(ts) - 1

    @property
    def where(self) -> str:
        """The breaking point in words."""
        point = self.trace.breaks_at
        if point is None:
            return "does not break on this ray"
        return f"breaks at t = {point!r}{f' = {self.trace.form}' if self.trace.form else ''}"

    @property
    def claim(self) -> str:
        """The failure and its first parameter, in one sentence without a full stop."""
        name = ".".join(self.trace.case.split(".")[-2:])
        point = self.trace.breaks_at
        if point is None:
            return f"No value of {name} exceeds its error bound on this ray"
        call = self.trace.stations[self.at]
        answer, exact = _get_entry(call.actual, self.plotted), call.expected[self.plotted]
        failure, where = _explain_failure(answer, exact), f"from t = {plain(point, digits=4)} on"
        if failure == WRONG and any(stage.operation.startswith("clamp") for stage in call.stages):
            return f"Clamping makes {name} {failure.removeprefix('is ')} {where}"
        return f"{name} {failure} {where}"

    @property
    def position(self) -> float | None:
        """Distance of the breaking point from the left, in percent."""
        return None if self.trace.breaks_at is None else self.positions[self.at]

    @property
    def positions(self) -> tuple[float, ...]:
        """Distances of the calls from the left, in percent."""
        return tuple(round(100.0 * self._x(call.t) / WIDTH, 2) for call in self.trace.stations)

    @property
    def end(self) -> str:
        """The largest parameter."""
        return plain(self.trace.stations[-1].t, digits=4)

    def _x(self, t: float) -> float:
        first, last = self.trace.stations[0].t, self.trace.stations[-1].t
        return WIDTH * (t - first) / ((last - first) or 1.0)

    @cached_property
    def plotted(self) -> int:
        """Index of the plotted entry: the one with the largest relative error where the law first breaks."""
        return _find_worst_entry(self.trace)

    @property
    def subject(self) -> str:
        """The plotted entry in words."""
        return _format_subject(self.trace, self.plotted)

    @property
    def column(self) -> int:
        """Index of the cell that holds the plotted entry in a row of answers."""
        columns, width = _group_columns(self.trace), max(len(call.given) for call in self.trace.stations)
        if any(len(call.expected) != width for call in self.trace.stations):
            return self.plotted
        return next(index for index, entries in enumerate(columns) if self.plotted in entries)

    @property
    def shows(self) -> str:
        """Description of the plot."""
        axis = " on a logarithmic axis" if self.is_logarithmic else ""
        return f"The plot shows {self.subject}{axis}; gaps are values that are NaN, infinite or off the axis."

    @cached_property
    def is_logarithmic(self) -> bool:
        """Whether the exact values of the plotted entry span more than six powers of ten."""
        exact = self._exact
        positive = [value for value in exact if 0.0 < value < FAR]
        return min(exact) >= 0.0 and len(positive) > 1 and max(positive) > 1e6 * min(positive)

    @property
    def _exact(self) -> list[float]:
        return [call.expected[self.plotted] for call in self.trace.stations]

    def _height(self, value: float) -> float:
        """Return a value on the axis; a logarithm of zero or less is off the axis."""
        if not self.is_logarithmic:
            return value
        return math.log10(value) if value > 0.0 else math.nan

    @cached_property
    def range(self) -> tuple[float, float]:
        """The ends of the axis: the smallest and the largest exact value, or their logarithms."""
        finite = [value for value in self._exact if abs(value) < FAR] or [0.0]
        if self.is_logarithmic:
            heights = [self._height(value) for value in finite if value > 0.0]
            return min(heights), max(heights)
        low, high = min(0.0, *finite), max(finite)
        return low, high if high > low else low + 1.0

    @property
    def ticks(self) -> tuple[str, str]:
        """The ends of the axis as text."""
        low, high = (10.0**end if self.is_logarithmic else end for end in self.range)
        return plain(low), plain(high)

    @property
    def exact_path(self) -> str:
        """The plotted entry of the exact result."""
        return self._path([self._height(value) for value in self._exact])

    @property
    def actual_path(self) -> str:
        """The plotted entry of the returned result; a value that is not a number or off the axis leaves a gap."""
        answers = [_get_entry(call.actual, self.plotted) for call in self.trace.stations]
        return self._path([math.nan if value is None else self._height(value) for value in answers])

    @property
    def broken_path(self) -> str:
        """The calls at which the law is broken, along the lower edge."""
        return self._path([self.range[0] if call.broken else math.nan for call in self.trace.stations])

    def _path(self, values: Sequence[float]) -> str:
        low, high = self.range
        margin = 0.15 * (high - low)
        pieces, drawing = [], False
        for call, value in zip(self.trace.stations, values, strict=True):
            inside = math.isfinite(value) and low - margin <= value <= high + margin
            if inside:
                y = HEIGHT * (0.9 - 0.8 * (value - low) / (high - low))
                pieces.append(f"{'L' if drawing else 'M'}{self._x(call.t):.1f} {y:.1f}")
            drawing = inside
        return "".join(pieces)

    def document(self) -> dict[str, Any]:
        """Return the data for the script."""
        trace = self.trace
        stated = ("claim", "where", "subject", "column", "shows", "at", "position", "positions", "end", "ticks")
        return {
            **{name: clean(getattr(trace, name)) for name in ("contract", "case", "dtype", "ray", "formula")},
            **{name: getattr(self, name) for name in stated},
            "paths": [self.exact_path, self.actual_path, self.broken_path],
            "columns": self.columns,
            "lanes": [
                {"name": lane.name, "kind": lane.kind, "cells": [[text for text, _ in row] for row in lane.cells]}
                for lane in self.lanes
            ],
            "t": [repr(call.t) for call in trace.stations],
            "hex": [call.t_hex for call in trace.stations],
            "broken": "".join(str(int(call.broken)) for call in trace.stations),
        }


@dataclass(frozen=True)
class Watch(Part):
    """The views of a page in the order of the menus; without a script the page shows the first one."""

    kind = "watch"
    caption = caveat = ""
    panels: ClassVar[tuple[Panel, ...]] = ()

    views: tuple[View, ...]

    @property
    def visible_title(self) -> str:
        """The failure of the first view, which needs no caption."""
        return self.first.claim

    @property
    def first(self) -> View:
        """The first view to show."""
        return self.views[0]

    @property
    def data(self) -> Markup:
        """The views as JSON that cannot end a script element."""
        return Markup(f"[{','.join(map(_dump, self.views))}]".replace("<", "\\u003c"))  # noqa: S704 - ends no script


def watch(traces: Sequence[RayTrace]) -> Watch | None:
    """Return the views of some traces, undeclared breaks first; ``None`` without any."""
    views: list[View] = []
    characters = 0
    for trace in sorted(filter(_is_whole, traces), key=_make_sort_key(traces)):
        columns = _group_columns(trace)
        lanes, sentences = tuple(_lanes(trace, columns)), tuple(_explain(trace))
        view = View(trace, tuple(map(_format_range, columns)), lanes, sentences)
        characters += len(_dump(view))
        if views and characters > MAX_CHARACTERS:
            break
        views.append(view)
    return Watch(tuple(views)) if views else None


def _dump(view: View) -> str:
    return json.dumps(view.document(), separators=(",", ":"), allow_nan=False)


def _is_whole(trace: RayTrace) -> bool:
    ts = [call.t for call in trace.stations]
    return len(ts) > 1 and all(abs(t) < FAR for t in ts) and all(call.expected for call in trace.stations)


def _make_sort_key(traces: Sequence[RayTrace]) -> Any:
    """Return a sort key: contracts with an undeclared break first; then float32, the first ray and breaks."""
    contracts = list(dict.fromkeys(trace.contract for trace in traces))
    rays = list(dict.fromkeys(trace.ray for trace in traces))

    def breaks(trace: RayTrace) -> int:
        return 2 if trace.breaks_at is None else int(trace.expected_break)

    rank = {name: min(map(breaks, group)) for name, group in group_by(traces, lambda trace: trace.contract).items()}

    def key(trace: RayTrace) -> tuple[int, ...]:
        style, dtype = [*PENS, trace.style].index(trace.style), [*DTYPES, trace.dtype].index(trace.dtype)
        position = contracts.index(trace.contract)
        return (rank[trace.contract], position, dtype, rays.index(trace.ray), breaks(trace), style)

    return key


def _group_columns(trace: RayTrace) -> list[list[int]]:
    """Return the entries of a row, grouped if they are equal in every call."""
    width = max(len(call.given) for call in trace.stations)
    every = (
        (call.given, *(stage.values for stage in call.stages), call.actual, call.expected) for call in trace.stations
    )
    rows = [row for rows in every for row in rows if len(row) == width]
    return list(group_by(range(width), lambda entry: tuple(repr(row[entry]) for row in rows)).values())


def _format_range(entries: list[int]) -> str:
    first, last = entries[0] + 1, entries[-1] + 1
    if first == last:
        return f"entry {first}"
    return f"entries {first} to {last}" if last - first + 1 == len(entries) else f"{len(entries)} entries"


def _lanes(trace: RayTrace, columns: list[list[int]]) -> Iterator[Lane]:
    """Yield the rows of numbers, without operations that only some calls perform."""
    calls = trace.stations
    width = max(len(call.given) for call in calls)

    def select(rows: Sequence[tuple[float, ...]]) -> list[list[float]]:
        return [[row[entries[0]] for entries in columns] if len(row) == width else [*row] for row in rows]

    def cells(rows: Sequence[tuple[float, ...]]) -> Any:
        return tuple(tuple((_format(value), None) for value in row) for row in select(rows))

    def comparison(rows: Sequence[tuple[float, ...]], rest: Sequence[tuple[float, ...]]) -> Any:
        return tuple(
            tuple(
                (_format_apart(x, neighbor), round(100.0 * min(abs(x) / scale, 1.0)) if math.isfinite(x) else 100)
                for x, neighbor in zip_longest(row, neighbors[: len(row)])
            )
            for row, neighbors, scale in zip(select(rows), select(rest), scales, strict=True)
        )

    finite = [[abs(value) for value in (*call.actual, *call.expected) if math.isfinite(value)] for call in calls]
    scales = [max(values, default=0.0) or 1.0 for values in finite]
    yield Lane("input", "given", cells([call.given for call in calls]))
    operations = [tuple(stage.operation for stage in call.stages) for call in calls]
    if len(set(operations)) == 1:
        for position, operation in enumerate(operations[0]):
            yield Lane(operation, "stage", cells([call.stages[position].values for call in calls]))
    actual, exact = [call.actual for call in calls], [call.expected for call in calls]
    yield Lane("answer", "actual", comparison(actual, exact))
    yield Lane("exact", "exact", comparison(exact, actual))


def _format_apart(value: float, other: float | None) -> str:
    """Return a number with as many digits as distinguish it from another one."""
    text = _format(value)
    looks_equal = other is not None and value != other and not math.isnan(value) and text == _format(other)
    return repr(value) if looks_equal else text


def _format(value: float) -> str:
    """Return a number with eight digits; the data has all of them."""
    return "nan" if math.isnan(value) else f"{value:.8g}"


def _explain(trace: RayTrace) -> Iterator[str]:
    """Yield one sentence for each call, on the plotted entry; the script builds the same one."""
    entry = _find_worst_entry(trace)
    subject = _format_subject(trace, entry)
    for call in trace.stations:
        actual = _get_entry(call.actual, entry)
        true = call.expected[entry]
        answer = "missing" if actual is None else _format_apart(actual, true).replace("nan", "NaN")
        exact = _format_apart(true, actual)
        verdict = "the law is broken" if call.broken else "the error is within its bound"
        yield f"t = {call.t!r}: {subject} is {answer}; the exact value is {exact}; {verdict}."


def _explain_failure(answer: float | None, exact: float) -> str:
    if answer is None:
        return "has the wrong shape"
    if math.isnan(answer):
        return "returns NaN"
    if math.isinf(answer):
        return "returns infinity"
    return "returns 0" if answer == 0.0 != exact else WRONG


def _get_entry(values: Sequence[float], entry: int) -> float | None:
    """Return one entry of an answer; ``None`` if the answer has no such entry."""
    return values[entry] if entry < len(values) else None


def _format_subject(trace: RayTrace, entry: int) -> str:
    return f"entry {entry + 1}" if max(len(call.expected) for call in trace.stations) > 1 else "the answer"


def _find_worst_entry(trace: RayTrace) -> int:
    """Return the index of the entry with the largest relative error where the law first breaks; 0 if it holds."""
    broken = [call for call in trace.stations if call.broken and call.actual]
    first = next((call for call in broken if call.t == trace.breaks_at), broken[0] if broken else None)
    if first is None:
        return 0
    errors = [_relative_error(actual, exact) for actual, exact in zip(first.actual, first.expected, strict=False)]
    widths = {len(call.expected) for call in trace.stations}
    return errors.index(max(errors)) if len(widths) == 1 else 0


def _relative_error(actual: float, exact: float) -> float:
    if actual == exact:
        return 0.0
    if not math.isfinite(actual - exact):
        return math.inf
    return abs(actual - exact) / abs(exact) if exact else math.inf
