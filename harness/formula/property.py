"""A remark about a formula itself: where its written form loses all digits."""

import math
from typing import Any, NamedTuple

import numpy as np

from harness.floats import FORMATS, Array, portable
from harness.formula import inputs as of_inputs
from harness.formula.model import Model
from harness.formula.node import ENTRY
from harness.wording.number import count

FORMAT = FORMATS["float32"]
"""The format that the remark describes; the others behave similarly."""


class Weakness(NamedTuple):
    """A point where the bound as written is at least half of the value, and the attainable bound far smaller."""

    name: str
    at: float
    lost_bits: int
    overflows: bool


def remark(model: Model) -> str | None:
    """Return a sentence about where a formula as written loses all digits, or ``None`` if it always keeps some.

    Each input in turn moves along its rays in float32, while the other inputs are one.
    """
    weaknesses = [
        weakness
        for name in model.names
        if model.formula.domains[name].kind in {"real", "positive"} and model.extent == ENTRY
        for weakness in _weaknesses(model, name)
    ]
    if not weaknesses:
        return None
    first = min(weaknesses, key=lambda weakness: abs(weakness.at))
    spelling = model.formula.spelling
    cause = "leaves the range" if first.overflows else "loses all digits"
    itself = f"loses {count(first.lost_bits, 'bit')}" if first.lost_bits > 0 else "loses none"
    # `{case}` is filled in later; a formula contains no braces.
    return (
        f"`{spelling.form or spelling.definition}` {cause} as written from {first.name} = {first.at:.6g} in "
        f"{FORMAT.name}, while the problem itself {itself}: digits that {{case}} loses there are not a defect (state a "
        "better form with `--form`)"
    )


def _weaknesses(model: Model, name: str) -> list[Weakness]:
    sides = [1.0, -1.0] if model.formula.domains[name].kind == "real" else [1.0]
    return [weakness for weakness in [_first(model, name, sign) for sign in sides] if weakness is not None]


def _first(model: Model, name: str, sign: float) -> Weakness | None:
    t = sign * _grid(of_inputs.reach(model.formula, FORMAT))
    values = _fill_inputs(model, name, t)
    with np.errstate(all="ignore"):
        value = _first_entry(model.value.oracle(*values).hi)
        arrays = [x.double().numpy() if x.is_floating_point() else x.numpy() for x in values]
        written, attainable = (
            _first_entry(bound(arrays, FORMAT)) for bound in (model.value.written, model.value.attainable)
        )
        size = np.abs(value)
        ordinary = np.isfinite(value) & (size >= FORMAT.tiny) & (size < FORMAT.max / 2.0)
        weak = ordinary & (attainable <= size / 8.0) & ~(written <= size / 2.0)
    if not weak.any():
        return None
    index = int(np.flatnonzero(weak)[np.abs(t[weak]).argmin()])
    lost = math.log2(max(attainable[index] / (8.0 * FORMAT.u * size[index]), 1.0))
    return Weakness(name, float(t[index]), round(lost), bool(np.isinf(written[index])))


def _grid(far: float) -> Array:
    """Numbers between the smallest and the largest magnitude, sixteen per binade."""
    low, high = float(portable.log2(of_inputs.least(FORMAT))), float(portable.log2(far))
    return portable.exp2(np.linspace(low, high, round(16.0 * (high - low)))).astype(np.float32).astype(np.float64)


def _fill_inputs(model: Model, name: str, t: Array) -> list[Any]:
    values = []
    for key in model.names:
        wide = len(model.axes(key)) > 1
        x = np.ones((len(t), 3 if wide else 1))
        if key == name:
            x[:, 0] = t
        ready = of_inputs.map_into_domain(x, model.formula.domains[key], FORMAT)
        values.append(ready if wide else ready[:, 0])
    return values


def _first_entry(x: Array) -> Array:
    return x if x.ndim == 1 else x[:, 0]
