"""Sound implementations of the log-softmax, and inputs of their oracles."""

from controls.control import Control, rounded
from samples import tensor
from torch import Tensor

from harness.contracts.log_softmax import log_softmax_oracle, log_softmax_pullback


def shifted_log_softmax(x: Tensor) -> Tensor:
    """Shift, then subtract the logarithm of the sum, which is taken in float32 at least."""
    shifted = x - x.amax(-1, keepdim=True)
    return shifted - shifted.exp().sum(-1, keepdim=True).log()


CONTROLS = [
    Control("log_softmax", rounded(log_softmax_oracle, lambda v, x: log_softmax_pullback(x, v)), shifted_log_softmax)
]

ORACLES = {
    "log_softmax_oracle": (tensor(3, 5, scale=30.0),),
    "log_softmax_pullback": (tensor(3, 5, scale=30.0), tensor(3, 5)),
}
