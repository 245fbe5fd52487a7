"""Sound implementations of the softmax, and inputs of their oracles."""

from controls.control import Control, rounded
from samples.tensors import tensor
from torch import Tensor

from harness.contracts.building_blocks.exponential_sums import softmax_oracle, softmax_pullback


def shifted_softmax(x: Tensor) -> Tensor:
    """Subtract the row maximum, and keep the sum in float32 at least: 65,520 equal classes overflow float16."""
    e = (x - x.amax(-1, keepdim=True)).exp()
    wide = e if e.itemsize >= 4 else e.float()
    return (wide / wide.sum(-1, keepdim=True)).to(x.dtype)


CONTROLS = [Control("softmax", rounded(softmax_oracle, lambda v, x: softmax_pullback(x, v)), shifted_softmax)]

ORACLES = {
    "exponential_sums.softmax_oracle": (tensor(3, 5, scale=30.0),),
    "exponential_sums.softmax_pullback": (tensor(3, 5, scale=30.0), tensor(3, 5)),
}
