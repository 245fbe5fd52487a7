"""Sound implementations of the cross-entropy of logits, and inputs of their oracles."""

import torch
from controls.control import Control, rounded, scaled
from samples.tensors import labels, tensor
from torch import Tensor

from harness.contracts.building_blocks.labelled_logits import loss_oracle
from harness.contracts.cross_entropy import gradient_oracle


def accurate_cross_entropy(x: Tensor, t: Tensor) -> Tensor:
    """Adds the gap of the label and log1p of the other exponentials, summed in float32 or wider."""
    maximum, at = x.max(-1, keepdim=True)
    # The entry of the maximum becomes zero, or NaN if the maximum is infinite.
    others = (x - maximum).exp().scatter(-1, at, maximum - maximum)
    rest = others.sum(-1, dtype=torch.promote_types(x.dtype, torch.float32)).log1p().to(x.dtype)
    return (maximum.squeeze(-1) - x[torch.arange(len(t)), t] + rest).mean()


CONTROLS = [
    Control(
        "cross_entropy",
        rounded(lambda x, t: loss_oracle(x, t, "mean"), lambda v, x, t: scaled(v, gradient_oracle(x, t, "mean"))),
        accurate_cross_entropy,
    )
]

ORACLES = {
    "labelled_logits.loss_oracle": (tensor(3, 2, 5, scale=30.0), labels(3, 2, k=5), "mean"),
    "gradient_oracle": (tensor(3, 2, 5, scale=30.0), labels(3, 2, k=5), "mean"),
}
