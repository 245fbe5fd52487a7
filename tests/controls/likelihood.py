"""Sound implementations of the Gaussian likelihood, and inputs of their oracles."""

from controls.control import Control, rounded, scaled
from samples.tensors import positive, tensor
from torch import Tensor

from harness.contracts.likelihood import gradient_oracle, value_oracle, variance_gradient_oracle


def gaussian_nll(mean: Tensor, target: Tensor, variance: Tensor) -> Tensor:
    """The definition: nothing cancels but the difference. The mean is taken in float32 at least."""
    rows = 0.5 * (variance.log() + (target - mean) ** 2 / variance)
    return (rows if rows.itemsize >= 4 else rows.float()).mean().to(mean.dtype)


CONTROLS = [
    Control(
        "gaussian_nll",
        rounded(
            lambda m, y, s: value_oracle(m, y, s, "mean"),
            lambda v, m, y, s: scaled(v, gradient_oracle(m, y, s, "mean")),
            lambda v, m, y, s: -scaled(v, gradient_oracle(m, y, s, "mean")),
            lambda v, m, y, s: scaled(v, variance_gradient_oracle(m, y, s, "mean")),
        ),
        gaussian_nll,
    )
]

ORACLES = {
    "value_oracle": (tensor(3, 5), tensor(3, 5, seed=4), positive(3, 5), "mean"),
    "gradient_oracle": (tensor(3, 5), tensor(3, 5, seed=4), positive(3, 5), "mean"),
    "variance_gradient_oracle": (tensor(3, 5), tensor(3, 5, seed=4), positive(3, 5), "mean"),
}
