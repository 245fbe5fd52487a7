"""Ten operations that no catalogue has, each with a right and a wrong implementation: they judge the judge.

They were written before anything was that decides on them. The first run told nine of them apart; of the tenth,
``log1mexp``, the right implementation had a gradient of NaN below 2^-25, which was true, and the eps of the wrong one
was drowned by what the formula as written loses: it was called lost digits. It has a form now. Each entry of
:data:`UNSEEN` has the formula, the options beside it, and what the wrong one does.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional


class Unseen(NamedTuple):
    """One operation."""

    formula: str
    right: Callable[..., Tensor]
    wrong: Callable[..., Tensor]
    fault: str
    inputs: tuple[str, ...] = ()
    form: str | None = None


def log_cosh(x: Tensor) -> Tensor:
    """As libraries have it."""
    return x.abs() + torch.log1p(torch.exp(-2 * x.abs())) - math.log(2)


def log_cosh_overflows(x: Tensor) -> Tensor:
    """The definition."""
    return torch.log(torch.cosh(x))


def squareplus(x: Tensor) -> Tensor:
    """As its paper has it."""
    return (x + torch.sqrt(x * x + 4)) / 2


def squareplus_of_one(x: Tensor) -> Tensor:
    """With another constant."""
    return (x + torch.sqrt(x * x + 1)) / 2


def quick_gelu(x: Tensor) -> Tensor:
    """As CLIP has it."""
    return x * torch.sigmoid(1.702 * x)


def quick_gelu_rounded(x: Tensor) -> Tensor:
    """With a constant of two digits."""
    return x * torch.sigmoid(1.7 * x)


def cauchy_loss(x: Tensor, y: Tensor) -> Tensor:
    """By log1p."""
    return torch.log1p(((x - y) / 2) ** 2)


def cauchy_loss_halved(x: Tensor, y: Tensor) -> Tensor:
    """The square is halved, and not the difference."""
    return torch.log1p((x - y) ** 2 / 2)


def geman_mcclure(x: Tensor, y: Tensor) -> Tensor:
    """The definition."""
    squared = (x - y) ** 2
    return squared / (squared + 1)


def geman_mcclure_detached(x: Tensor, y: Tensor) -> Tensor:
    """The divisor is a constant to autograd."""
    squared = (x - y) ** 2
    return squared / (squared + 1).detach()


def softmin(x: Tensor) -> Tensor:
    """Torch's own."""
    return functional.softmin(x, dim=-1)


def softmin_overflows(x: Tensor) -> Tensor:
    """The definition."""
    exponentials = torch.exp(-x)
    return exponentials / exponentials.sum(-1, keepdim=True)


def coefficient_of_variation(x: Tensor) -> Tensor:
    """Of the population."""
    return x.std(-1, correction=0) / x.mean(-1)


def coefficient_of_variation_of_sample(x: Tensor) -> Tensor:
    """With torch's default correction."""
    return x.std(-1) / x.mean(-1)


def gaussian_kernel(x: Tensor, y: Tensor) -> Tensor:
    """Of the difference."""
    return torch.exp(-((x - y) ** 2).sum(-1) / 2)


def gaussian_kernel_expanded(x: Tensor, y: Tensor) -> Tensor:
    """The square is expanded, as for all pairs at once: it cancels."""
    squared = (x * x).sum(-1) + (y * y).sum(-1) - 2 * (x * y).sum(-1)
    return torch.exp(-squared / 2)


def pinball(x: Tensor, y: Tensor) -> Tensor:
    """The definition."""
    error = y - x
    return torch.maximum(0.9 * error, -0.1 * error)


def pinball_of_the_other_side(x: Tensor, y: Tensor) -> Tensor:
    """Prediction and target are exchanged."""
    error = x - y
    return torch.maximum(0.9 * error, -0.1 * error)


def log1mexp(x: Tensor) -> Tensor:
    """After Maechler (2012), with both branches kept away from the other's: one ``where`` has a NaN for gradient."""
    near = x < math.log(2)
    return torch.where(
        near,
        torch.log(-torch.expm1(-torch.where(near, x, 0.5))),
        torch.log1p(-torch.exp(-torch.where(near, 1.0, x))),
    )


def log1mexp_with_eps(x: Tensor) -> Tensor:
    """What should be safe is another function."""
    return torch.log(1 - torch.exp(-x) + 1e-8)


UNSEEN = {
    "log_cosh": Unseen(
        "log((exp(x) + exp(-x)) / 2)", log_cosh, log_cosh_overflows, "the hyperbolic cosine overflows at 89"
    ),
    "squareplus": Unseen("(x + sqrt(x * x + 4)) / 2", squareplus, squareplus_of_one, "another constant"),
    "quick_gelu": Unseen("x / (1 + exp(-1.702 * x))", quick_gelu, quick_gelu_rounded, "a constant of two digits"),
    "cauchy_loss": Unseen("log(1 + ((x - y) / 2) ** 2)", cauchy_loss, cauchy_loss_halved, "half of the square"),
    "geman_mcclure": Unseen(
        "(x - y) ** 2 / ((x - y) ** 2 + 1)", geman_mcclure, geman_mcclure_detached, "a gradient without its divisor"
    ),
    "softmin": Unseen("exp(-x) / sum(exp(-x))", softmin, softmin_overflows, "no shift"),
    "coefficient_of_variation": Unseen(
        "sqrt(mean((x - mean(x)) ** 2)) / mean(x)",
        coefficient_of_variation,
        coefficient_of_variation_of_sample,
        "n - 1 in place of n",
        ("x=positive",),
    ),
    "gaussian_kernel": Unseen(
        "exp(-sum((x - y) ** 2) / 2)", gaussian_kernel, gaussian_kernel_expanded, "the expanded square cancels"
    ),
    "pinball": Unseen(
        "max(0.9 * (y - x), -0.1 * (y - x))", pinball, pinball_of_the_other_side, "prediction and target exchanged"
    ),
    "log1mexp": Unseen(
        "log(1 - exp(-x))",
        log1mexp,
        log1mexp_with_eps,
        "an eps in the logarithm",
        ("x=positive",),
        "log(-expm1(-x))",
    ),
}
"""By name."""
