"""Deliberately wrong implementations of the binary cross-entropy of logits."""

import torch
import torch.nn.functional as F
from controls import binary_cross_entropy as sound
from mutants.mutant import Mutant
from torch import Tensor


def of_probabilities(x: Tensor, y: Tensor) -> Tensor:
    """0 * ln 0 is not a number."""
    p = torch.sigmoid(x)
    return -(y * p.log() + (1 - y) * (1 - p).log()).mean()


def of_clamped_probabilities(x: Tensor, y: Tensor) -> Tensor:
    """The loss stops at 16.1, and its gradient there is zero."""
    p = torch.sigmoid(x).clamp(1e-7, 1 - 1e-7)
    return -(y * p.log() + (1 - y) * (1 - p).log()).mean()


def sigmoid_twice(x: Tensor, y: Tensor) -> Tensor:
    """The model's output is a probability already."""
    return F.binary_cross_entropy_with_logits(torch.sigmoid(x), y)


def difference_of_softplus(x: Tensor, y: Tensor) -> Tensor:
    """ln(1 + e^x) - x y: both are x."""
    return (F.softplus(x) - x * y).mean()


def with_epsilon(x: Tensor, y: Tensor) -> Tensor:
    """A negative loss where the probability is one."""
    p = torch.sigmoid(x)
    return -(y * (p + 1e-3).log() + (1 - y) * (1 - p + 1e-3).log()).mean()


def weighted(x: Tensor, y: Tensor) -> Tensor:
    """Weights one class more, without a declaration."""
    return sound.accurate_binary_cross_entropy(x, y) + 0.01 * (y * F.softplus(-x)).mean()


def sum_of_gradients(x: Tensor, y: Tensor) -> Tensor:
    """The mean's value with the sum's gradient."""
    mean = sound.accurate_binary_cross_entropy(x, y)
    total = mean * len(x)
    return total + (mean - total).detach()


def kinked(x: Tensor, y: Tensor) -> Tensor:
    """The derivatives of max(x, 0) and |x| at zero do not add up to one half."""
    return (x.clamp(min=0) - x * y + (-x.abs()).exp().log1p()).mean()


def limit_without_a_word(x: Tensor, y: Tensor) -> Tensor:
    """Returns zero for a correct infinite logit, without a declaration."""
    wrong = torch.where(x < 0, y, 1 - y)
    size = torch.where(wrong == 0, torch.zeros_like(x), x.abs() * wrong)
    return (size + (-x.abs()).exp().log1p()).mean()


def loss_of_numbers(x: Tensor, y: Tensor) -> Tensor:
    """Infinities are taken for 100."""
    return sound.accurate_binary_cross_entropy(torch.where(x.isinf(), x.clamp(-100, 100), x), y)


def doubled(x: Tensor, y: Tensor) -> Tensor:
    """Twice the largest logit overflows."""
    return sound.accurate_binary_cross_entropy((x + x) / 2, y)


def added_in_the_format(x: Tensor, y: Tensor) -> Tensor:
    """A running sum in bfloat16 sticks at 256 times an addend."""
    rows = F.binary_cross_entropy_with_logits(x, y, reduction="none")
    return rows.cumsum(0)[-1] / len(x) if len(x) < 64 else _blocks(rows) / len(x)


def _blocks(rows: Tensor) -> Tensor:
    total = rows.new_zeros(())
    for block in rows.split(8):
        total = total + block.sum()
    return total


NAME = "binary_cross_entropy_with_logits"


def by_the_logarithm_of_the_sigmoid(x: Tensor, y: Tensor) -> Tensor:
    """A difference of nearly one and one in the backward pass."""
    return ((1.0 - y) * x - torch.nn.functional.logsigmoid(x)).mean()


MUTANTS = [
    Mutant(by_the_logarithm_of_the_sigmoid, "binary_cross_entropy_with_logits", "gradient_digits_not_lost"),
    Mutant(sigmoid_twice, NAME, "value"),
    Mutant(difference_of_softplus, NAME, "digits_not_lost"),
    Mutant(difference_of_softplus, NAME, "loss_not_lost"),
    Mutant(of_probabilities, NAME, "finite_on_extreme_logits"),
    Mutant(with_epsilon, NAME, "not_negative"),
    Mutant(weighted, NAME, "classes_exchange"),
    Mutant(sum_of_gradients, NAME, "gradient"),
    Mutant(kinked, NAME, "gradient_at_zero"),
    Mutant(of_clamped_probabilities, NAME, "gradient_not_lost"),
    Mutant(limit_without_a_word, NAME, "certain_and_right"),
    Mutant(loss_of_numbers, NAME, "certain_and_wrong"),
    Mutant(doubled, NAME, "value_on_extreme_numbers"),
    Mutant(added_in_the_format, NAME, "value_on_long_rows", dtype="bfloat16"),
]
