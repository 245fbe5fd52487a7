"""Negative log-likelihoods by their definitions: the Gaussian, and three others that are not least squares."""

from jaxtyping import Float
from torch import Tensor


def gaussian_nll(
    mean: Float[Tensor, " n"], target: Float[Tensor, " n"], variance: Float[Tensor, " n"]
) -> Float[Tensor, ""]:
    """Mean of ``(ln v + (target - mean)^2 / v) / 2``: Gaussian noise, without the constant ``ln(2 pi) / 2``."""
    return (0.5 * (variance.log() + (target - mean) ** 2 / variance)).mean()


def laplace_nll(
    mean: Float[Tensor, " n"], target: Float[Tensor, " n"], variance: Float[Tensor, " n"]
) -> Float[Tensor, ""]:
    """Mean of ``ln b + |target - mean| / b`` with ``2 b^2 = v``: Laplace noise, fitted by least absolute deviations."""
    scale = (variance / 2).sqrt()
    return (scale.log() + (target - mean).abs() / scale).mean()


def student_nll(
    mean: Float[Tensor, " n"], target: Float[Tensor, " n"], variance: Float[Tensor, " n"]
) -> Float[Tensor, ""]:
    """Student's t noise with three degrees of freedom and scale ``sqrt(v)``: large errors weigh less."""
    return (0.5 * variance.log() + 2 * ((target - mean) ** 2 / (3 * variance)).log1p()).mean()


def heteroscedastic_nll(
    mean: Float[Tensor, " n"], target: Float[Tensor, " n"], variance: Float[Tensor, " n"]
) -> Float[Tensor, ""]:
    """Gaussian noise whose variance grows with the mean, ``v (1 + mean^2)``: rows are weighted."""
    return gaussian_nll(mean, target, variance * (1 + mean**2))
