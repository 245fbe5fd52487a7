"""Exact values of contracts from the formulas that define them, and exact gradients from their derivatives."""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
from flint import arb
from numpy.typing import NDArray

from harness.floats import DoubleDouble, Oracle, dd, to_arb
from harness.formula.grammar import parse
from harness.formula.model import Model
from harness.formula.node import ROW
from harness.formula.quantity import Quantity
from harness.formula.spelling import spelling


class Definition:
    """A formula as the exact value of a contract, or its gradient in one input.

    Parameters
    ----------
    text
        The inputs with their domains, and the formula: ``(x, eps: per_row constant): x / sqrt(mean(x * x) + eps)``.
        Plain numbers may be passed for the last inputs. A gradient has the cotangent before these, one by default.
    by
        The input of the gradient; empty for the value.
    cancels
        Whether terms cancel, so that elementary functions need all digits of double-double in every format.
    """

    def __init__(self, text: str, by: str = "", *, cancels: bool = False) -> None:
        self._text, self._by, self._cancels = text, by, cancels

    @cached_property
    def _quantity(self) -> Quantity:
        # Formulas are read when they are first used, because most commands use few contracts.
        model = Model(parse(spelling(f"formula{self._text}")))
        return model.gradients[self._by] if self._by else model.value

    def oracle(self, screen: Callable[..., DoubleDouble] | None = None) -> Oracle:
        """Return the oracle; a screen by hand replaces the formula's where terms cancel or speed matters."""
        return Oracle(screen or self.screen, self.exact)

    def screen(self, elementary: dd.Elementary, *inputs: Any) -> DoubleDouble:
        """Evaluate in double-double."""
        return self._quantity.evaluate_definition(dd.DOUBLE if self._cancels else elementary, *self._fill(inputs))

    def exact(self, *inputs: Any) -> NDArray[np.object_]:
        """Evaluate in ball arithmetic; where that gives no value, an infinity by the rules of IEEE 754 is the value."""
        filled = self._fill(inputs)
        balls = self._quantity.exact(*(to_arb(x) if x.dtype.kind == "f" else x for x in filled))
        unknown = np.asarray(np.frompyfunc(arb.is_nan, 1, 1)(balls), dtype=bool)
        if unknown.any():
            plain = [x.astype(np.float64) if x.dtype.hasobject else x for x in filled]
            balls = np.where(unknown, to_arb(self._quantity.find_infinities(plain)), balls)
        return balls

    def _fill(self, inputs: tuple[Any, ...]) -> list[Any]:
        """Repeat numbers for every row, or every entry of a formula without rows, and put the cotangent last."""
        quantity, shape = self._quantity, inputs[0].shape
        arrays, numbers = ([x for x in inputs if isinstance(x, np.ndarray) is wanted] for wanted in (True, False))
        cotangent = [arrays.pop() if len(inputs) == len(quantity.inputs) else 1.0] if self._by else []
        filled = []
        for node, x in zip(quantity.inputs, (*arrays, *numbers, *cotangent), strict=True):
            by_row = quantity.by_rows and node.extent == ROW
            if not isinstance(x, np.ndarray):
                x = np.full(shape[:-1] if by_row else shape, float(x))
            filled.append(x if by_row or x.ndim == len(shape) else np.broadcast_to(x[..., None], shape))
        return filled


def declared(definitions: Mapping[str, Definition]) -> Oracle:
    """Return an oracle that uses the definition of a convention's option, which is its last argument."""
    return Oracle(
        lambda elementary, *inputs: definitions[inputs[-1]].screen(elementary, *inputs[:-1]),
        lambda *inputs: definitions[inputs[-1]].exact(*inputs[:-1]),
    )
