"""Deliberately wrong implementations of the Gaussian likelihood."""

import torch
from mutants.mutant import Mutant
from torch import Tensor


def nll_of_sigma(mean: Tensor, target: Tensor, variance: Tensor) -> Tensor:
    """Uses sigma in place of sigma^2."""
    return (0.5 * (variance.log() + (target - mean) ** 2 / variance.sqrt())).mean()


def laplace(mean: Tensor, target: Tensor, variance: Tensor) -> Tensor:
    """Laplace noise: another minimiser."""
    scale = (variance / 2).sqrt()
    return (scale.log() + (target - mean).abs() / scale).mean()


def nll_with_a_root(mean: Tensor, target: Tensor, variance: Tensor) -> Tensor:
    """The variance is rooted and squared again."""
    sigma = variance.sqrt()
    return (sigma.log() + 0.5 * ((target - mean) / sigma) ** 2).mean()


def floored_nll(mean: Tensor, target: Tensor, variance: Tensor) -> Tensor:
    """The variance is at least 1e-6."""
    floored = variance.clamp_min(1e-6)
    return (0.5 * (floored.log() + (target - mean) ** 2 / floored)).mean()


def half_detached_nll(mean: Tensor, target: Tensor, variance: Tensor) -> Tensor:
    """Half of the product rule is lost."""
    d = target - mean
    return (0.5 * (variance.log() + d * d.detach() / variance)).mean()


def fixed_variance_nll(mean: Tensor, target: Tensor, variance: Tensor) -> Tensor:
    """The squared term takes the variance for a constant."""
    return (0.5 * (variance.log() + (target - mean) ** 2 / variance.detach())).mean()


def equal_is_zero(mean: Tensor, target: Tensor, variance: Tensor) -> Tensor:
    """Equal infinities differ by nothing."""
    d = torch.where(mean == target, torch.zeros_like(mean), target - mean)
    return (0.5 * (variance.log() + d**2 / variance)).mean()


def narrow_mean_nll(mean: Tensor, target: Tensor, variance: Tensor) -> Tensor:
    """The sum is stored before it is divided."""
    return (0.5 * (variance.log() + (target - mean) ** 2 / variance)).sum() / len(mean)


MUTANTS = [
    Mutant(half_detached_nll, "gaussian_nll", "gradient"),
    Mutant(fixed_variance_nll, "gaussian_nll", "gradient_in_variance"),
    Mutant(floored_nll, "gaussian_nll", "value_at_extreme_variances"),
    Mutant(floored_nll, "gaussian_nll", "gradient_at_extreme_variances"),
    Mutant(equal_is_zero, "gaussian_nll", "infinite_errors"),
    Mutant(narrow_mean_nll, "gaussian_nll", "value_on_long_rows", dtype="float16"),
    Mutant(nll_of_sigma, "gaussian_nll", "value"),
    Mutant(nll_of_sigma, "gaussian_nll", "gradient_is_scaled_squared_error"),
    Mutant(nll_with_a_root, "gaussian_nll", "gradients_agree_exactly"),
    Mutant(laplace, "gaussian_nll", "least_squares_minimises"),
]
