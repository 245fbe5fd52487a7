"""Deliberately wrong implementations of the logsumexp."""

import torch
from corpus.specimen import logits, loses, mutant, reported
from torch import Tensor


def _shift(x: Tensor) -> Tensor:
    maximum = x.amax(-1, keepdim=True)
    return torch.where(maximum.isinf(), 0.0, maximum)


@mutant("logsumexp", "finite_on_extreme_logits")
@loses("logsumexp", "value", "overflow exp", float32=logits(89.0, 3.0), float16=logits(12.0), float64=logits(710.0))
@loses("logsumexp", "value", "underflow exp", float32=logits(-110.0, -110.0), float64=logits(-800.0))
@reported("logsumexp", "value", "exp overflows")
def naive_logsumexp(x: Tensor) -> Tensor:
    """Exp without the shift: inf at [1000, 1000]."""
    return x.exp().sum(-1).log()  # here


@mutant("logsumexp", "value")
def with_an_epsilon(x: Tensor) -> Tensor:
    """An epsilon in the logarithm, against ln 0."""
    shift = _shift(x)
    return ((x - shift).exp().sum(-1) + 1e-5).log() + shift.squeeze(-1)


@mutant("logsumexp", "one_column")
def with_an_epsilon_for_one(x: Tensor) -> Tensor:
    """Four units in the last place, where there is nothing to sum."""
    y = sound_logsumexp(x)
    return y * (1 + 4 * torch.finfo(x.dtype).eps) if x.shape[-1] == 1 else y


@mutant("logsumexp", "at_least_the_maximum", "splits_into_halves")
def log_mean_exp(x: Tensor) -> Tensor:
    """A mean for the sum."""
    return sound_logsumexp(x) - torch.tensor(float(x.shape[-1])).log().to(x.dtype)


@mutant("logsumexp", "shift_equivariant")
def clipped_logsumexp(x: Tensor) -> Tensor:
    """The exponent is clipped instead of shifted."""
    return x.clamp(-50, 50).exp().sum(-1).log()


@mutant("logsumexp", "columns_in_any_order")
def last_column_twice(x: Tensor) -> Tensor:
    """The tail of the loop is added twice."""
    return sound_logsumexp(torch.cat([x, x[:, -1:]], -1))


@mutant("logsumexp", "gradient")
def detached_maximum_and_sum(x: Tensor) -> Tensor:
    """The shift and the sum are constants to autograd, but for a term that is zero."""
    y = sound_logsumexp(x)
    return y.detach() + (x.amax(-1) - x.amax(-1).detach())


@mutant("logsumexp", "masked_entries_ignored")
def masked_by_a_constant(x: Tensor) -> Tensor:
    """-inf is taken for -20."""
    return sound_logsumexp(x.nan_to_num(neginf=-20.0))


@mutant("logsumexp", "gradient_of_masked_rows")
def with_an_entropy(x: Tensor) -> Tensor:
    """An entropy term of weight zero, masked after the fact: 0 * -inf in the backward pass."""
    return sound_logsumexp(x) + 0 * torch.where(x.isneginf(), 0.0, x.softmax(-1) * x).sum(-1)


@mutant("logsumexp", "fully_masked_row", "infinite_logit")
@loses("logsumexp", "fully_masked_row", "invalid sub", float32={"logits": [[-torch.inf, -torch.inf]]})
@loses("logsumexp", "fully_masked_row", "invalid sub", float64={"logits": [[-torch.inf]]})
@reported("logsumexp", "fully_masked_row", "infinity minus infinity")
def shifted_by_any_maximum(x: Tensor) -> Tensor:
    """-inf minus -inf, and inf minus inf, are NaN."""
    largest = x.amax(-1, keepdim=True)
    shifted = x - largest  # here
    return largest[..., 0] + shifted.exp().sum(-1).log()


@mutant("logsumexp", "excess_not_lost", "gradient")
@mutant("logsumexp", "value_on_long_rows", dtype="float16")
def log_of_the_whole_sum(x: Tensor) -> Tensor:
    """Torch's function: 1 + exp(-gap) is 1, the sum is in float16, and the backward pass is exp(x - y)."""
    return torch.logsumexp(x, -1)


@mutant("logsumexp", "value_on_extreme_numbers")
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


@loses("logsumexp", "excess_not_lost", "absorption sum", float32={"logits": [[0.0, -20.0]]})
@loses("logsumexp", "excess_not_lost", "absorption sum", float64={"logits": [[0.0, -40.0]]})
def shifted_logsumexp(x: Tensor) -> Tensor:
    """One plus a small exponential."""
    largest = x.amax(-1, keepdim=True)
    total = (x - largest).exp().sum(-1)  # here
    return largest[..., 0] + total.log()


@loses("logsumexp", "at_least_the_maximum", "cancellation log", float32={"logits": [[-3e-8]]})
def logsumexp_of_a_single_number(x: Tensor) -> Tensor:
    """The sum has one term and loses nothing; its exponential was rounded to a number near 1."""
    total = x.exp().sum(-1)
    return total.log()  # here
