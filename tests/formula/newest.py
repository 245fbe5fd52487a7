"""Ten more operations that no catalogue has, right and wrong, as somebody would bring them.

:mod:`formula.seconds` has their formulas.
"""

import torch
from torch import Tensor


def logistic_density(x: Tensor) -> Tensor:
    """Of both tails."""
    return torch.sigmoid(x) * torch.sigmoid(-x)


def logistic_density_cancels(x: Tensor) -> Tensor:
    """One minus a sigmoid that is one."""
    s = torch.sigmoid(x)
    return s * (1 - s)


def bump(x: Tensor) -> Tensor:
    """The definition."""
    return torch.exp(-x * x)


def bump_halved(x: Tensor) -> Tensor:
    """That of the normal distribution."""
    return torch.exp(-x * x / 2)


def lisht(x: Tensor) -> Tensor:
    """The definition."""
    return x * torch.tanh(x)


def lisht_detached(x: Tensor) -> Tensor:
    """The factor is a constant to autograd."""
    return x * torch.tanh(x).detach()


def asinh(x: Tensor) -> Tensor:
    """Torch's own."""
    return torch.asinh(x)


def asinh_cancels(x: Tensor) -> Tensor:
    """The definition, which cancels on the left and near zero."""
    return torch.log(x + torch.sqrt(x * x + 1))


def bernoulli_divergence(p: Tensor, q: Tensor) -> Tensor:
    """By the logarithms of quotients."""
    return p * torch.log(p / q) + (1 - p) * torch.log((1 - p) / (1 - q))


def bernoulli_divergence_reversed(p: Tensor, q: Tensor) -> Tensor:
    """Of the second from the first."""
    return bernoulli_divergence(q, p)


def tukey(x: Tensor) -> Tensor:
    """The definition."""
    inside = 1 - (1 - (x / 4.685) ** 2) ** 3
    return torch.where(x.abs() <= 4.685, inside * (4.685**2 / 6), torch.full_like(x, 4.685**2 / 6))


def tukey_without_an_end(x: Tensor) -> Tensor:
    """What holds inside holds everywhere."""
    return (1 - (1 - (x / 4.685) ** 2) ** 3) * (4.685**2 / 6)


def participation(x: Tensor) -> Tensor:
    """The definition."""
    return (x * x).sum(-1) ** 2 / (x**4).sum(-1)


def participation_of_means(x: Tensor) -> Tensor:
    """Both are means."""
    return (x * x).mean(-1) ** 2 / (x**4).mean(-1)


def by_largest(x: Tensor) -> Tensor:
    """By the largest magnitude, as in quantisation."""
    return x / x.abs().amax(-1, keepdim=True)


def by_largest_signed(x: Tensor) -> Tensor:
    """By the largest number."""
    return x / x.amax(-1, keepdim=True)


def correlation(x: Tensor, y: Tensor) -> Tensor:
    """Of what is centred."""
    a, b = x - x.mean(-1, keepdim=True), y - y.mean(-1, keepdim=True)
    return (a * b).sum(-1) / torch.sqrt((a * a).sum(-1) * (b * b).sum(-1))


def correlation_of_moments(x: Tensor, y: Tensor) -> Tensor:
    """By raw moments, which cancel."""
    covariance = (x * y).mean(-1) - x.mean(-1) * y.mean(-1)
    variances = ((x * x).mean(-1) - x.mean(-1) ** 2) * ((y * y).mean(-1) - y.mean(-1) ** 2)
    return covariance / torch.sqrt(variances)


def snake(x: Tensor) -> Tensor:
    """The definition."""
    return x + torch.sin(x) ** 2


def snake_of_a_square(x: Tensor) -> Tensor:
    """The number is squared, and not its sine."""
    return x + torch.sin(x * x)
