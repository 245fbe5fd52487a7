"""Rows in which a mask keeps no entry: the result is the formula's, or a declared one if the formula is undefined.

Many formulas are defined for such rows, because an empty sum is zero. A formula that divides by that sum, or takes its
logarithm, is undefined. The convention ``fully_masked`` then declares the result; by default it is open.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from hypothesis import strategies as st
from torch import Tensor

from harness.calling.adapter import NotApplicable
from harness.floats import Array, Format, Measurement, compare, to_array
from harness.formula import inputs as of_inputs
from harness.formula.grammar import Formula
from harness.formula.inputs import COTANGENT
from harness.formula.law import WRITTEN, larger_bound, measure_deviation
from harness.formula.model import Model
from harness.formula.node import ENTRY
from harness.formula.quantity import Quantity
from harness.laws import Example, Law, Subject
from harness.laws.contract import Convention
from harness.laws.derivation import select_worst

CONVENTION = "fully_masked"
OPEN = "open"

SOURCE = "the formula; 0 / 0 is undefined, see the convention `fully_masked`"
CAUSE = "the divisor is zero if nothing is kept: select before the operation, and declare the result you intend"
_CONSTANT = ("zeros", "uniform")


def _masks(formula: Formula) -> list[str]:
    """Return the names of the inputs that mask entries of a row."""
    domains = formula.domains if formula.by_rows else {}
    return [name for name, domain in domains.items() if domain.kind == "mask" and not domain.per_row]


def draw_masked(formula: Formula, format_: Format, *, cotangent: bool = False) -> st.SearchStrategy[Example]:
    """Draw ordinary rows, every third of them fully masked."""

    def empty_some_rows(example: Example) -> Example:
        masks = {name: example[name].clone() for name in _masks(formula)}
        for keep in masks.values():
            keep[::3] = False
        return {**example, **masks}

    return of_inputs.draw_inputs(formula, format_, cotangent=cotangent).map(empty_some_rows)


def conventions(model: Model) -> dict[str, Convention]:
    """Return the convention for fully masked rows; empty for a formula without masks.

    The last option is ``uniform`` for a formula with one result per entry, and ``minus_infinity`` (an empty logarithm)
    for one result per row.
    """
    if not _masks(model.formula):
        return {}
    last = "uniform" if model.extent == ENTRY else "minus_infinity"
    return {CONVENTION: (OPEN, "nan", "zeros", last)}


def _declared_value(policy: str, columns: int) -> float:
    results: Mapping[str, float] = {
        "nan": math.nan,
        "zeros": 0.0,
        "uniform": 1.0 / columns,
        "minus_infinity": -math.inf,
    }
    return results[policy]


def laws(model: Model) -> Iterator[Law]:
    """Yield the laws of the value in fully masked rows, and of the gradient in the first input."""
    if not (masks := _masks(model.formula)):
        return
    definition = model.formula.spelling.definition
    yield Law(
        "fully_masked_row",
        f"A row that keeps no entry gives {definition}, or the declared result if that is undefined.",
        source=SOURCE,
        bound=WRITTEN,
        cause=CAUSE,
        group="special",
        reads=model.names,
        measure=_measure_value(model, masks),
        inputs=lambda format_: draw_masked(model.formula, format_),
    )
    if not model.differentiable:
        return
    name = model.differentiable[0]
    yield Law(
        "gradient_beside_a_fully_masked_row",
        f"A row that keeps no entry does not change the gradients in {name} of other rows; its own is zero if its "
        "value is a constant.",
        source="rows are independent; the derivative of a constant is zero; under `nan` the gradient of the row "
        "itself is not checked",
        bound=WRITTEN,
        cause="NaN is replaced only in the output and stays in the backward pass: replace the inputs that produce it",
        group="gradient",
        reads=(*model.names, COTANGENT),
        measure=_measure_gradient(model, masks, name),
        inputs=lambda format_: draw_masked(model.formula, format_, cotangent=True),
    )


def _measure_value(model: Model, masks: list[str]) -> Any:
    quantity = model.value

    def measure(subject: Subject, **example: Any) -> Measurement:
        inputs = tuple(example.values())
        policy = subject.declares[CONVENTION]
        empty = _left_open(quantity, inputs, [example[name] for name in masks])
        if policy == OPEN and empty.any():
            raise NotApplicable(
                "the formula is undefined if nothing is kept: declare the result you intend, for example "
                "`--declare fully_masked=zeros`"
            )
        actual = subject(*inputs)
        measurement = measure_deviation(quantity, larger_bound, actual, inputs, subject.format)
        if not empty.any() or measurement.broken or actual.shape != empty.shape:
            return measurement
        values = to_array(actual)
        columns = max(x.shape[-1] for x in example.values() if isinstance(x, Tensor) and x.ndim > 1)
        expected = np.where(empty, _declared_value(policy, columns), values)
        return select_worst(compare(values, expected, 0.5, subject.format), measurement)

    return measure


def _measure_gradient(model: Model, masks: list[str], name: str) -> Any:
    quantity, position = model.gradients[name], model.names.index(name)

    def measure(subject: Subject, **example: Any) -> Measurement:
        inputs = tuple(example.values())
        arguments = inputs[:-1]
        actual = subject.gradient(arguments, example[COTANGENT], of=position)
        whole = measure_deviation(quantity, larger_bound, actual, inputs, subject.format)
        if whole.broken or subject.declares[CONVENTION] not in _CONSTANT or actual.shape != whole.actual.shape:
            return whole
        empty = _left_open(model.value, arguments, [example[mask] for mask in masks])
        rows = empty.reshape(len(empty), -1).any(-1).reshape((-1,) + (1,) * (actual.ndim - 1))
        values = to_array(actual)
        return select_worst(compare(values, np.where(rows, 0.0, values), 0.0, subject.format), whole)

    return measure


def _left_open(quantity: Quantity, inputs: tuple[Any, ...], masks: list[Tensor]) -> Array:
    """Return where a row is fully masked and the formula is undefined."""
    exact = quantity.oracle(*inputs).hi
    nothing = np.logical_and.reduce([~keep.numpy().any(-1) for keep in masks])
    return np.asarray(np.isnan(exact) & nothing.reshape((-1,) + (1,) * (exact.ndim - 1)))
