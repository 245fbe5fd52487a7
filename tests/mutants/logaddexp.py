"""Deliberately wrong implementations of the logaddexp."""

import torch
from mutants.mutant import Mutant
from torch import Tensor


def naive_logaddexp(a: Tensor, b: Tensor) -> Tensor:
    """Exp without the shift."""
    return (a.exp() + b.exp()).log()


def without_log1p(a: Tensor, b: Tensor) -> Tensor:
    """log(1 + exp(-d)): nothing is left of exp(-d) below u, which shows where the larger number is zero."""
    return torch.maximum(a, b) + (1 + (-(a - b).abs()).exp()).log()


def log_mean_of_two(a: Tensor, b: Tensor) -> Tensor:
    """A mean for the sum."""
    return torch.logaddexp(a, b) - 0.6931


def always_from_the_first(a: Tensor, b: Tensor) -> Tensor:
    """Takes the first number for the larger, and clips the exponent against the overflow."""
    return a + (b - a).clamp_max(80.0).exp().log1p()


def clipped_logaddexp(a: Tensor, b: Tensor) -> Tensor:
    """The exponent is clipped instead of shifted."""
    return (a.clamp(-50, 50).exp() + b.clamp(-50, 50).exp()).log()


def detached_second(a: Tensor, b: Tensor) -> Tensor:
    """The running sum is a constant to autograd."""
    return torch.logaddexp(a, b.detach()) + 0 * b


def nothing_is_a_constant(a: Tensor, b: Tensor) -> Tensor:
    """-inf is taken for -80."""
    return torch.logaddexp(a.nan_to_num(neginf=-80.0, posinf=torch.inf), b.nan_to_num(neginf=-80.0, posinf=torch.inf))


def without_a_guard(a: Tensor, b: Tensor) -> Tensor:
    """The difference of equal infinities is NaN."""
    return torch.maximum(a, b) + (-(a - b).abs()).exp().log1p()


def with_an_entropy(a: Tensor, b: Tensor) -> Tensor:
    """An entropy term of weight zero, masked after the fact: 0 * -inf in the backward pass."""
    return torch.logaddexp(a, b) + 0 * torch.where(a.isneginf(), 0.0, a.exp().clamp_max(1.0) * a)


def by_the_mean(a: Tensor, b: Tensor) -> Tensor:
    """The sum of the largest numbers overflows, half of it too."""
    mean = (a + b) / 2
    return mean + torch.logaddexp(a - mean, b - mean)


MUTANTS = [
    Mutant(clipped_logaddexp, "logaddexp", "value"),
    Mutant(without_log1p, "logaddexp", "digits_not_lost"),
    Mutant(naive_logaddexp, "logaddexp", "finite_on_extreme_terms"),
    Mutant(log_mean_of_two, "logaddexp", "at_least_the_maximum"),
    Mutant(always_from_the_first, "logaddexp", "commutes"),
    Mutant(clipped_logaddexp, "logaddexp", "shift_equivariant"),
    Mutant(detached_second, "logaddexp", "gradient"),
    Mutant(nothing_is_a_constant, "logaddexp", "nothing_added"),
    Mutant(without_a_guard, "logaddexp", "infinite_terms"),
    Mutant(with_an_entropy, "logaddexp", "gradient_of_masked_pairs"),
    Mutant(by_the_mean, "logaddexp", "value_on_extreme_numbers"),
]
