"""Deliberately wrong implementations of the logaddexp."""

import torch
from corpus.specimen import loses, mutant
from torch import Tensor


@mutant("logaddexp", "finite_on_extreme_terms")
@loses("logaddexp", "value", "overflow exp", float32={"a": [90.0], "b": [1.0]})
@loses("logaddexp", "value", "underflow exp", float64={"a": [-800.0], "b": [-800.0]})
def naive_logaddexp(a: Tensor, b: Tensor) -> Tensor:
    """Exp without the shift."""
    return (a.exp() + b.exp()).log()  # here


@mutant("logaddexp", "digits_not_lost")
@loses(
    "logaddexp",
    "digits_not_lost",
    "absorption add",
    float32={"a": [0.0], "b": [-20.0]},
    float64={"a": [0.0], "b": [-40.0]},
)
def without_log1p(a: Tensor, b: Tensor) -> Tensor:
    """log(1 + exp(-d)): nothing is left of exp(-d) below u, which shows where the larger number is zero."""
    ratio = (-(a - b).abs()).exp()
    return torch.maximum(a, b) + (1 + ratio).log()  # here


@mutant("logaddexp", "at_least_the_maximum")
def log_mean_of_two(a: Tensor, b: Tensor) -> Tensor:
    """A mean for the sum."""
    return torch.logaddexp(a, b) - 0.6931


@mutant("logaddexp", "commutes")
def always_from_the_first(a: Tensor, b: Tensor) -> Tensor:
    """Takes the first number for the larger, and clips the exponent against the overflow."""
    return a + (b - a).clamp_max(80.0).exp().log1p()


@mutant("logaddexp", "value", "shift_equivariant")
def clipped_logaddexp(a: Tensor, b: Tensor) -> Tensor:
    """The exponent is clipped instead of shifted."""
    return (a.clamp(-50, 50).exp() + b.clamp(-50, 50).exp()).log()


@mutant("logaddexp", "gradient")
def detached_second(a: Tensor, b: Tensor) -> Tensor:
    """The running sum is a constant to autograd."""
    return torch.logaddexp(a, b.detach()) + 0 * b


@mutant("logaddexp", "nothing_added")
def nothing_is_a_constant(a: Tensor, b: Tensor) -> Tensor:
    """-inf is taken for -80."""
    return torch.logaddexp(a.nan_to_num(neginf=-80.0, posinf=torch.inf), b.nan_to_num(neginf=-80.0, posinf=torch.inf))


@mutant("logaddexp", "infinite_terms")
@loses("logaddexp", "infinite_terms", "invalid sub", float32={"a": [-torch.inf], "b": [-torch.inf]})
def without_a_guard(a: Tensor, b: Tensor) -> Tensor:
    """The difference of equal infinities is NaN."""
    gap = a - b  # here
    return torch.maximum(a, b) + torch.log1p(torch.exp(-gap.abs()))


@mutant("logaddexp", "gradient_of_masked_pairs")
def with_an_entropy(a: Tensor, b: Tensor) -> Tensor:
    """An entropy term of weight zero, masked after the fact: 0 * -inf in the backward pass."""
    return torch.logaddexp(a, b) + 0 * torch.where(a.isneginf(), 0.0, a.exp().clamp_max(1.0) * a)


@mutant("logaddexp", "value_on_extreme_numbers")
def by_the_mean(a: Tensor, b: Tensor) -> Tensor:
    """The sum of the largest numbers overflows, half of it too."""
    mean = (a + b) / 2
    return mean + torch.logaddexp(a - mean, b - mean)
