"""Deliberately wrong implementations of the Gaussian likelihood."""

from mutants.mutant import Mutant
from torch import Tensor


def nll_of_sigma(mean: Tensor, target: Tensor, variance: Tensor) -> Tensor:
    """Sigma where sigma^2 is meant."""
    return (0.5 * (variance.log() + (target - mean) ** 2 / variance.sqrt())).mean()


def laplace(mean: Tensor, target: Tensor, variance: Tensor) -> Tensor:
    """Laplace noise: another minimiser."""
    scale = (variance / 2).sqrt()
    return (scale.log() + (target - mean).abs() / scale).mean()


def nll_with_a_root(mean: Tensor, target: Tensor, variance: Tensor) -> Tensor:
    """The variance is rooted and squared again."""
    sigma = variance.sqrt()
    return (sigma.log() + 0.5 * ((target - mean) / sigma) ** 2).mean()


MUTANTS = [
    Mutant(nll_of_sigma, "gaussian_nll", "value"),
    Mutant(nll_of_sigma, "gaussian_nll", "gradient_is_scaled_squared_error"),
    Mutant(nll_with_a_root, "gaussian_nll", "gradients_agree_exactly"),
    Mutant(laplace, "gaussian_nll", "least_squares_minimises"),
]
