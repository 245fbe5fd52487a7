"""Losses and likelihoods of two numbers, each right and wrong. The table is in :mod:`formula.operations.table`."""

import torch
from torch import Tensor


def cauchy_loss(x: Tensor, y: Tensor) -> Tensor:
    """Uses log1p."""
    return torch.log1p(((x - y) / 2) ** 2)


def cauchy_loss_halved(x: Tensor, y: Tensor) -> Tensor:
    """Halves the square in place of the difference."""
    return torch.log1p((x - y) ** 2 / 2)


def geman_mcclure(x: Tensor, y: Tensor) -> Tensor:
    """The definition."""
    squared = (x - y) ** 2
    return squared / (squared + 1)


def geman_mcclure_detached(x: Tensor, y: Tensor) -> Tensor:
    """Has a gradient without the divisor."""
    squared = (x - y) ** 2
    return squared / (squared + 1).detach()


def pinball(x: Tensor, y: Tensor) -> Tensor:
    """The definition."""
    error = y - x
    return torch.maximum(0.9 * error, -0.1 * error)


def pinball_of_the_other_side(x: Tensor, y: Tensor) -> Tensor:
    """Exchanges prediction and target."""
    error = x - y
    return torch.maximum(0.9 * error, -0.1 * error)


def charbonnier(x: Tensor, y: Tensor) -> Tensor:
    """The definition."""
    return torch.sqrt((x - y) ** 2 + 1e-6)


def charbonnier_outside(x: Tensor, y: Tensor) -> Tensor:
    """Adds the constant outside of the root."""
    return torch.sqrt((x - y) ** 2) + 1e-3


def gumbel_log_prob(x: Tensor, m: Tensor) -> Tensor:
    """The definition."""
    z = x - m
    return -(z + torch.exp(-z))


def gumbel_log_prob_of_the_smallest(x: Tensor, m: Tensor) -> Tensor:
    """The distribution of the smallest value, not of the largest."""
    z = m - x
    return -(z + torch.exp(-z))


def tweedie(y: Tensor, m: Tensor) -> Tensor:
    """The deviance of power 3/2, through the difference of the roots."""
    return 4 * (y.sqrt() - m.sqrt()) ** 2 / m.sqrt()


def tweedie_exchanged(y: Tensor, m: Tensor) -> Tensor:
    """Exchanges the mean and the observation."""
    return tweedie(m, y)


def bernoulli_divergence(p: Tensor, q: Tensor) -> Tensor:
    """Uses logarithms of quotients."""
    return p * torch.log(p / q) + (1 - p) * torch.log((1 - p) / (1 - q))


def bernoulli_divergence_reversed(p: Tensor, q: Tensor) -> Tensor:
    """Exchanges the arguments."""
    return bernoulli_divergence(q, p)
