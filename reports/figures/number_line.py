"""The number lines of the formats, with exp(50) and the overflow of exp, from recorded calls of an implementation."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from matplotlib.axes import Axes

from harness.dtype import PARAMETERS
from harness.record import RayTrace
from harness.record.trace import BOOK

from ..figure import Figure
from ..number import plain
from ..style import BROKEN, INK, LINE, MUTED, PENS
from ..svg import add_tooltips
from ..text import listing
from .panel import wide_and_narrow

OPERATION = "exp"
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
    def smallest(self) -> float:
        """The smallest positive number, as a power of ten."""
        precision, emin, _ = PARAMETERS[self.dtype]
        return (emin - precision + 1) * math.log10(2.0)

    @property
    def normal(self) -> float:
        """The smallest normal number, as a power of ten."""
        return PARAMETERS[self.dtype].emin * math.log10(2.0)

    @property
    def largest(self) -> float:
        """The largest number, as a power of ten."""
        return (PARAMETERS[self.dtype].emax + 1) * math.log10(2.0)


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
    label = _explain(selected, book)
    draw, height_in = partial(_draw, lines=selected, book=book), 0.9 + 0.62 * len(selected)
    panel = wide_and_narrow("", draw, name=f"number-line-{case}", label=label, height_in=height_in)
    caption = f"{label} Dots are results of exp in calls of {case}; the thin parts of the lines mark subnormal numbers."
    if "float64" in lines:
        caption += " float64 extends beyond both edges."
    title = "exp overflows at a different input in each format"
    return Figure("number-line", title, (panel,), caption, (), columns=1, claim=_compare_formats(selected, book))


def _compare_formats(lines: Sequence[Line], book: float | None) -> str:
    """Return the formats in which exp(50) overflows, if some have it and some do not; of one format, where exp ends."""
    if len(lines) == 1 and lines[0].ends_at is not None:
        return f"exp overflows from {lines[0].ends_at!r} on in {lines[0].dtype}"
    out_of_range = [line.dtype for line in lines if book is not None and math.log10(book) > line.largest]
    within = [line.dtype for line in lines if line.dtype not in out_of_range]
    claim = f"exp(50) overflows in {listing(out_of_range)}, but not in {listing(within)}"
    return claim if out_of_range and within else ""


def _find_line(trace: RayTrace) -> Line | None:
    """Return the results of ``exp`` on the first entry of the calls; ``None`` without such calls."""
    calls = [
        (call.given[0], stage.values[0])
        for call in trace.stations
        for stage in call.stages
        if stage.operation == OPERATION and call.given and stage.values
    ]
    finite = tuple((t, result) for t, result in calls if math.isfinite(result) and result > 0.0)
    if trace.dtype not in PARAMETERS or not finite:
        return None
    return Line(trace.dtype, finite, next((t for t, result in calls if result == math.inf), None))


def _explain(lines: Sequence[Line], book: float | None) -> str:
    ends = "; ".join(f"{line.dtype} at {line.ends_at!r}" for line in lines if line.ends_at is not None)
    text = f"exp is infinite from these inputs on: {ends}." if ends else ""
    if book is None:
        return text
    out_of_range = [line.dtype for line in lines if math.log10(book) > line.largest]
    beyond = f"beyond the largest number of {' and '.join(out_of_range)}"
    return f"exp(50) is {plain(book)}, {beyond if out_of_range else 'within the range of every format'}. {text}"


def _draw(axes: Axes, *, lines: Sequence[Line], book: float | None) -> None:
    """Draw a line for each format, its smallest and largest numbers at the ends, and a rule at exp(50)."""
    for position, line in enumerate(lines):
        low, normal, high = (max(-EDGE, min(EDGE, end)) for end in (line.smallest, line.normal, line.largest))
        axes.plot([low, normal], [position, position], color=LINE, linewidth=1.2)
        axes.plot([normal, high], [position, position], color=LINE, linewidth=5)
        seen = [(math.log10(result), t, result) for t, result in line.points if math.log10(result) <= EDGE]
        axes.plot([x for x, _, _ in seen], [position] * len(seen), "o", color=PENS["concise"].color, markersize=4)
        visible = [point for point in seen[::3] if point not in seen[-1:]] + seen[-1:]
        add_tooltips(axes, [(x, position, f"exp({t!r}) = {result!r} = {result.hex()}") for x, t, result in visible])
        if line.ends_at is not None and line.largest <= EDGE:
            axes.plot([high], [position], "x", color=BROKEN, markersize=8, markeredgewidth=2)
            axes.text(high + 4, position + 0.24, f"inf from exp({line.ends_at:.6g})", color=INK, ha="right", va="top")
    if book is not None:
        x = math.log10(book)
        axes.axvline(x, color=INK, linewidth=1.0, linestyle=":")
        axes.text(x + 1, -0.55, f"exp(50) = {plain(book)}", color=INK, va="center")
    axes.set_yticks(range(len(lines)), [line.dtype for line in lines])
    axes.set_xticks([-40, -20, 0, 20, 40], ["1e-40", "1e-20", "1", "1e20", "1e40"])
    axes.set(xlim=(-EDGE, EDGE), ylim=(len(lines) - 0.3, -0.9), xlabel="positive numbers")
    axes.grid(visible=False)
    axes.tick_params(axis="y", labelcolor=MUTED)
