"""Ten operations that nobody had brought yet, as one finds them in papers, right and wrong, chosen before any was run.

On the first run, of all laws in two dtypes, nine right ones had no defect, and nine wrong ones had some. The right
``hellinger`` of distributions had a gradient of NaN where both have a zero, which is true; its entries are above zero
now, and its wrong one has another fault. The wrong ``log_cauchy`` took the logarithm of the square of a density, which
leaves the range beyond 1e17: that was said of extreme numbers, as lost digits; it has another fault now. And a right
``tsallis_entropy`` of ``p * sqrt(p)`` had no defect only since the formula knew nothing of zero to the 3/2: its
gradient is NaN there.

Each entry of :data:`LATEST` has the formula, the options beside it, and what the wrong one does.
"""

import math

import torch
from formula.unseen import Unseen
from torch import Tensor
from torch.nn import functional as F


def focal_gamma(x: Tensor) -> Tensor:
    """Of a positive example, through the softplus."""
    return 0.25 * torch.sigmoid(-x) ** 1.5 * F.softplus(-x)


def focal_gamma_of_probabilities(x: Tensor) -> Tensor:
    """Through the probability, whose logarithm is infinite."""
    p = torch.sigmoid(x)
    return -0.25 * (1 - p) ** 1.5 * torch.log(p)


def tsallis_entropy(p: Tensor) -> Tensor:
    """Of order 3/2."""
    return (1 - (p**1.5).sum(-1)) * 2


def tsallis_entropy_undivided(p: Tensor) -> Tensor:
    """Not divided by the order less one."""
    return 1 - (p**1.5).sum(-1)


def tweedie(y: Tensor, m: Tensor) -> Tensor:
    """Of power 3/2, by the difference of the roots."""
    return 4 * (y.sqrt() - m.sqrt()) ** 2 / m.sqrt()


def tweedie_exchanged(y: Tensor, m: Tensor) -> Tensor:
    """The mean and the observation are exchanged."""
    return tweedie(m, y)


def generalised_kl(x: Tensor, y: Tensor) -> Tensor:
    """The definition."""
    return (x * torch.log(x / y) - x + y).sum(-1)


def generalised_kl_of_distributions(x: Tensor, y: Tensor) -> Tensor:
    """The masses are left out, as if they were equal."""
    return (x * torch.log(x / y)).sum(-1)


def log_cauchy(x: Tensor) -> Tensor:
    """By log1p."""
    return -math.log(math.pi) - torch.log(x) - torch.log1p(torch.log(x) ** 2)


def log_cauchy_not_squared(x: Tensor) -> Tensor:
    """The logarithm is not squared."""
    return -math.log(math.pi) - torch.log(x) - torch.log1p(torch.log(x).abs())


def itakura_saito(x: Tensor, y: Tensor) -> Tensor:
    """The definition."""
    ratio = x / y
    return (ratio - torch.log(ratio) - 1).mean(-1)


def itakura_saito_inverted(x: Tensor, y: Tensor) -> Tensor:
    """The ratio is inverted."""
    return itakura_saito(y, x)


def cloglog(x: Tensor) -> Tensor:
    """By expm1."""
    return -torch.expm1(-torch.exp(x))


def cloglog_cancels(x: Tensor) -> Tensor:
    """One less what rounds to one."""
    return 1 - torch.exp(-torch.exp(x))


def modified_huber(x: Tensor) -> Tensor:
    """A square, and a line where it goes on."""
    return torch.where(x >= -1, F.relu(1 - x) ** 2, -4 * x)


def modified_huber_with_a_jump(x: Tensor) -> Tensor:
    """Another line."""
    return torch.where(x >= -1, F.relu(1 - x) ** 2, 2 - 2 * x)


def hellinger(p: Tensor, q: Tensor) -> Tensor:
    """The definition."""
    return torch.linalg.vector_norm(p.sqrt() - q.sqrt(), dim=-1) / math.sqrt(2)


def hellinger_undivided(p: Tensor, q: Tensor) -> Tensor:
    """Not divided by the root of two."""
    return torch.linalg.vector_norm(p.sqrt() - q.sqrt(), dim=-1)


def jensen_shannon(p: Tensor, q: Tensor) -> Tensor:
    """By xlogy."""
    m = (p + q) / 2
    return (torch.xlogy(p, p / m) + torch.xlogy(q, q / m)).sum(-1) / 2


def jensen_shannon_from_the_sum(p: Tensor, q: Tensor) -> Tensor:
    """The mixture is not halved."""
    m = p + q
    return (torch.xlogy(p, p / m) + torch.xlogy(q, q / m)).sum(-1) / 2


LATEST = {
    "focal_gamma": Unseen(
        "-0.25 * (1 - sigmoid(x)) ** 1.5 * log(sigmoid(x))",
        focal_gamma,
        focal_gamma_of_probabilities,
        "the logarithm of a probability that is zero",
        form="0.25 * sigmoid(-x) ** 1.5 * softplus(-x)",
    ),
    "tsallis_entropy": Unseen(
        "(1 - sum(p ** 1.5)) / 0.5", tsallis_entropy, tsallis_entropy_undivided, "not divided", ("p=distribution",)
    ),
    "tweedie": Unseen(
        "2 * (-4 * sqrt(y) + 2 * y / sqrt(m) + 2 * sqrt(m))",
        tweedie,
        tweedie_exchanged,
        "mean and observation are exchanged",
        ("y=positive", "m=positive"),
        form="4 * (sqrt(y) - sqrt(m)) ** 2 / sqrt(m)",
    ),
    "generalised_kl": Unseen(
        "sum(x * log(x / y) - x + y)",
        generalised_kl,
        generalised_kl_of_distributions,
        "the masses are left out",
        ("x=positive", "y=positive"),
    ),
    "log_cauchy": Unseen(
        "-log(pi * x * (1 + log(x) ** 2))",
        log_cauchy,
        log_cauchy_not_squared,
        "the logarithm is not squared",
        ("x=positive",),
    ),
    "itakura_saito": Unseen(
        "mean(x / y - log(x / y) - 1)",
        itakura_saito,
        itakura_saito_inverted,
        "the ratio is inverted",
        ("x=positive", "y=positive"),
    ),
    "cloglog": Unseen("1 - exp(-exp(x))", cloglog, cloglog_cancels, "it cancels on the left", form="-expm1(-exp(x))"),
    "modified_huber": Unseen(
        "where(x >= -1, max(0, 1 - x) ** 2, -4 * x)", modified_huber, modified_huber_with_a_jump, "another line"
    ),
    "hellinger": Unseen(
        "norm(sqrt(p) - sqrt(q)) / sqrt(2)",
        hellinger,
        hellinger_undivided,
        "not divided by the root of two",
        ("p=0.01..1", "q=0.01..1"),
    ),
    "jensen_shannon": Unseen(
        "m = (p + q) / 2; sum(p * log(p / m) + q * log(q / m)) / 2",
        jensen_shannon,
        jensen_shannon_from_the_sum,
        "the mixture is not halved",
        ("p=distribution", "q=distribution"),
    ),
}
"""By name."""
