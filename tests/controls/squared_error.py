"""Sound implementations of the squared error, and inputs of their oracles."""

from controls.control import Control, rounded, scaled
from samples.tensors import tensor
from torch import Tensor

from harness.contracts.squared_error import gradient_oracle, value_oracle


def squared_difference(a: Tensor, b: Tensor) -> Tensor:
    """Square the difference, row by row, then take the mean, in float32 at least: 65,520 ones overflow float16."""
    squares = (a - b.reshape(a.shape)) ** 2
    wide = squares if squares.itemsize >= 4 else squares.float()
    return wide.mean().to(a.dtype)


CONTROLS = [
    Control(
        "squared_error",
        rounded(
            lambda a, b: value_oracle(a.flatten(), b, 1.0, "mean"),
            lambda v, a, b: scaled(v, gradient_oracle(a, b, 1.0, "mean")),
        ),
        squared_difference,
    )
]

ORACLES = {
    "value_oracle": (tensor(3, 5), tensor(3, 5, seed=4), 0.5, "mean"),
    "gradient_oracle": (tensor(3, 5), tensor(3, 5, seed=4), 0.5, "mean"),
}
