"""Sound implementations of addition and the linear map, and inputs of their oracles."""

from controls.control import Control, rounded
from samples.tensors import tensor
from torch import Tensor

from harness.contracts.arithmetic import into_bias_oracle, into_weight_oracle, into_x_oracle, linear_oracle, sum_oracle


def add(a: Tensor, b: Tensor) -> Tensor:
    """Rounds once."""
    return a + b


def linear(X: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Accumulates in float32 or wider, and adds the bias before the result is rounded."""
    wide = X if X.itemsize >= 4 else X.float()
    return (wide @ weight.to(wide.dtype).T + bias.to(wide.dtype)).to(X.dtype)


_of_rows = rounded(linear_oracle, into_x_oracle, into_weight_oracle, into_bias_oracle)


def rounded_linear(X: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The oracle has one axis of rows."""
    Y: Tensor = _of_rows(X.flatten(0, -2), weight, bias)
    return Y.reshape(*X.shape[:-1], len(weight))


CONTROLS = [
    Control("add", rounded(sum_oracle), add),
    Control("linear", rounded_linear, linear),
]

ORACLES = {
    "sum_oracle": (tensor(5), tensor(5, seed=4)),
    "linear_oracle": (tensor(3, 5), tensor(2, 5), tensor(2)),
    **dict.fromkeys(
        ("into_x_oracle", "into_weight_oracle", "into_bias_oracle"),
        (tensor(3, 2), tensor(3, 5), tensor(2, 5), tensor(2)),
    ),
}
