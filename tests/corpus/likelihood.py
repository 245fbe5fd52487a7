"""Deliberately wrong implementations of the Gaussian likelihood."""

import torch
from corpus.specimen import loses, mutant, reported
from torch import Tensor


@mutant("gaussian_nll", "value", "gradient_is_scaled_squared_error")
@reported("gaussian_nll", "value", "sigma")
def nll_of_sigma(mean: Tensor, target: Tensor, variance: Tensor) -> Tensor:
    """Uses sigma in place of sigma^2."""
    return (0.5 * (variance.log() + (target - mean) ** 2 / variance.sqrt())).mean()


@mutant("gaussian_nll", "least_squares_minimises")
def laplace(mean: Tensor, target: Tensor, variance: Tensor) -> Tensor:
    """Laplace noise: another minimiser."""
    scale = (variance / 2).sqrt()
    return (scale.log() + (target - mean).abs() / scale).mean()


@mutant("gaussian_nll", "gradients_agree_exactly")
def nll_in_tenths(mean: Tensor, target: Tensor, variance: Tensor) -> Tensor:
    """The error is divided by ten, and its square multiplied by a hundred."""
    tenths = (target - mean) / 10
    return (0.5 * (variance.log() + 100 * tenths**2 / variance)).mean()


@mutant("gaussian_nll", "value_at_extreme_variances", "gradient_at_extreme_variances")
def floored_nll(mean: Tensor, target: Tensor, variance: Tensor) -> Tensor:
    """The variance is at least 1e-6."""
    floored = variance.clamp_min(1e-6)
    return (0.5 * (floored.log() + (target - mean) ** 2 / floored)).mean()


@mutant("gaussian_nll", "gradient")
def half_detached_nll(mean: Tensor, target: Tensor, variance: Tensor) -> Tensor:
    """Half of the product rule is lost."""
    d = target - mean
    return (0.5 * (variance.log() + d * d.detach() / variance)).mean()


@mutant("gaussian_nll", "gradient_in_variance")
def fixed_variance_nll(mean: Tensor, target: Tensor, variance: Tensor) -> Tensor:
    """The squared term takes the variance for a constant."""
    return (0.5 * (variance.log() + (target - mean) ** 2 / variance.detach())).mean()


@mutant("gaussian_nll", "infinite_errors")
def equal_is_zero(mean: Tensor, target: Tensor, variance: Tensor) -> Tensor:
    """Equal infinities differ by nothing."""
    d = torch.where(mean == target, torch.zeros_like(mean), target - mean)
    return (0.5 * (variance.log() + d**2 / variance)).mean()


@mutant("gaussian_nll", "value_on_long_rows", dtype="float16")
def narrow_mean_nll(mean: Tensor, target: Tensor, variance: Tensor) -> Tensor:
    """The sum is stored before it is divided."""
    return (0.5 * (variance.log() + (target - mean) ** 2 / variance)).sum() / len(mean)


@loses("gaussian_nll", "value", "overflow pow", float32={"mean": [[0.0]], "target": [[1e25]], "variance": [[1e20]]})
def gaussian_nll_by_squares(mean: Tensor, target: Tensor, variance: Tensor) -> Tensor:
    """Squares before the division."""
    square = (target - mean) ** 2  # here
    return 0.5 * (torch.log(2 * torch.pi * variance) + square / variance).mean()
