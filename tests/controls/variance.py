"""Sound implementations of the variance, and inputs of their oracles."""

from controls.control import Control, rounded
from samples.tensors import tensor
from torch import Tensor

from harness.contracts.variance import variance_oracle, variance_pullback


def two_passes(x: Tensor) -> Tensor:
    """The mean, then the mean of the squared deviations, in float32 or wider; rounded once."""
    wide = x if x.itemsize >= 4 else x.float()
    return (wide - wide.mean(-1, keepdim=True)).square().mean(-1).to(x.dtype)


CONTROLS = [
    Control(
        "variance",
        rounded(lambda x: variance_oracle(x, 0), lambda v, x: variance_pullback(x, v, 0)),
        two_passes,
    )
]

ORACLES = {
    "variance_oracle": (tensor(3, 5, scale=30.0), 0),
    "variance_pullback": (tensor(3, 5, scale=30.0), tensor(3), 0),
}
