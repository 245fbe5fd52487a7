"""Functions of one number, each right and wrong."""

import math

import torch
from formula.operations.table import operation
from torch import Tensor
from torch.nn import functional as F


@operation("log((exp(x) + exp(-x)) / 2)")
def log_cosh(x: Tensor) -> Tensor:
    """The form of libraries."""
    return x.abs() + torch.log1p(torch.exp(-2 * x.abs())) - math.log(2)


def log_cosh_overflows(x: Tensor) -> Tensor:
    """The definition; the hyperbolic cosine overflows from 89 on."""
    return torch.log(torch.cosh(x))


@operation("(x + sqrt(x * x + 4)) / 2")
def squareplus(x: Tensor) -> Tensor:
    """Adds numbers of the same sign. The form of the paper is zero below -4,096."""
    root = torch.sqrt(x * x + 4)
    return torch.where(x < 0, 2 / (root + x.abs()), (x + root) / 2)


def squareplus_of_one(x: Tensor) -> Tensor:
    """Has a constant of 1 in place of 4."""
    return (x + torch.sqrt(x * x + 1)) / 2


@operation("x / (1 + exp(-1.702 * x))")
def quick_gelu(x: Tensor) -> Tensor:
    """The form of CLIP."""
    return x * torch.sigmoid(1.702 * x)


def quick_gelu_rounded(x: Tensor) -> Tensor:
    """Has a constant of two digits."""
    return x * torch.sigmoid(1.7 * x)


@operation("log(1 - exp(-x))", "x=positive", form="log(-expm1(-x))")
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


@operation("(sqrt(x * x + 1) - 1) / 2 + x")
def bent_identity(x: Tensor) -> Tensor:
    """The definition."""
    return (torch.sqrt(x * x + 1) - 1) / 2 + x


def bent_identity_not_halved(x: Tensor) -> Tensor:
    """Does not halve the bend."""
    return torch.sqrt(x * x + 1) - 1 + x


@operation("x / sqrt(1 + x * x)")
def isru(x: Tensor) -> Tensor:
    """The inverse square root unit."""
    return x * torch.rsqrt(1 + x * x)


def isru_detached(x: Tensor) -> Tensor:
    """Has a gradient without the divisor."""
    return x / torch.sqrt(1 + x * x).detach()


@operation("1 - exp(-exp(x))", form="-expm1(-exp(x))")
def cloglog(x: Tensor) -> Tensor:
    """Uses expm1."""
    return -torch.expm1(-torch.exp(x))


def cloglog_cancels(x: Tensor) -> Tensor:
    """The definition, which cancels on the left."""
    return 1 - torch.exp(-torch.exp(x))


@operation("exp(-x) / (1 + exp(-x)) ** 2", form="sigmoid(x) * sigmoid(-x)")
def logistic_density(x: Tensor) -> Tensor:
    """Uses both tails."""
    return torch.sigmoid(x) * torch.sigmoid(-x)


def logistic_density_cancels(x: Tensor) -> Tensor:
    """Subtracts a sigmoid from 1, which cancels on the right."""
    s = torch.sigmoid(x)
    return s * (1 - s)


@operation("exp(-x * x)")
def bump(x: Tensor) -> Tensor:
    """The definition."""
    return torch.exp(-x * x)


def bump_halved(x: Tensor) -> Tensor:
    """Has half of the square, as the normal distribution."""
    return torch.exp(-x * x / 2)


@operation("x * tanh(x)")
def lisht(x: Tensor) -> Tensor:
    """The definition."""
    return x * torch.tanh(x)


def lisht_detached(x: Tensor) -> Tensor:
    """Has a gradient without the second factor."""
    return x * torch.tanh(x).detach()


@operation("log(x + sqrt(x * x + 1))", form="a = abs(x); sign(x) * log1p(a + a * a / (1 + sqrt(a * a + 1)))")
def asinh(x: Tensor) -> Tensor:
    """The function of torch."""
    return torch.asinh(x)


def asinh_cancels(x: Tensor) -> Tensor:
    """The definition, which cancels on the left and near zero."""
    return torch.log(x + torch.sqrt(x * x + 1))


@operation("where(abs(x) <= 4.685, (1 - (1 - (x / 4.685) ** 2) ** 3) * 4.685 ** 2 / 6, 4.685 ** 2 / 6)")
def tukey(x: Tensor) -> Tensor:
    """The definition."""
    inside = 1 - (1 - (x / 4.685) ** 2) ** 3
    return torch.where(x.abs() <= 4.685, inside * (4.685**2 / 6), torch.full_like(x, 4.685**2 / 6))


def tukey_without_an_end(x: Tensor) -> Tensor:
    """Continues the inner part everywhere."""
    return (1 - (1 - (x / 4.685) ** 2) ** 3) * (4.685**2 / 6)


@operation("x + sin(x) ** 2")
def snake(x: Tensor) -> Tensor:
    """The definition."""
    return x + torch.sin(x) ** 2


def snake_of_a_square(x: Tensor) -> Tensor:
    """Squares the number, not its sine."""
    return x + torch.sin(x * x)


@operation("-log(pi * x * (1 + log(x) ** 2))", "x=positive")
def log_cauchy(x: Tensor) -> Tensor:
    """Uses log1p."""
    return -math.log(math.pi) - torch.log(x) - torch.log1p(torch.log(x) ** 2)


def log_cauchy_not_squared(x: Tensor) -> Tensor:
    """Does not square the logarithm."""
    return -math.log(math.pi) - torch.log(x) - torch.log1p(torch.log(x).abs())


@operation("where(x >= -1, max(0, 1 - x) ** 2, -4 * x)")
def modified_huber(x: Tensor) -> Tensor:
    """A square that continues as a line."""
    return torch.where(x >= -1, F.relu(1 - x) ** 2, -4 * x)


def modified_huber_with_a_jump(x: Tensor) -> Tensor:
    """Continues with another line."""
    return torch.where(x >= -1, F.relu(1 - x) ** 2, 2 - 2 * x)


@operation("-0.25 * (1 - sigmoid(x)) ** 1.5 * log(sigmoid(x))", form="0.25 * sigmoid(-x) ** 1.5 * softplus(-x)")
def focal_gamma(x: Tensor) -> Tensor:
    """The loss of a positive example, through the softplus."""
    return 0.25 * torch.sigmoid(-x) ** 1.5 * F.softplus(-x)


def focal_gamma_of_probabilities(x: Tensor) -> Tensor:
    """Uses the probability, whose logarithm becomes infinite."""
    p = torch.sigmoid(x)
    return -0.25 * (1 - p) ** 1.5 * torch.log(p)
