"""Sound implementations of the normalization by the root mean square, and inputs of their oracles."""

from controls.control import Control, rounded
from controls.layer_norm import EPS, scale_of
from samples.tensors import tensor
from torch import Tensor

from harness.contracts.rms_norm import rms_norm_oracle, rms_norm_pullback

DECLARED = EPS, 0.0, 0.0
"""Conventions in the order of the oracles."""


def scaled_rms_norm(x: Tensor) -> Tensor:
    """Squares in float32 at least, of rows scaled by a power of two where they would overflow; rounded once."""
    wide = x if x.itemsize >= 4 else x.float()
    scale = scale_of(wide.detach())
    square = (wide * scale).square().mean(-1, keepdim=True) + EPS * scale.square()
    return (wide / (square.sqrt() / scale)).to(x.dtype)


CONTROLS = [
    Control(
        "rms_norm",
        rounded(lambda x: rms_norm_oracle(x, *DECLARED), lambda v, x: rms_norm_pullback(x, v, *DECLARED)),
        scaled_rms_norm,
    )
]

ORACLES = {
    "rms_norm_oracle": (tensor(3, 5, scale=30.0), *DECLARED),
    "rms_norm_pullback": (tensor(3, 5, scale=30.0), tensor(3, 5), *DECLARED),
}
