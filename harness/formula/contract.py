"""The contract of a formula: laws of its value and of its gradients, with inputs and rays.

It also has what every contract has: the laws of ``implementation`` and ``length``, searches, rays and replay.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from harness.error import UsageError
from harness.floats import FORMATS, Format, portable, to_array
from harness.formula import empty_rows
from harness.formula import inputs as of_inputs
from harness.formula.grammar import Formula, parse
from harness.formula.inputs import COTANGENT
from harness.formula.law import Laws
from harness.formula.model import Model
from harness.formula.node import order
from harness.formula.property import remark
from harness.formula.quantity import Quantity
from harness.formula.spelling import Domain, spelling
from harness.laws import (
    Axes,
    Contract,
    Example,
    Inputs,
    Law,
    Ray,
    derive_long_rows,
    implementation_laws,
    many_rows,
    no_drift,
)
from harness.laws.default_examples import OF_FORMULA
from harness.laws.derivative import derivative_laws
from harness.laws.strategies import FEW_LONG_EXAMPLES

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
        index = tuple(int(i) for i in np.argwhere(wrong)[0])
        row = ", ".join(f"{name} = {_plain(x[index[0]])}" for name, x in points.items())
        raise UsageError(
            f"the form `{formula.spelling.form}` differs from the formula",
            rule=f"the formula gives {definition.hi[index]:.9g} and the form {form.hi[index]:.9g} at {row}",
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
        wide = len(model.row_axes(name)) > 1
        x = np.round(portable.standard_normal(rng, (rows, 3 if wide else 1)) * scale * 64.0) / 64.0 + 1.0 / 64.0
        ready = of_inputs.map_into_domain(x, domain, _DOUBLE, width=3, varied=True)
        points[name] = ready if wide else ready[:, 0]
    return points


OVER = "; to check their mean or sum, pass `--over mean` or `--over sum`; for one formula of all entries, `--over all`"
"""Hint for an implementation that returns one number for all rows."""

MAX_PLACES = 65_535
"""Largest whole number up to which a ray tries every one, so that the first failure is known exactly."""


def _rays(model: Model) -> tuple[Ray, ...]:
    """Return a ray for each input and sign, the other inputs being one; a single number has the usual rays."""
    is_alone = len(model.names) == 1
    if is_alone and not model.grouped and model.formula.domains[model.names[0]].kind in {"real", "positive"}:
        return ()
    domains = model.formula.domains.items()
    return tuple(_ray(model, name, sign) for name, domain in domains for sign in _signs(domain, is_alone=is_alone))


def _signs(domain: Domain, *, is_alone: bool) -> list[float]:
    """Return the signs along which an input has a ray; next to other inputs, shares and ranges below one have none."""
    if not domain.is_number or (domain.kind in {"unit", "distribution"} and not is_alone):
        return []
    low, high = (0.0, math.inf) if domain.kind == "positive" else domain.ends
    return [sign for sign, end in ((1.0, high), (-1.0, -low)) if end > (0.0 if is_alone else 1.0)]


def _ray(model: Model, name: str, sign: float) -> Ray:
    domain, text = model.formula.domains[name], "t" if sign > 0 else "-t"
    ends = domain.ends if sign > 0 else (-domain.ends[1], -domain.ends[0])

    def farthest(format_: Format) -> float:
        if math.isinf(ends[1]):
            return of_inputs.reach(model.formula, format_)
        return min(ends[1], MAX_PLACES if domain.whole else format_.max)

    def nearest(format_: Format) -> float:
        return of_inputs.least(format_) if domain.kind == "positive" else max(ends[0], 0.0)

    name_of, along = f"{name} = {text}", _along(model, name, sign)
    rest = "the other entries share the rest" if domain.kind == "distribution" else "the other inputs 1"
    described = f"{name_of}, {rest}" if len(model.names) > 1 or model.formula.by_rows else name_of
    return Ray(name_of, described, along, farthest, nearest, whole=domain.whole, together=True)


def _along(model: Model, name: str, sign: float) -> Callable[[Tensor, Format], dict[str, Any]]:
    def example(t: Tensor, format_: Format) -> dict[str, Any]:
        t = t.to(format_.dtype)
        inputs: dict[str, Any] = {}
        for key in model.names:
            shape = (len(t), 3) if len(model.row_axes(key)) > 1 else (len(t),)
            ones = np.ones((len(t), shape[-1] if len(shape) > 1 else 1))
            domain = model.formula.domains[key]
            # An input whose range includes one is set to one, others to the middle of their range.
            middle_domain = (
                replace(domain, kind="real") if domain.kind == "range" and domain.low <= 1.0 <= domain.high else domain
            )
            inputs[key] = of_inputs.map_into_domain(ones, middle_domain, format_).reshape(shape)
        x = inputs[name] = inputs[name].clone()
        if model.formula.domains[name].kind == "distribution":
            x[:, 1:] = ((1.0 - t.double()[:, None]) / (x.shape[1] - 1)).to(t.dtype)
        x[(..., 0) if x.ndim > 1 else ...] = sign * t
        if model.reduction:
            inputs = {key: x[:, None] for key, x in inputs.items()}
        shape = (len(t), 3) if len(model.axes(COTANGENT)) > 1 else (len(t),)
        return {**inputs, COTANGENT: torch.ones(shape, dtype=t.dtype)}

    return example


@cache
def contract_of(text: str, name: str = "") -> Contract:
    """Return the contract of a formula.

    Parameters
    ----------
    text
        A line in the syntax of :mod:`harness.formula.spelling`.
    name
        Name of the contract (default: the text).

    Raises
    ------
    UsageError
        If the text is not a formula, is never finite, or its form differs from its definition.
    """
    formula = parse(spelling(text))
    model = Model(formula)
    agree(model)
    laws = Laws(model)
    value, *rest = laws.values()
    gradients = list(laws.gradients())
    first = gradients[0] if gradients else None
    derived: list[Law] = []

    def long(format_: Format) -> st.SearchStrategy[Example]:
        return laws.group(of_inputs.long(formula, format_))

    if formula.by_rows:
        cause = (
            "a sum is accumulated in 16 bits, or a block ends before the row does: accumulate in float32, and cover "
            "the whole row"
        )
        written = replace(value, measure=laws.in_both_ways)
        derived.append(derive_long_rows(written, long, cause=cause, examples=FEW_LONG_EXAMPLES))
    if first is not None:
        on_long = derivative_laws(first, *([long] if formula.by_rows else []), second=False)
        derived += [replace(law, examples=min(law.examples or OF_FORMULA, 6)) for law in map(_forgiving, on_long)]
    if not model.grouped:
        derived.append(no_drift(value, _many(model)))
    names = {name: of_inputs.axes_of(formula, name, model.axes(name)) for name in model.names}
    return Contract(
        name or text,
        signature=_signature(model),
        summary=formula.spelling.statement,
        domain=_domain(formula),
        inputs=laws.draw_examples(cotangent=True),
        laws=(
            value,
            *rest,
            *gradients,
            *(() if model.reduction else empty_rows.laws(model)),
            *derived,
            *implementation_laws(value, rows=not model.grouped, nan=_shows_nan(formula)),
        ),
        axes={**names, COTANGENT: of_inputs.cotangent_axes(model.axes(COTANGENT))},
        output=model.output,
        conventions={} if model.reduction else empty_rows.conventions(model),
        rays=_rays(model),
        grouped=model.grouped,
        of_one_number="" if model.grouped or model.output == ("n", "k") else OVER,
        examples=OF_FORMULA,
        remark=None if model.reduction else cache(lambda _: remark(model)),
    )


def _forgiving(law: Law) -> Law:
    """On long rows, count a gradient with the errors of the whole row as lost digits only.

    A correct gradient has such errors if it passes through the subtracted maximum.
    """
    whole = "a gradient that also passes through the subtracted maximum has the errors of all entries there"
    return replace(law, lost_digits=whole, shows_worst=False) if law.group == "length" else law


def _many(model: Model) -> Inputs:
    """Many ordinary rows."""
    domains = model.formula.domains
    rows = many_rows({name: Axes(model.axes(name)) for name in model.names})

    def inputs(format_: Format) -> st.SearchStrategy[Example]:
        def members(example: Example) -> Example:
            width = max(x.numel() // len(x) for x in example.values())
            return {name: member(name, x, width) for name, x in example.items()}

        def member(name: str, x: Tensor, width: int) -> Tensor:
            rows = to_array(x).reshape(len(x), -1)
            admitted = of_inputs.map_into_domain(
                rows, domains[name], format_, width=width, by_rows=model.formula.by_rows
            )
            return admitted.reshape(x.shape)

        return rows(format_).map(members)

    return inputs


def _shows_nan(formula: Formula) -> bool:
    """Return whether a NaN reaches its whole row; branches, picked entries and running sums can hide it."""
    hiding = {"where", "cumsum", "pick"}
    return not any(node.operation in hiding for node in order(formula.definition, formula.form))


def _signature(model: Model) -> str:
    axes = {name: model.axes(name)[model.grouped :] for name in model.names}
    inputs = ", ".join(f"{name}[{','.join(axes[name])}]" for name in model.names)
    return f"({inputs}) -> [{','.join(model.output)}]"


def _domain(formula: Formula) -> str:
    stated = [f"{name} {domain}" for name, domain in formula.domains.items() if str(domain)]
    return "; ".join(stated) or "finite numbers"
