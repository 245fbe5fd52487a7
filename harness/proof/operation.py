"""Operations on two logits: what is proved of each, its outputs as functions of the gap, and what its laws read."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from harness.law import Example
from harness.precision import Format
from harness.proof.layout import LAYOUTS_OF_ROWS, Function, PairLayout, pair_layouts
from harness.proof.threshold import SIGMOID, SOFTPLUS, Increasing, Interval, intervals


@dataclass(frozen=True)
class Output:
    """One output as a function of the gap, the first logit less the second: ± a function of ± the gap.

    Parameters
    ----------
    function
        The function.
    of_negative_gap, negative
        The two signs.
    """

    function: Increasing
    of_negative_gap: bool
    negative: bool = False

    def interval(self, format_: Format, limit: float) -> Interval:
        """The gaps, times their sign, at which each code is within ``limit`` ulp."""
        return intervals(self.function, format_, limit, negative=self.negative)


@dataclass(frozen=True)
class Operation:
    """What is to be proved of a contract's implementations.

    Parameters
    ----------
    quantity
        As records name it.
    law
        The law that compares it with the oracle.
    outputs
        One for each of the two classes, or one for the pair.
    label
        The class whose loss it is; ``None`` where there are no labels.
    following
        Laws that compare two pairs of one truth, within twice the value's bound: they follow from it.
    """

    quantity: str
    law: str
    outputs: tuple[Output, ...]
    label: int | None = None
    following: tuple[str, ...] = ()

    @property
    def is_gradient(self) -> bool:
        """Whether the gradient of the sum of the losses is meant."""
        return self.law == "gradient"

    def layouts(self, function: Function) -> tuple[PairLayout, ...]:
        """The layouts in which a function can be called; the first is the reference."""
        return pair_layouts(function) if self.label is None else LAYOUTS_OF_ROWS

    def labels(self, n: int) -> Tensor:
        """The label of each of ``n`` pairs."""
        assert self.label is not None
        return torch.full((n,), self.label, dtype=torch.int64)

    def example(self, logits: Tensor) -> Example:
        """What the laws read, of logits ``[n, 2]``: a batch, or one group of rows with their labels."""
        if self.label is None:
            return {"logits": logits}
        return {"logits": logits[None], "labels": self.labels(len(logits))[None]}

    def answering(self, recorded: Tensor) -> Callable[..., Tensor]:
        """A function that answers, once, with what an implementation returned before, as value or as gradient."""
        if self.label is None:
            return lambda _: recorded
        if self.is_gradient:
            return lambda logits, _: (logits * recorded).sum(-1)
        return lambda *_: recorded[:, 0]


def _loss(label: int) -> tuple[Operation, Operation]:
    """The loss at a label and its gradient: minus the other class's probability at the label, and plus it elsewhere."""
    away = label == 0
    loss = (Output(SOFTPLUS, of_negative_gap=away),)
    slope = tuple(Output(SIGMOID, of_negative_gap=away, negative=j == label) for j in (0, 1))
    return (
        Operation(f"value, label {label}", "value", loss, label, ("shift_invariant",)),
        Operation(f"gradient, label {label}", "gradient", slope, label),
    )


OPERATIONS = {
    "softmax": (
        Operation(
            "value",
            "value",
            (Output(SIGMOID, of_negative_gap=False), Output(SIGMOID, of_negative_gap=True)),
            following=("shift_invariant",),
        ),
    ),
    "log_softmax": (
        Operation(
            "value",
            "value",
            tuple(Output(SOFTPLUS, of_negative_gap=j == 0, negative=True) for j in (0, 1)),
            following=("shift_invariant", "columns_in_any_order"),
        ),
    ),
    "cross_entropy": (*_loss(0), *_loss(1)),
}
"""What is proved of each contract whose pairs can be exhausted."""
