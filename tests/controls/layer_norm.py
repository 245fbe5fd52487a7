"""Sound implementations of the layer normalization, and inputs of their oracles."""

import math

import torch
from controls.control import Control, rounded
from samples.tensors import tensor
from torch import Tensor

from harness.contracts.layer_norm import layer_norm_oracle, layer_norm_pullback

EPS = 1e-5


def scale_of(x: Tensor) -> Tensor:
    """A power of two for each row, one unless squares of its entries might overflow."""
    half = math.frexp(torch.finfo(x.dtype).max)[1] // 2
    large = x.abs().amax(-1, keepdim=True) > 2.0 ** (half - 10)
    return torch.where(large, torch.full_like(x[..., :1], 2.0 ** -(half + 10)), torch.ones_like(x[..., :1]))


def scaled_two_passes(x: Tensor) -> Tensor:
    """Two passes in float32 at least, on rows scaled by a power of two where squares would overflow; rounded once."""
    wide = x if x.itemsize >= 4 else x.float()
    scale = scale_of(wide.detach())
    scaled = wide * scale
    centred = scaled - scaled.mean(-1, keepdim=True)
    variance = centred.square().mean(-1, keepdim=True) + EPS * scale.square()
    # A constant row of the largest numbers has no variance, and after scaling no eps.
    return (centred / variance.sqrt().clamp_min(torch.finfo(wide.dtype).tiny)).to(x.dtype)


CONTROLS = [
    Control(
        "layer_norm",
        rounded(lambda x: layer_norm_oracle(x, EPS), lambda v, x: layer_norm_pullback(x, v, EPS)),
        scaled_two_passes,
    )
]

ORACLES = {
    "layer_norm_oracle": (tensor(3, 5, scale=30.0), EPS),
    "layer_norm_pullback": (tensor(3, 5, scale=30.0), tensor(3, 5), EPS),
}
