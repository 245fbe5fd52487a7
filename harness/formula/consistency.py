"""Reject formulas that are never finite, or whose form differs from their definition."""

from collections.abc import Mapping

import numpy as np
from torch import Tensor

from harness.error import UsageError
from harness.floats import FORMATS, portable
from harness.formula import inputs as of_inputs
from harness.formula.model import Model
from harness.formula.quantity import Quantity

_DOUBLE = FORMATS["float64"]


def agree(model: Model) -> None:
    """Raise an error that names the point if a formula is never finite, or its form differs from its definition.

    Raises
    ------
    UsageError
        In both cases.
    """
    formula = model.formula
    points = _points(model)
    by_definition = Quantity(model.value.inputs, (formula.definition,), formula.form, model.extent, formula.by_rows)
    definition = by_definition.oracle(*points.values())
    finite = np.isfinite(definition.hi)
    if not finite.any():
        raise UsageError(
            f"cannot use the formula `{formula.spelling.definition}`: it is not finite for any input that was tried"
        )
    if formula.form is formula.definition:
        return
    form = Quantity(model.value.inputs, (formula.form,), formula.form, model.extent, formula.by_rows).oracle(
        *points.values()
    )
    with np.errstate(invalid="ignore"):
        distance = np.abs((definition.hi - form.hi) + (definition.lo - form.lo))
        wrong = finite & np.isfinite(form.hi) & (distance > 2.0**-40 * np.abs(definition.hi) + 2.0**-900)
    if wrong.any():
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        row = ", ".join(f"{name} = {_plain(x[at[0]])}" for name, x in points.items())
        raise UsageError(
            f"the form `{formula.spelling.form}` differs from the formula",
            rule=f"the formula gives {definition.hi[at]:.9g} and the form {form.hi[at]:.9g} at {row}",
            remedy="correct one of the two",
        )


def _plain(x: Tensor) -> str:
    return str([float(f"{value:.6g}") for value in x.tolist()]) if x.ndim else f"{float(x):.6g}"


def _points(model: Model) -> Mapping[str, Tensor]:
    """Draw ordinary numbers of both signs, with a few large and small ones."""
    rng = np.random.default_rng(0)
    formula, rows = model.formula, 24
    scale = portable.exp2(rng.integers(-6, 6, size=(rows, 1)).astype(float))
    points = {}
    for name, domain in formula.domains.items():
        wide = len(model.axes(name)) > 1
        width = 3 if wide else 1
        x = np.round(portable.standard_normal(rng, (rows, width)) * scale * 64.0) / 64.0 + 1.0 / 64.0
        ready = of_inputs.map_into_domain(x, domain, _DOUBLE, width=3, varied=True)
        points[name] = ready if wide else ready[:, 0]
    return points
