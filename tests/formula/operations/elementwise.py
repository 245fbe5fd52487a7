"""Functions of one number, each right and wrong. The table is in :mod:`formula.operations.table`."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def log_cosh(x: Tensor) -> Tensor:
    """The form of libraries."""
    return x.abs() + torch.log1p(torch.exp(-2 * x.abs())) - math.log(2)


def log_cosh_overflows(x: Tensor) -> Tensor:
    """The definition; the hyperbolic cosine overflows from 89 on."""
    return torch.log(torch.cosh(x))


def squareplus(x: Tensor) -> Tensor:
    """The form of the paper."""
    return (x + torch.sqrt(x * x + 4)) / 2


def squareplus_of_one(x: Tensor) -> Tensor:
    """Has a constant of 1 in place of 4."""
    return (x + torch.sqrt(x * x + 1)) / 2


def quick_gelu(x: Tensor) -> Tensor:
    """The form of CLIP."""
    return x * torch.sigmoid(1.702 * x)


def quick_gelu_rounded(x: Tensor) -> Tensor:
    """Has a constant of two digits."""
    return x * torch.sigmoid(1.7 * x)


def log1mexp(x: Tensor) -> Tensor:
    """Maechler (2012), with inputs of both branches guarded, because a single ``where`` has a gradient of NaN."""
    near = x < math.log(2)
    return torch.where(
        near,
        torch.log(-torch.expm1(-torch.where(near, x, 0.5))),
        torch.log1p(-torch.exp(-torch.where(near, 1.0, x))),
    )


def log1mexp_with_eps(x: Tensor) -> Tensor:
    """Adds an eps in the logarithm."""
    return torch.log(1 - torch.exp(-x) + 1e-8)


def bent_identity(x: Tensor) -> Tensor:
    """The definition."""
    return (torch.sqrt(x * x + 1) - 1) / 2 + x


def bent_identity_not_halved(x: Tensor) -> Tensor:
    """Does not halve the bend."""
    return torch.sqrt(x * x + 1) - 1 + x


def isru(x: Tensor) -> Tensor:
    """The inverse square root unit."""
    return x * torch.rsqrt(1 + x * x)


def isru_detached(x: Tensor) -> Tensor:
    """Has a gradient without the divisor."""
    return x / torch.sqrt(1 + x * x).detach()


def cloglog(x: Tensor) -> Tensor:
    """Uses expm1."""
    return -torch.expm1(-torch.exp(x))


def cloglog_cancels(x: Tensor) -> Tensor:
    """The definition, which cancels on the left."""
    return 1 - torch.exp(-torch.exp(x))


def logistic_density(x: Tensor) -> Tensor:
    """Uses both tails."""
    return torch.sigmoid(x) * torch.sigmoid(-x)


def logistic_density_cancels(x: Tensor) -> Tensor:
    """Subtracts a sigmoid from 1, which cancels on the right."""
    s = torch.sigmoid(x)
    return s * (1 - s)


def bump(x: Tensor) -> Tensor:
    """The definition."""
    return torch.exp(-x * x)


def bump_halved(x: Tensor) -> Tensor:
    """Has half of the square, as the normal distribution."""
    return torch.exp(-x * x / 2)


def lisht(x: Tensor) -> Tensor:
    """The definition."""
    return x * torch.tanh(x)


def lisht_detached(x: Tensor) -> Tensor:
    """Has a gradient without the second factor."""
    return x * torch.tanh(x).detach()


def asinh(x: Tensor) -> Tensor:
    """The function of torch."""
    return torch.asinh(x)


def asinh_cancels(x: Tensor) -> Tensor:
    """The definition, which cancels on the left and near zero."""
    return torch.log(x + torch.sqrt(x * x + 1))


def tukey(x: Tensor) -> Tensor:
    """The definition."""
    inside = 1 - (1 - (x / 4.685) ** 2) ** 3
    return torch.where(x.abs() <= 4.685, inside * (4.685**2 / 6), torch.full_like(x, 4.685**2 / 6))


def tukey_without_an_end(x: Tensor) -> Tensor:
    """Continues the inner part everywhere."""
    return (1 - (1 - (x / 4.685) ** 2) ** 3) * (4.685**2 / 6)


def snake(x: Tensor) -> Tensor:
    """The definition."""
    return x + torch.sin(x) ** 2


def snake_of_a_square(x: Tensor) -> Tensor:
    """Squares the number, not its sine."""
    return x + torch.sin(x * x)


def log_cauchy(x: Tensor) -> Tensor:
    """Uses log1p."""
    return -math.log(math.pi) - torch.log(x) - torch.log1p(torch.log(x) ** 2)


def log_cauchy_not_squared(x: Tensor) -> Tensor:
    """Does not square the logarithm."""
    return -math.log(math.pi) - torch.log(x) - torch.log1p(torch.log(x).abs())


def modified_huber(x: Tensor) -> Tensor:
    """A square that continues as a line."""
    return torch.where(x >= -1, F.relu(1 - x) ** 2, -4 * x)


def modified_huber_with_a_jump(x: Tensor) -> Tensor:
    """Continues with another line."""
    return torch.where(x >= -1, F.relu(1 - x) ** 2, 2 - 2 * x)


def focal_gamma(x: Tensor) -> Tensor:
    """The loss of a positive example, through the softplus."""
    return 0.25 * torch.sigmoid(-x) ** 1.5 * F.softplus(-x)


def focal_gamma_of_probabilities(x: Tensor) -> Tensor:
    """Uses the probability, whose logarithm becomes infinite."""
    p = torch.sigmoid(x)
    return -0.25 * (1 - p) ** 1.5 * torch.log(p)
