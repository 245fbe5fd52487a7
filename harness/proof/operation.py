"""Operations on two logits: the proved quantities, their outputs as functions of the gap, and the laws' inputs."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import numpy as np
import torch
from torch import Tensor

from harness.floats import DoubleDouble, Format
from harness.laws.law import Example
from harness.proof.layout import LAYOUTS_OF_ROWS, Function, PairLayout, pair_layouts
from harness.proof.threshold import SIGMOID, SLOPE, SOFTPLUS, Increasing, Interval, intervals


class Argument(Enum):
    """The argument of a function, from the gap: the first logit minus the second."""

    GAP = "gap"
    MINUS_GAP = "minus the gap"
    MINUS_SIZE = "minus the size of the gap"

    def evaluate(self, gap: DoubleDouble) -> DoubleDouble:
        """Return the argument at exact gaps."""
        if self is Argument.GAP:
            return gap
        sign = -np.sign(gap.hi) if self is Argument.MINUS_SIZE else -1.0
        return DoubleDouble(gap.hi * sign, gap.lo * sign)


@dataclass(frozen=True)
class Output:
    """One output as a function of the gap: plus or minus an increasing function."""

    function: Increasing
    argument: Argument
    negative: bool = False

    def interval(self, format_: Format, limit: float) -> Interval:
        """Return the arguments at which each code is within ``limit`` ulp."""
        return intervals(self.function, format_, limit, negative=self.negative)


@dataclass(frozen=True)
class Operation:
    """A quantity that is proved for a contract's implementations.

    Parameters
    ----------
    quantity
        Name in records.
    law
        The law that compares it with the oracle.
    outputs
        Two outputs, one for either class, or a single output for the pair.
    label
        The class whose loss it is; ``None`` if there are no labels.
    following
        Laws that compare two pairs with equal exact values, within twice the bound of the value: they follow from it.
    """

    quantity: str
    law: str
    outputs: tuple[Output, ...]
    label: int | None = None
    following: tuple[str, ...] = ()

    @property
    def is_gradient(self) -> bool:
        """Whether the quantity is a gradient: of the sum of the losses, or of the sum of the first outputs."""
        return self.law == "gradient"

    def layouts(self, function: Function) -> tuple[PairLayout, ...]:
        """The layouts in which a function can be called; the first is the reference."""
        return pair_layouts(function) if self.label is None else LAYOUTS_OF_ROWS

    def labels(self, n: int) -> Tensor:
        """Return the labels of ``n`` pairs."""
        assert self.label is not None
        return torch.full((n,), self.label, dtype=torch.int64)

    def cotangent(self, output: Tensor, pairs: Callable[[Tensor], Tensor]) -> Tensor:
        """Return the weights for the gradient: one for a loss and for the first class, else zero."""
        if self.label is not None:
            return torch.ones_like(output)
        weights = torch.zeros_like(output)
        pairs(weights)[0] = 1.0
        return weights

    def example(self, logits: Tensor) -> Example:
        """Return the inputs of the laws for logits ``[n, 2]``: a batch, or one group of rows with their labels."""
        if self.label is None:
            return {"logits": logits, "cotangent": self.cotangent(logits, lambda tensor: tensor.T)}
        return {"logits": logits[None], "labels": self.labels(len(logits))[None]}

    def answering(self, recorded: Tensor) -> Callable[..., Tensor]:
        """Return a function that returns, once, the recorded output of an implementation, as value or as gradient."""
        if self.label is None:
            return (
                (lambda logits: _output_with_gradient(logits, recorded)) if self.is_gradient else (lambda _: recorded)
            )
        if self.is_gradient:
            return lambda logits, _: _output_with_gradient(logits, recorded)[:, 0]
        return lambda *_: recorded[:, 0]


def _output_with_gradient(logits: Tensor, gradient: Tensor) -> Tensor:
    """Return outputs whose first entry has the given gradient."""
    return torch.stack([(logits * gradient).sum(-1), torch.zeros_like(logits[:, 1])], -1)


def _build_loss(label: int) -> tuple[Operation, Operation]:
    """Return the loss at a label and its gradient: minus the other probability at the label, and plus it elsewhere."""
    argument = Argument.MINUS_GAP if label == 0 else Argument.GAP
    slope = tuple(Output(SIGMOID, argument, negative=j == label) for j in (0, 1))
    return (
        Operation(f"value, label {label}", "value", (Output(SOFTPLUS, argument),), label, ("shift_invariant",)),
        Operation(f"gradient, label {label}", "gradient", slope, label),
    )


_GAPS, _MINUS_GAPS = (Argument.GAP, Argument.MINUS_GAP), (Argument.MINUS_GAP, Argument.GAP)

OPERATIONS = {
    "softmax": (
        Operation("value", "value", tuple(Output(SIGMOID, it) for it in _GAPS), following=("shift_invariant",)),
        # The gradient of the first probability is (p (1 - p), -p (1 - p)).
        Operation("gradient", "gradient", tuple(Output(SLOPE, Argument.MINUS_SIZE, negative=j == 1) for j in (0, 1))),
    ),
    "log_softmax": (
        Operation(
            "value",
            "value",
            tuple(Output(SOFTPLUS, it, negative=True) for it in _MINUS_GAPS),
            following=("shift_invariant", "columns_in_any_order"),
        ),
        # The gradient of the first logarithm is (q, -q), where q is the other class's probability.
        Operation("gradient", "gradient", tuple(Output(SIGMOID, Argument.MINUS_GAP, negative=j == 1) for j in (0, 1))),
    ),
    "cross_entropy": (*_build_loss(0), *_build_loss(1)),
}
"""Proved operations for contracts with enumerable pairs."""
