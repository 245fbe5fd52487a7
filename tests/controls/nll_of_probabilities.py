"""Sound implementations of the chapter's indexed loss, and inputs of their oracles."""

import torch
from controls.control import Control, rounded, scaled
from samples.tensors import labels, tensor
from torch import Tensor

from harness.contracts.nll_of_probabilities import gradient_oracle, value_oracle


def picked_first(p: Tensor, t: Tensor) -> Tensor:
    """Pick, then take the logarithm."""
    return -p[torch.arange(len(t)), t].log()


CONTROLS = [
    Control(
        "nll_of_probabilities",
        rounded(lambda p, t: value_oracle(p, t, "none"), lambda v, p, t: scaled(v, gradient_oracle(p, t, "none"))),
        picked_first,
    )
]

ORACLES = {
    "value_oracle": (tensor(3, 5).softmax(-1), labels(3, k=5), "mean"),
    "gradient_oracle": (tensor(3, 5).softmax(-1), labels(3, k=5), "mean"),
}
