"""Wrong results along a ray: a logarithm of zero, and a result that stops changing.

Both use recorded calls of any implementation.
"""

import math
from collections.abc import Callable, Sequence

from matplotlib.axes import Axes

from harness.record import RayTrace, RecordedCall

from ..figure import Figure
from ..number import plain
from ..style import BROKEN, INK, LINE, MUTED, PENS
from ..svg import add_tooltips
from .axis import End, label_lines
from .panel import wide_and_narrow
from .trace import FAR

MIN_POINTS = 4
"""Calls in a row that an answer must stay the same to be flat."""

LEAST = 0.05
"""Minimum change of the exact answer over a flat stretch, as a share of the plotted range."""

HEIGHT_IN = 2.9
EXACT, ANSWER = "exact", "answer"
DTYPES = ("float32", "float64", "float16", "bfloat16")


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
    panel = wide_and_narrow("", _drawing(trace, entry), name=f"{name}-{trace.case}", label=caption, height_in=HEIGHT_IN)
    return Figure(name, title, (panel,), f"{caption} Recorded calls with inputs {trace.formula}.", (), columns=1)


def _drawing(trace: RayTrace, entry: int) -> Callable[[Axes], None]:
    def draw(axes: Axes) -> None:
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
        ends = [End(exact[-1], EXACT, MUTED), *([End(finite[-1][1], ANSWER, blue)] if finite else [])]
        if lost:
            sign = "inf" if lost[-1][1] == math.inf else "-inf" if lost[-1][1] < 0 else "nan"
            ends.append(End(edges[-1], sign, INK))
        label_lines(axes, ends, height_in=HEIGHT_IN)

    return draw
