"""Ten further operations that no catalogue has, with a right and a wrong implementation, chosen before any was run.

On the first run, of all laws in two dtypes, 19 of 20 were of the kind that they were meant to be: the right ``vae_kl``
was infinite from v = 88.72284 on in float32, where exp overflows and half of it, the truth, does not: true, and what
everybody writes. Its v, the logarithm of a variance, is within 80 now. Each entry has what the wrong one does.
"""

import torch
from formula.unseen import Unseen
from torch import Tensor


def bent_identity(x: Tensor) -> Tensor:
    """The definition."""
    return (torch.sqrt(x * x + 1) - 1) / 2 + x


def bent_identity_not_halved(x: Tensor) -> Tensor:
    """The bend is not halved."""
    return torch.sqrt(x * x + 1) - 1 + x


def charbonnier(x: Tensor, y: Tensor) -> Tensor:
    """The definition."""
    return torch.sqrt((x - y) ** 2 + 1e-6)


def charbonnier_outside(x: Tensor, y: Tensor) -> Tensor:
    """The constant is added to the root."""
    return torch.sqrt((x - y) ** 2) + 1e-3


def isru(x: Tensor) -> Tensor:
    """The inverse square root unit."""
    return x * torch.rsqrt(1 + x * x)


def isru_detached(x: Tensor) -> Tensor:
    """The root is a constant to autograd."""
    return x / torch.sqrt(1 + x * x).detach()


def tempered_softmax(x: Tensor) -> Tensor:
    """By torch's."""
    return torch.softmax(x / 0.7, -1)


def tempered_softmax_multiplied(x: Tensor) -> Tensor:
    """Multiplied by the temperature."""
    return torch.softmax(x * 0.7, -1)


def collision_entropy(p: Tensor) -> Tensor:
    """The definition."""
    return -torch.log((p * p).sum(-1))


def collision_entropy_with_eps(p: Tensor) -> Tensor:
    """With an epsilon in the logarithm."""
    return -torch.log((p * p).sum(-1) + 1e-5)


def boltzmann_mean(x: Tensor) -> Tensor:
    """By the softmax."""
    return (x * torch.softmax(x, -1)).sum(-1)


def boltzmann_mean_overflows(x: Tensor) -> Tensor:
    """Without the shift."""
    return (x * x.exp()).sum(-1) / x.exp().sum(-1)


def harmonic_mean(x: Tensor) -> Tensor:
    """The definition."""
    return x.shape[-1] / (1 / x).sum(-1)


def harmonic_mean_with_eps(x: Tensor) -> Tensor:
    """What should be safe is another mean."""
    return x.shape[-1] / (1 / (x + 1e-4)).sum(-1)


def geometric_mean(x: Tensor) -> Tensor:
    """By logarithms."""
    return x.log().mean(-1).exp()


def geometric_mean_by_product(x: Tensor) -> Tensor:
    """The product overflows, or is zero."""
    return x.prod(-1) ** (1 / x.shape[-1])


def gumbel_log_prob(x: Tensor, m: Tensor) -> Tensor:
    """The definition."""
    z = x - m
    return -(z + torch.exp(-z))


def gumbel_log_prob_of_the_smallest(x: Tensor, m: Tensor) -> Tensor:
    """The distribution of the smallest, and not of the largest."""
    z = m - x
    return -(z + torch.exp(-z))


def vae_kl(m: Tensor, v: Tensor) -> Tensor:
    """Of a diagonal Gaussian by its mean and the logarithm of its variance."""
    return 0.5 * (m * m + torch.expm1(v) - v).sum(-1)


def vae_kl_of_the_deviation(m: Tensor, v: Tensor) -> Tensor:
    """The logarithm of the variance is taken for that of the deviation."""
    return 0.5 * (m * m + torch.exp(2 * v) - 1 - v).sum(-1)


FURTHER = {
    "bent_identity": Unseen(
        "(sqrt(x * x + 1) - 1) / 2 + x", bent_identity, bent_identity_not_halved, "the bend is not halved"
    ),
    "charbonnier": Unseen("sqrt((x - y) ** 2 + 1e-6)", charbonnier, charbonnier_outside, "eps beside the root"),
    "isru": Unseen("x / sqrt(1 + x * x)", isru, isru_detached, "a gradient without its divisor"),
    "tempered_softmax": Unseen(
        "softmax(x / 0.7)", tempered_softmax, tempered_softmax_multiplied, "the temperature multiplies"
    ),
    "collision_entropy": Unseen(
        "-log(sum(p * p))",
        collision_entropy,
        collision_entropy_with_eps,
        "an eps in the logarithm",
        ("p=distribution",),
    ),
    "boltzmann_mean": Unseen(
        "sum(x * exp(x)) / sum(exp(x))",
        boltzmann_mean,
        boltzmann_mean_overflows,
        "no shift",
        form="sum(x * softmax(x))",
    ),
    "harmonic_mean": Unseen(
        "count(x) / sum(1 / x)", harmonic_mean, harmonic_mean_with_eps, "an eps in the divisor", ("x=positive",)
    ),
    "geometric_mean": Unseen(
        "exp(mean(log(x)))", geometric_mean, geometric_mean_by_product, "the product overflows", ("x=positive",)
    ),
    "gumbel_log_prob": Unseen(
        "-(x - m + exp(m - x))", gumbel_log_prob, gumbel_log_prob_of_the_smallest, "the other tail"
    ),
    "vae_kl": Unseen(
        "sum(m * m + exp(v) - 1 - v) / 2",
        vae_kl,
        vae_kl_of_the_deviation,
        "a variance for a deviation",
        ("v=-80..80",),
        "sum(m * m + expm1(v) - v) / 2",
    ),
}
"""By name."""
