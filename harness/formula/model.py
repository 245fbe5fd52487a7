"""A formula with its value and its gradient in each input."""

from typing import Any

from harness.formula.derivative import gradient
from harness.formula.grammar import Formula
from harness.formula.inputs import COTANGENT
from harness.formula.node import ENTRY, Node, node
from harness.formula.quantity import Quantity
from harness.formula.reduction import ReducedQuantity


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
