"""Calls along a ray: the number lines of the formats, a logarithm of zero, and a result that stops changing."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from matplotlib.axes import Axes

from harness.dtype import PARAMETERS
from harness.record import RayTrace, RecordedCall
from harness.record.survey import BOOK
from harness.wording.number import plain

from ..page_part import Figure
from ..style import BROKEN, INK, LINE, MUTED, PENS
from ..svg import add_tooltips
from ..text import listing
from .axis import End, label_lines
from .chart import name_rows, wide_and_narrow
from .trace import DTYPES, FAR

EDGE = 48
"""Powers of ten on either side that are drawn: all of the short formats, and float64 beyond both edges."""


@dataclass(frozen=True)
class Line:
    """One format: the results of ``exp`` in it, and the first argument with an infinite result.

    Parameters
    ----------
    dtype
        The format.
    points
        Arguments and finite results.
    ends_at
        The first argument with an infinite result; ``None`` for none.
    """

    dtype: str
    points: tuple[tuple[float, float], ...]
    ends_at: float | None

    @property
    def ends(self) -> tuple[float, float, float]:
        """The smallest positive, the smallest normal and the largest number, as powers of ten."""
        precision, emin, emax = PARAMETERS[self.dtype]
        return (emin - precision + 1) * math.log10(2.0), emin * math.log10(2.0), (emax + 1) * math.log10(2.0)


def number_line(traces: Sequence[RayTrace]) -> Figure | None:
    """Return the number lines of the formats in which an implementation called ``exp``.

    Return ``None`` if no call overflowed, because the lines would show nothing.
    """
    pairs = [(trace, line) for trace in traces if (line := _find_line(trace)) is not None]
    case = next((trace.case for trace, line in pairs if line.ends_at is not None), None)
    if case is None:
        return None
    lines = {line.dtype: line for trace, line in reversed(pairs) if trace.case == case}
    selected = [lines[dtype] for dtype in PARAMETERS if dtype in lines]
    book = next((result for line in selected for t, result in line.points if t == BOOK), None)
    label, claim = _explain(selected, book)
    draw, height_in = partial(_draw, lines=selected, book=book), 0.9 + 0.62 * len(selected)
    panel = wide_and_narrow("", draw, name=f"number-line-{case}", label=label, height_in=height_in)
    caption = f"{label} Dots are results of exp in calls of {case}; the thin parts of the lines mark subnormal numbers."
    if "float64" in lines:
        caption += " float64 extends beyond both edges."
    title = "exp overflows at a different input in each format"
    return Figure("number-line", title, (panel,), caption, (), columns=1, claim=claim)


def _find_line(trace: RayTrace) -> Line | None:
    """Return the results of ``exp`` on the first entry of the calls; ``None`` without such calls."""
    calls = [
        (call.given[0], stage.values[0])
        for call in trace.stations
        for stage in call.stages
        if stage.operation == "exp" and call.given and stage.values
    ]
    finite = tuple((t, result) for t, result in calls if math.isfinite(result) and result > 0.0)
    if trace.dtype not in PARAMETERS or not finite:
        return None
    return Line(trace.dtype, finite, next((t for t, result in calls if result == math.inf), None))


def _explain(lines: Sequence[Line], book: float | None) -> tuple[str, str]:
    """Return where exp is infinite in each format, and the title: the formats in which exp(50) overflows."""
    ends = "; ".join(f"{line.dtype} at {line.ends_at!r}" for line in lines if line.ends_at is not None)
    text = f"exp is infinite from these inputs on: {ends}." if ends else ""
    overflowing = [line.dtype for line in lines if book is not None and math.log10(book) > line.ends[2]]
    rest = [line.dtype for line in lines if line.dtype not in overflowing]
    claim = f"exp(50) overflows in {listing(overflowing)}, but not in {listing(rest)}" if overflowing and rest else ""
    if len(lines) == 1 and lines[0].ends_at is not None:
        claim = f"exp overflows from {lines[0].ends_at!r} on in {lines[0].dtype}"
    if book is not None:
        beyond = f"beyond the largest number of {' and '.join(overflowing)}"
        where = beyond if overflowing else "within the range of every format"
        text = f"exp(50) is {plain(book)}, {where}. {text}"
    return text, claim


def _draw(axes: Axes, *, lines: Sequence[Line], book: float | None) -> None:
    """Draw a line for each format, its smallest and largest numbers at the ends, and a rule at exp(50)."""
    for position, line in enumerate(lines):
        low, normal, high = (max(-EDGE, min(EDGE, end)) for end in line.ends)
        axes.plot([low, normal], [position, position], color=LINE, linewidth=1.2)
        axes.plot([normal, high], [position, position], color=LINE, linewidth=5)
        seen = [(math.log10(result), t, result) for t, result in line.points if math.log10(result) <= EDGE]
        axes.plot([x for x, _, _ in seen], [position] * len(seen), "o", color=PENS["concise"].color, markersize=4)
        visible = [point for point in seen[::3] if point not in seen[-1:]] + seen[-1:]
        add_tooltips(axes, [(x, position, f"exp({t!r}) = {result!r} = {result.hex()}") for x, t, result in visible])
        if line.ends_at is not None and line.ends[2] <= EDGE:
            axes.plot([high], [position], "x", color=BROKEN, markersize=8, markeredgewidth=2)
            axes.text(high + 4, position + 0.24, f"inf from exp({line.ends_at:.6g})", color=INK, ha="right", va="top")
    if book is not None:
        x = math.log10(book)
        axes.axvline(x, color=INK, linewidth=1.0, linestyle=":")
        axes.text(x + 1, -0.55, f"exp(50) = {plain(book)}", color=INK, va="center")
    name_rows(axes, [line.dtype for line in lines], xlim=(-EDGE, EDGE), ylim=(len(lines) - 0.3, -0.9))
    axes.set_xticks([-40, -20, 0, 20, 40], ["1e-40", "1e-20", "1", "1e20", "1e40"])
    axes.set(xlabel="positive numbers")
    axes.grid(visible=False)
    axes.tick_params(axis="y", labelcolor=MUTED)


MIN_POINTS = 4
"""Calls in a row that an answer must stay the same to be flat."""

LEAST = 0.05
"""Minimum change of the exact answer over a flat stretch, as a share of the plotted range."""

HEIGHT_IN = 2.9


def log_of_zero(traces: Sequence[RayTrace]) -> Figure | None:
    """Return the first trace on which an operation before the result is zero and the result infinite, or ``None``."""
    for trace in _sort_traces(traces):
        for position, call in enumerate(trace.stations):
            entry = next(filter(lambda index: _is_log_of_zero(call, index), range(len(call.actual))), None)
            if entry is not None and position > 0 and _has_scales(trace, entry):
                return _build_zero_figure(trace, position, entry)
    return None


def flat(traces: Sequence[RayTrace]) -> Figure | None:
    """Return the first trace whose result stops changing while the exact one continues, or ``None``."""
    for trace in _sort_traces(traces):
        calls = trace.stations
        for entry in range(min(len(call.actual) for call in calls)):
            start = _find_flat_start(calls, entry)
            if start is not None and _has_scales(trace, entry):
                return _build_flat_figure(trace, start, entry)
    return None


def _sort_traces(traces: Sequence[RayTrace]) -> list[RayTrace]:
    """Return the traces, first the ones in the usual dtype."""
    candidates = [trace for trace in traces if len(trace.stations) > MIN_POINTS and trace.dtype in DTYPES]
    return sorted(candidates, key=lambda trace: DTYPES.index(trace.dtype))


def _has_scales(trace: RayTrace, entry: int) -> bool:
    """Whether the exact results and the parameters are within the range of the drawing."""
    exact = [_get_expected(call, entry) for call in trace.stations]
    ts = [call.t for call in trace.stations]
    return all(abs(value) < FAR for value in (*exact, *ts)) and max(ts) > min(ts)


def _is_log_of_zero(call: RecordedCall, entry: int) -> bool:
    """Whether an entry is infinite, should be finite, and follows from an operation that returned zero."""
    if not math.isinf(call.actual[entry]) or not math.isfinite(_get_expected(call, entry)):
        return False
    infinite = [stage for stage in call.stages if any(map(math.isinf, stage.values))]
    before = call.stages[: call.stages.index(infinite[0])] if infinite else call.stages
    # A logarithm of zero is minus infinity, in the result or in an operation.
    is_log = any(-math.inf in values for values in (call.actual, *(stage.values for stage in call.stages)))
    return bool(before) and 0.0 in before[-1].values and is_log


def _get_expected(call: RecordedCall, entry: int) -> float:
    return call.expected[entry] if entry < len(call.expected) else math.nan


def _find_flat_start(calls: Sequence[RecordedCall], entry: int) -> int | None:
    """Return the first of the last calls with equal results although the exact ones differ; ``None`` for too few."""
    last = calls[-1].actual[entry]
    first = len(calls)
    while first > 0 and calls[first - 1].actual[entry] == last and calls[first - 1].broken:
        first -= 1
    if len(calls) - first < MIN_POINTS or not math.isfinite(last):
        return None
    exact = [_get_expected(call, entry) for call in calls]
    reach = max(map(abs, exact))
    return first if math.isfinite(reach) and abs(exact[-1] - last) > LEAST * reach else None


def _build_zero_figure(trace: RayTrace, at: int, entry: int) -> Figure:
    call = trace.stations[at]
    before = next(stage for stage in reversed(call.stages) if 0.0 in stage.values)
    caption = (
        f"{trace.case} in {trace.dtype}: at t = {call.t!r} {before.operation} is 0, its logarithm "
        f"is -inf, and the answer is {call.actual[entry]!r} instead of {plain(_get_expected(call, entry), digits=6)}."
    )
    return _build_figure("log-of-zero", "The logarithm of zero makes the answer infinite", trace, entry, caption)


def _build_flat_figure(trace: RayTrace, at: int, entry: int) -> Figure:
    calls = trace.stations
    last = calls[-1]
    clamps = [stage for stage in last.stages if stage.operation.startswith("clamp")]
    why = f", because of {clamps[-1].operation}" if clamps else ""
    caption = (
        f"{trace.case} in {trace.dtype}: from t = {calls[at].t!r} on, the answer stays at "
        f"{last.actual[entry]!r}{why}, and its slope is 0; at t = {plain(last.t, digits=6)} the exact value is "
        f"{plain(_get_expected(last, entry), digits=6)}."
    )
    makes = "Clamping makes the answer" if clamps else "The answer becomes"
    title = f"{makes} flat and silently wrong from t = {plain(calls[at].t, digits=4)} on"
    return _build_figure("goes-flat", title, trace, entry, caption)


def _build_figure(name: str, title: str, trace: RayTrace, entry: int, caption: str) -> Figure:
    draw = partial(_draw_answers, trace=trace, entry=entry)
    panel = wide_and_narrow("", draw, name=f"{name}-{trace.case}", label=caption, height_in=HEIGHT_IN)
    return Figure(name, title, (panel,), f"{caption} Recorded calls with inputs {trace.formula}.", (), columns=1)


def _draw_answers(axes: Axes, *, trace: RayTrace, entry: int) -> None:
    """Draw the exact values as a broad line, the answers on it, and a cross at an edge for each that is not finite."""
    calls = [(call.t, call.actual[entry], _get_expected(call, entry)) for call in trace.stations]
    exact = [value for _, _, value in calls]
    low, high = min(exact), max(exact)
    margin = 0.12 * ((high - low) or 1.0)
    axes.plot([t for t, _, _ in calls], exact, color=LINE, linewidth=6, alpha=0.6)
    finite = [(t, value) for t, value, _ in calls if math.isfinite(value)]
    blue = PENS["concise"].color
    axes.plot([t for t, _ in finite], [value for _, value in finite], color=blue, linewidth=2)
    lost = [(t, value) for t, value, _ in calls if not math.isfinite(value)]
    edges = [high + margin / 2 if value == math.inf else low - margin / 2 for _, value in lost]
    axes.plot([t for t, _ in lost], edges, "x", color=BROKEN, markersize=6, markeredgewidth=1.8)
    add_tooltips(axes, [(t, true, f"t = {t!r}: answer {value!r}, exact {true!r}") for t, value, true in calls])
    axes.set(xlabel=f"t of {trace.formula}", ylabel=f"entry {entry + 1}", ylim=(low - margin, high + margin))
    axes.set_xlim(calls[0][0], calls[-1][0])
    ends = [End(exact[-1], "exact", MUTED), *([End(finite[-1][1], "answer", blue)] if finite else [])]
    if lost:
        sign = "inf" if lost[-1][1] == math.inf else "-inf" if lost[-1][1] < 0 else "nan"
        ends.append(End(edges[-1], sign, INK))
    label_lines(axes, ends, height_in=HEIGHT_IN)
