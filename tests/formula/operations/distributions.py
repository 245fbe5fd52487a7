"""Entropies and divergences of rows, each right and wrong."""

import math

import torch
from formula.operations.table import operation
from torch import Tensor


@operation("-log(sum(p * p))", "p=distribution")
def collision_entropy(p: Tensor) -> Tensor:
    """The definition."""
    return -torch.log((p * p).sum(-1))


def collision_entropy_with_eps(p: Tensor) -> Tensor:
    """Adds an eps in the logarithm."""
    return -torch.log((p * p).sum(-1) + 1e-5)


@operation("sum(m * m + exp(v) - 1 - v) / 2", "v=-80..80", form="sum(m * m + expm1(v) - v) / 2")
def vae_kl(m: Tensor, v: Tensor) -> Tensor:
    """The divergence of a diagonal Gaussian, from its mean and the logarithm of its variance."""
    return 0.5 * (m * m + torch.expm1(v) - v).sum(-1)


def vae_kl_of_the_deviation(m: Tensor, v: Tensor) -> Tensor:
    """Takes the logarithm of the variance for that of the standard deviation."""
    return 0.5 * (m * m + torch.exp(2 * v) - 1 - v).sum(-1)


@operation("(1 - sum(p ** 1.5)) / 0.5", "p=distribution")
def tsallis_entropy(p: Tensor) -> Tensor:
    """The entropy of order 3/2."""
    return (1 - (p**1.5).sum(-1)) * 2


def tsallis_entropy_undivided(p: Tensor) -> Tensor:
    """Does not divide by the order minus 1."""
    return 1 - (p**1.5).sum(-1)


@operation("sum(x * log(x / y) - x + y)", "x=positive", "y=positive")
def generalised_kl(x: Tensor, y: Tensor) -> Tensor:
    """The definition."""
    return (x * torch.log(x / y) - x + y).sum(-1)


def generalised_kl_of_distributions(x: Tensor, y: Tensor) -> Tensor:
    """Omits the sums, as if they were equal."""
    return (x * torch.log(x / y)).sum(-1)


@operation("mean(x / y - log(x / y) - 1)", "x=positive", "y=positive")
def itakura_saito(x: Tensor, y: Tensor) -> Tensor:
    """The definition."""
    ratio = x / y
    return (ratio - torch.log(ratio) - 1).mean(-1)


def itakura_saito_inverted(x: Tensor, y: Tensor) -> Tensor:
    """Inverts the ratio."""
    return itakura_saito(y, x)


@operation("norm(sqrt(p) - sqrt(q)) / sqrt(2)", "p=0.01..1", "q=0.01..1")
def hellinger(p: Tensor, q: Tensor) -> Tensor:
    """The definition."""
    return torch.linalg.vector_norm(p.sqrt() - q.sqrt(), dim=-1) / math.sqrt(2)


def hellinger_undivided(p: Tensor, q: Tensor) -> Tensor:
    """Does not divide by the root of 2."""
    return torch.linalg.vector_norm(p.sqrt() - q.sqrt(), dim=-1)


@operation("m = (p + q) / 2; sum(p * log(p / m) + q * log(q / m)) / 2", "p=distribution", "q=distribution")
def jensen_shannon(p: Tensor, q: Tensor) -> Tensor:
    """Uses xlogy."""
    m = (p + q) / 2
    return (torch.xlogy(p, p / m) + torch.xlogy(q, q / m)).sum(-1) / 2


def jensen_shannon_from_the_sum(p: Tensor, q: Tensor) -> Tensor:
    """Does not halve the mixture."""
    m = p + q
    return (torch.xlogy(p, p / m) + torch.xlogy(q, q / m)).sum(-1) / 2
