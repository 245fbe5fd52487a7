"""A formula with its value and its gradient in each input."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.floats import Array, DoubleDouble, Format
from harness.floats import double_double as dd
from harness.formula.arithmetic import values
from harness.formula.derivative import gradient
from harness.formula.grammar import Formula
from harness.formula.inputs import COTANGENT
from harness.formula.node import ENTRY, Node, node
from harness.formula.quantity import Quantity


class Model:
    """The value and the gradients of a formula."""

    def __init__(self, formula: Formula) -> None:
        self.formula = formula
        self.whole, self.reduction = formula.spelling.whole, formula.spelling.reduction
        self.grouped = self.whole or bool(self.reduction)
        inputs = tuple(formula.inputs.values())
        self.extent = max(formula.definition.extent, formula.form.extent)
        self.value = self._quantity(inputs, (formula.definition, formula.form), formula.form, self.extent)
        weight = node("input", value=COTANGENT, extent=self.extent)
        self.differentiable = [
            name for name, domain in formula.domains.items() if domain.is_number and not domain.constant
        ]
        numbers = [name for name, domain in formula.domains.items() if domain.is_number]
        self.gradients = {name: self._gradient(weight, formula.inputs[name]) for name in numbers}

    def _gradient(self, weight: Node, by: Node) -> Quantity:
        formula = self.formula
        (true,) = gradient(formula.definition, weight, [by], accurate=True)
        (of_form,) = gradient(formula.form, weight, [by], accurate=True)
        (standard,) = gradient(formula.form, weight, [by], accurate=False)
        inputs = (*formula.inputs.values(), weight)
        return self._quantity(inputs, (true, of_form), standard, by.extent, self.value)

    def _quantity(
        self, inputs: tuple[Node, ...], true: tuple[Node, ...], computed: Node, extent: int, value: Any = None
    ) -> Quantity:
        fields = (inputs, true, computed, extent, self.formula.by_rows, value)
        return ReducedQuantity(*fields, is_mean=self.reduction == "mean") if self.reduction else Quantity(*fields)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the inputs in order."""
        return tuple(self.formula.domains)

    def axes(self, name: str) -> tuple[str, ...]:
        """Names of the axes of an input or of the cotangent."""
        if self.whole:
            return ("g",) if name == COTANGENT else ("g", "k")
        if self.reduction:
            return ("g",) if name == COTANGENT else ("g", *self.row_axes(name))
        return self.row_axes(name)

    def row_axes(self, name: str) -> tuple[str, ...]:
        """Names of the axes of an input without groups."""
        if not self.formula.by_rows:
            return ("n",)
        per_row = self.extent < ENTRY if name == COTANGENT else self.formula.domains[name].per_row
        return ("n",) if per_row else ("n", "k")

    @property
    def output(self) -> tuple[str, ...]:
        """Names of the output's axes."""
        return () if self.grouped else self.axes(COTANGENT)


@dataclass(frozen=True, eq=False)
class ReducedQuantity(Quantity):
    """The mean or the sum of the rows of a quantity, or its gradient, as an implementation reduces them.

    Notes
    -----
    Inputs have a leading axis of batches. The bounds of the rows are added, and :math:`(n - 1) u_a + 2 u` times the sum
    of their magnitudes for the reduction. The gradient of a mean is the gradient of its rows with the weight
    :math:`c / n`; rounding the weight adds :math:`2 u`.
    """

    _: KW_ONLY
    is_mean: bool = True

    def _flatten(self, inputs: Sequence[Any], *, weighted: bool = False) -> list[Any]:
        """Return the inputs of the rows; the weight of a batch belongs to each row, and ``weighted`` divides it."""
        shape = inputs[0].shape[:2]
        flat = [x.reshape(-1, *x.shape[2:]) for x in (inputs if self.value is None else inputs[:-1])]
        if self.value is not None:
            weights = np.repeat(inputs[-1], shape[1])
            flat.append(weights / shape[1] if weighted and self.is_mean else weights)
        return flat

    def _restore(self, rows: Any, inputs: Sequence[Any]) -> Any:
        if isinstance(rows, DoubleDouble):
            return DoubleDouble(*(self._restore(part, inputs) for part in rows.pair))
        return rows.reshape(*inputs[0].shape[:2], *rows.shape[1:])

    def _reduce(self, rows: Any, inputs: Sequence[Any], total: Any) -> Any:
        """Reduce the values of rows, or divide the gradients of their sum."""
        parts = self._restore(rows, inputs)
        result = parts if self.value is not None else total(parts)
        return result / float(parts.shape[1]) if self.is_mean else result

    def _screen(self, elementary: dd.Elementary, *inputs: Any) -> DoubleDouble:
        return self._reduce(super()._screen(elementary, *self._flatten(inputs)), inputs, dd.total)  # type: ignore[no-any-return]

    def exact(self, *inputs: Any) -> NDArray[np.object_]:
        """Return balls, as of the rows."""
        arrays = [np.asarray(x) for x in inputs]
        rows = super().exact(*self._flatten(arrays))
        return np.asarray(self._reduce(rows, arrays, lambda parts: parts.sum(-1)), dtype=object)

    def bounds(self, inputs: Sequence[Any], format_: Format, _: Array | None = None) -> tuple[Array, Array]:
        """Return both bounds of the rows, reduced."""
        written, attainable = super().bounds(self._flatten(inputs, weighted=True), format_)
        return self._add_rounding(written, inputs, format_), self._add_rounding(attainable, inputs, format_)

    def written(self, inputs: Sequence[Any], format_: Format) -> Array:
        """Return the bound as written of the rows, reduced."""
        return self._add_rounding(super().written(self._flatten(inputs, weighted=True), format_), inputs, format_)

    def attainable(self, inputs: Sequence[Any], format_: Format, _: Array | None = None) -> Array:
        """Return the attainable bound of the rows, reduced."""
        return self._add_rounding(super().attainable(self._flatten(inputs, weighted=True), format_), inputs, format_)

    def _add_rounding(self, bound: Array, inputs: Sequence[Any], format_: Format) -> Array:
        """Reduce a bound of the rows, and add the error of the reduction itself."""
        flat, n = self._flatten(inputs, weighted=True), inputs[0].shape[1]
        environment, nodes = self.environment(flat), self._true_orders[-1]
        with np.errstate(all="ignore"):
            size = np.abs(self._out(values(nodes, environment)[nodes[-1]], self._shape(environment)))
            if self.value is not None:
                return np.asarray(self._restore(bound + 2.0 * format_.u * size, inputs))
            total = self._restore(bound + ((n - 1) * format_.u_accumulator + 2.0 * format_.u) * size, inputs).sum(-1)
            return np.asarray((total / n if self.is_mean else total) + format_.smallest)

    def overflows(self, inputs: Sequence[Any], format_: Format) -> NDArray[np.bool_]:
        """Return where a row overflows as written."""
        return self._any(super().overflows(self._flatten(inputs, weighted=True), format_), inputs)

    def find_undefined(self, inputs: Sequence[Any]) -> NDArray[np.bool_]:
        """Return where a row is undefined."""
        return self._any(super().find_undefined(self._flatten(inputs)), inputs)

    def _any(self, flags: Any, inputs: Sequence[Any]) -> NDArray[np.bool_]:
        parts = self._restore(flags, inputs)
        return np.asarray(parts if self.value is not None else parts.any(-1))

    def evaluate_at_infinities(self, inputs: Sequence[Any]) -> tuple[Array, NDArray[np.bool_]]:
        """Return the reduced limits; unknown for a batch that has an unknown row, or infinities of both signs."""
        limit, is_known = super().evaluate_at_infinities(self._flatten(inputs))
        with np.errstate(invalid="ignore"):
            reduced = np.asarray(self._reduce(limit, inputs, lambda x: x.sum(-1)))
        parts = self._restore(is_known, inputs)
        return reduced, np.asarray(parts if self.value is not None else parts.all(-1) & ~np.isnan(reduced))

    def is_never_zero(self, _: Sequence[Any], __: Format, exact: Array) -> NDArray[np.bool_]:
        """Return false: rows of both signs may cancel."""
        return np.zeros(exact.shape, dtype=bool)
