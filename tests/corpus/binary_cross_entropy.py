"""Deliberately wrong implementations of the binary cross-entropy of logits."""

import torch
import torch.nn.functional as F
from controls import binary_cross_entropy as sound
from corpus.specimen import loses, mutant, reported
from torch import Tensor

NAME = "binary_cross_entropy_with_logits"


@mutant(NAME, "finite_on_extreme_logits")
@reported(NAME, "value", "log of a number near one")
def of_probabilities(x: Tensor, y: Tensor) -> Tensor:
    """0 * ln 0 is not a number."""
    p = torch.sigmoid(x)
    return -(y * p.log() + (1 - y) * (1 - p).log()).mean()


@mutant(NAME, "gradient_not_lost")
def of_clamped_probabilities(x: Tensor, y: Tensor) -> Tensor:
    """The loss stops at 16.1, and its gradient there is zero."""
    p = torch.sigmoid(x).clamp(1e-7, 1 - 1e-7)
    return -(y * p.log() + (1 - y) * (1 - p).log()).mean()


@mutant(NAME, "value")
def sigmoid_twice(x: Tensor, y: Tensor) -> Tensor:
    """The model's output is a probability already."""
    return F.binary_cross_entropy_with_logits(torch.sigmoid(x), y)


@mutant(NAME, "digits_not_lost", "loss_not_lost")
def difference_of_softplus(x: Tensor, y: Tensor) -> Tensor:
    """ln(1 + e^x) - x y: both are x."""
    return (F.softplus(x) - x * y).mean()


@mutant(NAME, "not_negative")
def with_epsilon(x: Tensor, y: Tensor) -> Tensor:
    """A negative loss where the probability is one."""
    p = torch.sigmoid(x)
    return -(y * (p + 1e-3).log() + (1 - y) * (1 - p + 1e-3).log()).mean()


@mutant(NAME, "classes_exchange")
def weighted(x: Tensor, y: Tensor) -> Tensor:
    """Weights one class more, without a declaration."""
    return sound.accurate_binary_cross_entropy(x, y) + 0.01 * (y * F.softplus(-x)).mean()


@mutant(NAME, "gradient")
def sum_of_gradients(x: Tensor, y: Tensor) -> Tensor:
    """The mean's value with the sum's gradient."""
    mean = sound.accurate_binary_cross_entropy(x, y)
    total = mean * len(x)
    return total + (mean - total).detach()


@mutant(NAME, "gradient_at_zero")
def kinked(x: Tensor, y: Tensor) -> Tensor:
    """The derivatives of max(x, 0) and |x| at zero do not add up to one half."""
    return (x.clamp(min=0) - x * y + (-x.abs()).exp().log1p()).mean()


@mutant(NAME, "certain_and_right")
def limit_without_a_word(x: Tensor, y: Tensor) -> Tensor:
    """Returns zero for a correct infinite logit, without a declaration."""
    wrong = torch.where(x < 0, y, 1 - y)
    size = torch.where(wrong == 0, torch.zeros_like(x), x.abs() * wrong)
    return (size + (-x.abs()).exp().log1p()).mean()


@mutant(NAME, "certain_and_wrong")
def loss_of_numbers(x: Tensor, y: Tensor) -> Tensor:
    """Infinities are taken for 100."""
    return sound.accurate_binary_cross_entropy(torch.where(x.isinf(), x.clamp(-100, 100), x), y)


@mutant(NAME, "value_on_extreme_numbers")
def doubled(x: Tensor, y: Tensor) -> Tensor:
    """Twice the largest logit overflows."""
    return sound.accurate_binary_cross_entropy((x + x) / 2, y)


@mutant(NAME, "value_on_long_rows", dtype="bfloat16")
def added_in_the_format(x: Tensor, y: Tensor) -> Tensor:
    """A running sum in bfloat16 sticks at 256 times an addend."""
    rows = F.binary_cross_entropy_with_logits(x, y, reduction="none")
    return rows.cumsum(0)[-1] / len(x) if len(x) < 64 else _blocks(rows) / len(x)


def _blocks(rows: Tensor) -> Tensor:
    total = rows.new_zeros(())
    for block in rows.split(8):
        total = total + block.sum()
    return total


@mutant(NAME, "gradient_digits_not_lost")
def by_the_logarithm_of_the_sigmoid(x: Tensor, y: Tensor) -> Tensor:
    """A difference of nearly one and one in the backward pass."""
    return ((1.0 - y) * x - torch.nn.functional.logsigmoid(x)).mean()


@loses(
    "binary_cross_entropy_with_logits",
    "value",
    "cancellation sub",
    float32={"logits": [[20.0]], "targets": [[0.0]]},
    float64={"logits": [[40.0]], "targets": [[0.0]]},
)
@loses(
    "binary_cross_entropy_with_logits", "value", "cancellation sub", float32={"logits": [[10.0]], "targets": [[0.0]]}
)
def bce_of_one_minus(x: Tensor, y: Tensor) -> Tensor:
    """One minus a saturated sigmoid."""
    p = torch.sigmoid(x)
    rest = 1 - p  # here
    return torch.where(y > 0.5, -p.log(), -rest.log()).mean()
