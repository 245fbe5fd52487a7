"""Deliberately wrong implementations of the log-softmax."""

import torch
from mutants.mutant import Mutant
from torch import Tensor


def log_of_epsilon(x: Tensor) -> Tensor:
    """log(p + 1e-8): floored at -18.42."""
    return (x.softmax(-1) + 1e-8).log()


def log_of_softmax(x: Tensor) -> Tensor:
    """-inf where the softmax underflows."""
    return x.softmax(-1).log()


def log_softmax_without_sum(x: Tensor) -> Tensor:
    """Relative to the mean instead of the logarithm of the sum: positive at the maximum."""
    return x - x.mean(-1, keepdim=True)


def minus_logsumexp(x: Tensor) -> Tensor:
    """Minus logsumexp(x): loses digits at large offsets."""
    return x - x.logsumexp(-1, keepdim=True)


def padded_log_softmax(x: Tensor) -> Tensor:
    """The row is padded with a class that it has already: the exponentials do not sum to one."""
    return torch.cat([x, x[:, :1]], -1).log_softmax(-1)[:, :-1]


def log_softmax_over_rows(x: Tensor) -> Tensor:
    """The wrong axis."""
    return x.log_softmax(0)


def masked_by_a_constant(x: Tensor) -> Tensor:
    """-inf is taken for -1e9, which is a probability like any other."""
    return x.clamp_min(-1e9).log_softmax(-1)


def with_an_entropy(x: Tensor) -> Tensor:
    """An entropy term of weight zero, masked after the fact: 0 * -inf in the backward pass."""
    entropy = torch.where(x.isneginf(), 0.0, x.softmax(-1) * x).sum(-1, keepdim=True)
    return x.log_softmax(-1) + 0 * entropy


def nothing_is_uniform(x: Tensor) -> Tensor:
    """Treats a fully masked row as the uniform distribution, without a declaration."""
    return torch.where(x.isneginf().all(-1, keepdim=True), torch.zeros_like(x), x).log_softmax(-1)


def infinity_wins(x: Tensor) -> Tensor:
    """Returns the limit at +inf, without a declaration."""
    infinite = x.isposinf()
    return torch.where(infinite.any(-1, keepdim=True), infinite.to(x.dtype).log(), x.log_softmax(-1))


def shifted_by_the_mean(x: Tensor) -> Tensor:
    """The mean of the largest numbers overflows itself."""
    return (x - x.mean(-1, keepdim=True)).log_softmax(-1)


def by_torch(x: Tensor) -> Tensor:
    """What torch does: zero from a gap of 16.6, and -inf for 65,520 equal classes in float16."""
    return x.log_softmax(-1)


MUTANTS = [
    Mutant(log_of_epsilon, "log_softmax", "value"),
    Mutant(log_of_softmax, "log_softmax", "finite_on_extreme_logits"),
    Mutant(log_softmax_without_sum, "log_softmax", "not_positive"),
    Mutant(by_torch, "log_softmax", "dominating_class_not_lost"),
    Mutant(padded_log_softmax, "log_softmax", "exponentials_sum_to_one"),
    Mutant(minus_logsumexp, "log_softmax", "shift_invariant"),
    Mutant(padded_log_softmax, "log_softmax", "columns_in_any_order"),
    Mutant(log_of_softmax, "log_softmax", "gradient"),
    Mutant(masked_by_a_constant, "log_softmax", "masked_entries"),
    Mutant(with_an_entropy, "log_softmax", "gradient_of_masked_rows"),
    Mutant(nothing_is_uniform, "log_softmax", "fully_masked_row"),
    Mutant(infinity_wins, "log_softmax", "infinite_logit"),
    Mutant(shifted_by_the_mean, "log_softmax", "value_on_extreme_numbers"),
    Mutant(by_torch, "log_softmax", "value_on_long_rows", dtype="float16"),
    Mutant(log_softmax_over_rows, "log_softmax", "value"),
]
