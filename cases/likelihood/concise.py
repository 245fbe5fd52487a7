"""Negative log-likelihoods with what torch provides."""

import math

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Normal


def gaussian_nll(
    mean: Float[Tensor, " n"], target: Float[Tensor, " n"], variance: Float[Tensor, " n"]
) -> Float[Tensor, ""]:
    """``F.gaussian_nll_loss``, which omits the constant."""
    return F.gaussian_nll_loss(mean, target, variance)


def normal_nll(
    mean: Float[Tensor, " n"], target: Float[Tensor, " n"], variance: Float[Tensor, " n"]
) -> Float[Tensor, ""]:
    """``torch.distributions.Normal``, with the constant subtracted again, which costs digits if it dominates."""
    rows: Tensor = -Normal(mean, variance.sqrt(), validate_args=False).log_prob(target)
    return (rows - 0.5 * math.log(2 * math.pi)).mean()
