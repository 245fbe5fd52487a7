"""Functions of rows, each right and wrong."""

import torch
from formula.operations.table import operation
from torch import Tensor
from torch.nn import functional as F


@operation("exp(-x) / sum(exp(-x))")
def softmin(x: Tensor) -> Tensor:
    """The function of torch."""
    return F.softmin(x, dim=-1)


def softmin_overflows(x: Tensor) -> Tensor:
    """The definition, without a shift."""
    exponentials = torch.exp(-x)
    return exponentials / exponentials.sum(-1, keepdim=True)


@operation("sqrt(mean((x - mean(x)) ** 2)) / mean(x)", "x=positive")
def coefficient_of_variation(x: Tensor) -> Tensor:
    """Divides by n."""
    return x.std(-1, correction=0) / x.mean(-1)


def coefficient_of_variation_of_sample(x: Tensor) -> Tensor:
    """Divides by n - 1, torch's default."""
    return x.std(-1) / x.mean(-1)


@operation("exp(-sum((x - y) ** 2) / 2)")
def gaussian_kernel(x: Tensor, y: Tensor) -> Tensor:
    """Squares the difference."""
    return torch.exp(-((x - y) ** 2).sum(-1) / 2)


def gaussian_kernel_expanded(x: Tensor, y: Tensor) -> Tensor:
    """Expands the square, as for all pairs at once, which cancels."""
    squared = (x * x).sum(-1) + (y * y).sum(-1) - 2 * (x * y).sum(-1)
    return torch.exp(-squared / 2)


@operation("softmax(x / 0.7)")
def tempered_softmax(x: Tensor) -> Tensor:
    """Uses torch's softmax."""
    return torch.softmax(x / 0.7, -1)


def tempered_softmax_multiplied(x: Tensor) -> Tensor:
    """Multiplies by the temperature."""
    return torch.softmax(x * 0.7, -1)


@operation("sum(x * exp(x)) / sum(exp(x))", form="sum(x * softmax(x))")
def boltzmann_mean(x: Tensor) -> Tensor:
    """Uses the softmax."""
    return (x * torch.softmax(x, -1)).sum(-1)


def boltzmann_mean_overflows(x: Tensor) -> Tensor:
    """The definition, without a shift."""
    return (x * x.exp()).sum(-1) / x.exp().sum(-1)


@operation("count(x) / sum(1 / x)", "x=positive")
def harmonic_mean(x: Tensor) -> Tensor:
    """The definition."""
    return x.shape[-1] / (1 / x).sum(-1)


def harmonic_mean_with_eps(x: Tensor) -> Tensor:
    """Adds an eps to the entries."""
    return x.shape[-1] / (1 / (x + 1e-4)).sum(-1)


@operation("exp(mean(log(x)))", "x=positive")
def geometric_mean(x: Tensor) -> Tensor:
    """Uses logarithms."""
    return x.log().mean(-1).exp()


def geometric_mean_by_product(x: Tensor) -> Tensor:
    """Uses the product, which overflows or underflows."""
    return x.prod(-1) ** (1 / x.shape[-1])


@operation("sum(x ** 2) ** 2 / sum(x ** 4)")
def participation(x: Tensor) -> Tensor:
    """The definition."""
    return (x * x).sum(-1) ** 2 / (x**4).sum(-1)


def participation_of_means(x: Tensor) -> Tensor:
    """Has means in place of sums."""
    return (x * x).mean(-1) ** 2 / (x**4).mean(-1)


@operation("x / max(abs(x))")
def by_largest(x: Tensor) -> Tensor:
    """Divides by the largest magnitude, as in quantization."""
    return x / x.abs().amax(-1, keepdim=True)


def by_largest_signed(x: Tensor) -> Tensor:
    """Divides by the largest number."""
    return x / x.amax(-1, keepdim=True)


@operation("a = x - mean(x); b = y - mean(y); sum(a * b) / sqrt(sum(a * a) * sum(b * b))")
def correlation(x: Tensor, y: Tensor) -> Tensor:
    """Centers both rows."""
    a, b = x - x.mean(-1, keepdim=True), y - y.mean(-1, keepdim=True)
    return (a * b).sum(-1) / torch.sqrt((a * a).sum(-1) * (b * b).sum(-1))


def correlation_of_moments(x: Tensor, y: Tensor) -> Tensor:
    """Uses raw moments, which cancel."""
    covariance = (x * y).mean(-1) - x.mean(-1) * y.mean(-1)
    variances = ((x * x).mean(-1) - x.mean(-1) ** 2) * ((y * y).mean(-1) - y.mean(-1) ** 2)
    return covariance / torch.sqrt(variances)
