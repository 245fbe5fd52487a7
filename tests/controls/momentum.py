"""Sound implementations of gradient descent with momentum, and inputs of their oracles."""

from controls.control import Control, rounded
from samples.tensors import tensor
from torch import Tensor

from harness.contracts.momentum import momentum_oracle


def compensated_sgd(
    parameter: Tensor, gradients: Tensor, lr: float, momentum: float, weight_decay: float, nesterov: bool
) -> Tensor:
    """Adds updates by Kahan summation: the rounding error of a step goes into the next."""
    lost, buffer = parameter * 0, None
    for gradient in gradients:
        d = gradient + weight_decay * parameter
        buffer = d if buffer is None else momentum * buffer + d
        update = -lr * (d + momentum * buffer if nesterov else buffer) - lost
        moved = parameter + update
        lost = ((moved - parameter) - update).nan_to_num(0.0, 0.0, 0.0)
        parameter = moved
    return parameter


CONTROLS = [Control("sgd_with_momentum", rounded(momentum_oracle), compensated_sgd)]

ORACLES = {
    "momentum_oracle": (tensor(5), tensor(4, 5, seed=4), 0.1, 0.9, 0.01, True),
    "decay_oracle": (tensor(5), 0.1, 0.01, 7),
}
