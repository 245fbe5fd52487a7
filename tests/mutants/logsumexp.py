"""Deliberately wrong implementations of the logsumexp."""

import torch
from mutants.mutant import Mutant
from torch import Tensor


def _shift(x: Tensor) -> Tensor:
    maximum = x.amax(-1, keepdim=True)
    return torch.where(maximum.isinf(), 0.0, maximum)


def naive_logsumexp(x: Tensor) -> Tensor:
    """Exp without the shift: inf at [1000, 1000]."""
    return x.exp().sum(-1).log()


def with_an_epsilon(x: Tensor) -> Tensor:
    """An epsilon in the logarithm, against ln 0."""
    shift = _shift(x)
    return ((x - shift).exp().sum(-1) + 1e-5).log() + shift.squeeze(-1)


def with_an_epsilon_for_one(x: Tensor) -> Tensor:
    """Four units in the last place, where there is nothing to sum."""
    y = sound_logsumexp(x)
    return y * (1 + 4 * torch.finfo(x.dtype).eps) if x.shape[-1] == 1 else y


def log_mean_exp(x: Tensor) -> Tensor:
    """A mean for the sum."""
    return sound_logsumexp(x) - torch.tensor(float(x.shape[-1])).log().to(x.dtype)


def clipped_logsumexp(x: Tensor) -> Tensor:
    """The exponent is clipped instead of shifted."""
    return x.clamp(-50, 50).exp().sum(-1).log()


def last_column_twice(x: Tensor) -> Tensor:
    """The tail of the loop is added twice."""
    return sound_logsumexp(torch.cat([x, x[:, -1:]], -1))


def detached_maximum_and_sum(x: Tensor) -> Tensor:
    """The shift and the sum are constants to autograd, but for a term that is zero."""
    y = sound_logsumexp(x)
    return y.detach() + (x.amax(-1) - x.amax(-1).detach())


def masked_by_a_constant(x: Tensor) -> Tensor:
    """-inf is taken for -20."""
    return sound_logsumexp(x.nan_to_num(neginf=-20.0))


def with_an_entropy(x: Tensor) -> Tensor:
    """An entropy term of weight zero, masked after the fact: 0 * -inf in the backward pass."""
    return sound_logsumexp(x) + 0 * torch.where(x.isneginf(), 0.0, x.softmax(-1) * x).sum(-1)


def shifted_by_any_maximum(x: Tensor) -> Tensor:
    """-inf minus -inf, and inf minus inf, are NaN."""
    maximum = x.amax(-1, keepdim=True)
    return (x - maximum).exp().sum(-1).log() + maximum.squeeze(-1)


def log_of_the_whole_sum(x: Tensor) -> Tensor:
    """Torch's function: 1 + exp(-gap) is 1, the sum is in float16, and the backward pass is exp(x - y)."""
    return torch.logsumexp(x, -1)


def shifted_by_the_mean(x: Tensor) -> Tensor:
    """The mean of the largest numbers overflows itself."""
    mean = x.mean(-1, keepdim=True)
    return sound_logsumexp(x - mean) + mean.squeeze(-1)


def sound_logsumexp(x: Tensor) -> Tensor:
    """Return the reference for the mutants."""
    maximum, at = x.max(-1, keepdim=True)
    others = (x - _shift(x)).exp().scatter(-1, at, 0.0)
    rest = others.sum(-1, dtype=torch.promote_types(x.dtype, torch.float32)).log1p()
    return maximum.squeeze(-1) + rest.to(x.dtype)


MUTANTS = [
    Mutant(with_an_epsilon, "logsumexp", "value"),
    Mutant(naive_logsumexp, "logsumexp", "finite_on_extreme_logits"),
    Mutant(log_mean_exp, "logsumexp", "at_least_the_maximum"),
    Mutant(log_of_the_whole_sum, "logsumexp", "excess_not_lost"),
    Mutant(log_mean_exp, "logsumexp", "splits_into_halves"),
    Mutant(clipped_logsumexp, "logsumexp", "shift_equivariant"),
    Mutant(last_column_twice, "logsumexp", "columns_in_any_order"),
    Mutant(detached_maximum_and_sum, "logsumexp", "gradient"),
    Mutant(log_of_the_whole_sum, "logsumexp", "gradient"),
    Mutant(with_an_epsilon_for_one, "logsumexp", "one_column"),
    Mutant(masked_by_a_constant, "logsumexp", "masked_entries_ignored"),
    Mutant(with_an_entropy, "logsumexp", "gradient_of_masked_rows"),
    Mutant(shifted_by_any_maximum, "logsumexp", "fully_masked_row"),
    Mutant(shifted_by_any_maximum, "logsumexp", "infinite_logit"),
    Mutant(shifted_by_the_mean, "logsumexp", "value_on_extreme_numbers"),
    Mutant(log_of_the_whole_sum, "logsumexp", "value_on_long_rows", dtype="float16"),
]
