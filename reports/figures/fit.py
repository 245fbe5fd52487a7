"""The fit of a linear model: the effects of the inputs on the target, and the learned line."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes

from harness.record import FitData

from ..figure import Figure, Panel
from ..number import plain
from ..style import PENS
from ..svg import add_tooltips, draw_svg
from ..text import count

SAMPLE, LEARNED = PENS["concise"].color, PENS["scratch"].color
BIAS = "b"

FAR = 1e100
"""Values beyond this limit are not drawn."""


def fit(data: FitData, estimates: pd.DataFrame) -> Figure | None:
    """Return a panel for each input of the model that was trained first; ``None`` if its parameters are unknown.

    Notes
    -----
    The vertical axis is the partial residual: the target without the contributions of the other inputs and the bias.
    The learned line then has the slope of the weight.
    """
    number = len(data.inputs[0]) if data.inputs else 0
    names = [*(f"w[{index}]" for index in range(number)), BIAS]
    for case, group in estimates.groupby("case", sort=False):
        learned = dict(zip(group["parameter"], group["learned"], strict=True))
        if number and set(names) <= set(learned):
            return _build_figure(str(case), data, [float(learned[name]) for name in names])
    return None


def _build_figure(case: str, data: FitData, parameters: Sequence[float]) -> Figure | None:
    *weights, bias = parameters
    pairs = zip(data.inputs, data.targets, strict=True)
    rows = [(x, y) for x, y in pairs if all(abs(number) < FAR for number in (*x, y, *parameters))]
    if not rows:
        return None
    data = data.model_copy(update={"inputs": tuple(x for x, _ in rows), "targets": tuple(y for _, y in rows)})
    panels = [_build_panel(data, weights, bias, index) for index in range(len(weights))]
    errors = [target - bias - _dot(weights, row) for row, target in zip(data.inputs, data.targets, strict=True)]
    spread = (sum(error * error for error in errors) / len(errors)) ** 0.5
    slopes = " and ".join(plain(weight, digits=5) for weight in weights)
    caption = (
        f"{case} on {data.data}: {count(len(errors), 'sample')}, minus the contribution of the other inputs and of the "
        f"bias {plain(bias, digits=5)}. The line has the learned slope ({slopes}). The root mean square distance of "
        f"the samples from it is {plain(spread)}."
    )
    return Figure("fit", "Samples and fitted line", tuple(panels), caption, ("estimates",), columns=2)


def _build_panel(data: FitData, weights: Sequence[float], bias: float, at: int) -> Panel:
    samples = zip(data.inputs, data.targets, strict=True)
    pairs = [(row[at], target - bias - _dot(weights, row) + weights[at] * row[at]) for row, target in samples]
    title = f"input {at + 1}: slope {plain(weights[at], digits=5)}"

    def draw(axes: Axes) -> None:
        xs, ys = [x for x, _ in pairs], [y for _, y in pairs]
        axes.plot(xs, ys, "o", color=SAMPLE, markersize=3.4, alpha=0.7)
        ends = [min(xs), max(xs)]
        axes.plot(ends, [weights[at] * x for x in ends], color=LEARNED, linewidth=1.6)
        add_tooltips(axes, [(x, y, f"x = {x!r}: {y!r}; fitted line: {weights[at] * x!r}") for x, y in pairs[::3]])
        axes.set(xlabel=f"input {at + 1}", ylabel="partial residual of y")

    svg = draw_svg(draw, name=f"fit-{at}", label=f"Samples and the learned line of {title}.", height_in=2.6)
    return Panel(title, svg)


def _dot(weights: Sequence[float], row: Sequence[float]) -> float:
    return sum(weight * x for weight, x in zip(weights, row, strict=True))
