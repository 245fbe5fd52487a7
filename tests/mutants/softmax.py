"""Deliberately wrong implementations of the softmax."""

import torch
from mutants.mutant import Mutant
from torch import Tensor


def naive_softmax(x: Tensor) -> Tensor:
    """Exp without the shift: overflows."""
    e = x.exp()
    return e / e.sum(-1, keepdim=True)


def division_free_softmax(x: Tensor) -> Tensor:
    """exp(x - logsumexp(x)): loses digits at large offsets."""
    return (x - x.logsumexp(-1, keepdim=True)).exp()


def softmax_over_rows(x: Tensor) -> Tensor:
    """The wrong axis."""
    return x.softmax(0)


def softmax_below_zero(x: Tensor) -> Tensor:
    """A probability formed by a subtraction."""
    return x.softmax(-1) - torch.finfo(x.dtype).eps


def clipped_softmax(x: Tensor) -> Tensor:
    """The exponent is clipped instead of shifted."""
    return x.clamp(-50, 50).softmax(-1)


def reversed_softmax(x: Tensor) -> Tensor:
    """A softmin."""
    return (-x).softmax(-1)


def detached_softmax(x: Tensor) -> Tensor:
    """The normaliser is a constant to autograd."""
    e = (x - x.amax(-1, keepdim=True)).exp()
    return e / e.sum(-1, keepdim=True).detach()


def masked_by_a_constant(x: Tensor) -> Tensor:
    """-inf is taken for -20."""
    return x.nan_to_num(neginf=-20.0).softmax(-1)


def masked_by_multiplication(x: Tensor) -> Tensor:
    """Multiplies NaN by the mask: the value is replaced later, the gradient is not."""
    e = (x - x.amax(-1, keepdim=True)).exp()
    p = e / e.sum(-1, keepdim=True)
    return torch.where(x.isneginf(), torch.zeros_like(p), p * (x * 0 + 1))


def nothing_is_zeros(x: Tensor) -> Tensor:
    """Returns zeros for a fully masked row, without a declaration."""
    return torch.where(x.isneginf().all(-1, keepdim=True), torch.zeros_like(x), x.softmax(-1))


def infinity_wins(x: Tensor) -> Tensor:
    """Returns the limit at +inf, without a declaration."""
    infinite = x.isposinf()
    return torch.where(infinite.any(-1, keepdim=True), infinite.to(x.dtype), x.softmax(-1))


def shifted_by_the_mean(x: Tensor) -> Tensor:
    """The mean is no bound: it overflows itself, and the exponent stays positive."""
    return (x - x.mean(-1, keepdim=True)).clamp_max(80.0).softmax(-1)


def narrow_sum(x: Tensor) -> Tensor:
    """The sum is stored in float16, where 65,520 ones are infinite."""
    e = (x - x.amax(-1, keepdim=True)).exp()
    return e / e.sum(-1, keepdim=True)


def softmax_of_powers_of_two(x: Tensor) -> Tensor:
    """Uses base 2 with a logarithm that is wrong in its eighth digit: the error is twice the rounding of the gap."""
    powers = ((x - x.amax(-1, keepdim=True)) * 1.4426952).exp2()
    return powers / powers.sum(-1, keepdim=True)


MUTANTS = [
    Mutant(softmax_of_powers_of_two, "softmax", "digits_not_lost"),
    Mutant(masked_by_a_constant, "softmax", "masked_entries"),
    Mutant(masked_by_multiplication, "softmax", "gradient_of_masked_rows"),
    Mutant(nothing_is_zeros, "softmax", "fully_masked_row"),
    Mutant(infinity_wins, "softmax", "infinite_logit"),
    Mutant(shifted_by_the_mean, "softmax", "value_on_extreme_numbers"),
    Mutant(narrow_sum, "softmax", "value_on_long_rows", dtype="float16"),
    Mutant(division_free_softmax, "softmax", "value"),
    Mutant(softmax_over_rows, "softmax", "rows_sum_to_one"),
    Mutant(softmax_below_zero, "softmax", "non_negative"),
    Mutant(naive_softmax, "softmax", "finite_on_extreme_logits"),
    Mutant(clipped_softmax, "softmax", "shift_invariant"),
    Mutant(reversed_softmax, "softmax", "order_preserving"),
    Mutant(detached_softmax, "softmax", "gradient"),
]
