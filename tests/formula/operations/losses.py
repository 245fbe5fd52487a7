"""Losses and likelihoods of two numbers, each right and wrong."""

import torch
from formula.operations.table import operation
from torch import Tensor


@operation("log(1 + ((x - y) / 2) ** 2)")
def cauchy_loss(x: Tensor, y: Tensor) -> Tensor:
    """Uses log1p."""
    return torch.log1p(((x - y) / 2) ** 2)


def cauchy_loss_halved(x: Tensor, y: Tensor) -> Tensor:
    """Halves the square in place of the difference."""
    return torch.log1p((x - y) ** 2 / 2)


@operation("(x - y) ** 2 / ((x - y) ** 2 + 1)")
def geman_mcclure(x: Tensor, y: Tensor) -> Tensor:
    """The definition."""
    squared = (x - y) ** 2
    return squared / (squared + 1)


def geman_mcclure_detached(x: Tensor, y: Tensor) -> Tensor:
    """Has a gradient without the divisor."""
    squared = (x - y) ** 2
    return squared / (squared + 1).detach()


@operation("max(0.9 * (y - x), -0.1 * (y - x))")
def pinball(x: Tensor, y: Tensor) -> Tensor:
    """The definition."""
    error = y - x
    return torch.maximum(0.9 * error, -0.1 * error)


def pinball_of_the_other_side(x: Tensor, y: Tensor) -> Tensor:
    """Exchanges prediction and target."""
    error = x - y
    return torch.maximum(0.9 * error, -0.1 * error)


@operation("sqrt((x - y) ** 2 + 1e-6)")
def charbonnier(x: Tensor, y: Tensor) -> Tensor:
    """The definition."""
    return torch.sqrt((x - y) ** 2 + 1e-6)


def charbonnier_outside(x: Tensor, y: Tensor) -> Tensor:
    """Adds the constant outside of the root."""
    return torch.sqrt((x - y) ** 2) + 1e-3


@operation("-(x - m + exp(m - x))")
def gumbel_log_prob(x: Tensor, m: Tensor) -> Tensor:
    """The definition."""
    z = x - m
    return -(z + torch.exp(-z))


def gumbel_log_prob_of_the_smallest(x: Tensor, m: Tensor) -> Tensor:
    """The distribution of the smallest value, not of the largest."""
    z = m - x
    return -(z + torch.exp(-z))


@operation(
    "2 * (-4 * sqrt(y) + 2 * y / sqrt(m) + 2 * sqrt(m))",
    "y=positive",
    "m=positive",
    form="4 * (sqrt(y) - sqrt(m)) ** 2 / sqrt(m)",
)
def tweedie(y: Tensor, m: Tensor) -> Tensor:
    """The deviance of power 3/2, through the difference of the roots."""
    return 4 * (y.sqrt() - m.sqrt()) ** 2 / m.sqrt()


def tweedie_exchanged(y: Tensor, m: Tensor) -> Tensor:
    """Exchanges the mean and the observation."""
    return tweedie(m, y)


@operation("p * log(p / q) + (1 - p) * log((1 - p) / (1 - q))", "p=0.01..0.99", "q=0.01..0.99")
def bernoulli_divergence(p: Tensor, q: Tensor) -> Tensor:
    """Uses logarithms of quotients."""
    return p * torch.log(p / q) + (1 - p) * torch.log((1 - p) / (1 - q))


def bernoulli_divergence_reversed(p: Tensor, q: Tensor) -> Tensor:
    """Exchanges the arguments."""
    return bernoulli_divergence(q, p)
