"""Deliberately wrong implementations of the log-softmax."""

import torch
from corpus.specimen import logits, loses, mutant, reported
from torch import Tensor


@mutant("log_softmax", "value")
@loses("log_softmax", "value", "none", float32={"logits": [["-0x1.0f5aaep+2", 0.0]]})
@reported("log_softmax", "value", "epsilon")
def log_of_epsilon(x: Tensor) -> Tensor:
    """log(p + 1e-8): floored at -18.42."""
    return (x.softmax(-1) + 1e-8).log()


@mutant("log_softmax", "finite_on_extreme_logits", "gradient")
@loses("log_softmax", "value", "underflow softmax", float32=logits(0.0, 120.0), float16=logits(0.0, 20.0))
@loses("log_softmax", "finite_on_extreme_logits", "underflow softmax", float64=logits(0.0, 800.0))
@loses("log_softmax", "gradient", "underflow softmax", float32={"logits": [[0.0, 120.0]], "cotangent": [[1.0, 0.0]]})
@reported("log_softmax", "finite_on_extreme_logits", "underflows")
def log_of_softmax(x: Tensor) -> Tensor:
    """-inf where the softmax underflows."""
    p = torch.softmax(x, dim=-1)  # here
    return p.log()


@mutant("log_softmax", "not_positive")
def log_softmax_without_sum(x: Tensor) -> Tensor:
    """Relative to the mean instead of the logarithm of the sum: positive at the maximum."""
    return x - x.mean(-1, keepdim=True)


@mutant("log_softmax", "shift_invariant")
def minus_logsumexp(x: Tensor) -> Tensor:
    """Minus logsumexp(x): loses digits at large offsets."""
    return x - x.logsumexp(-1, keepdim=True)


@mutant("log_softmax", "exponentials_sum_to_one", "columns_in_any_order")
def padded_log_softmax(x: Tensor) -> Tensor:
    """The row is padded with a class that it has already: the exponentials do not sum to one."""
    return torch.cat([x, x[:, :1]], -1).log_softmax(-1)[:, :-1]


@mutant("log_softmax", "value")
def log_softmax_over_rows(x: Tensor) -> Tensor:
    """The wrong axis."""
    return x.log_softmax(0)


@mutant("log_softmax", "masked_entries")
def masked_by_a_constant(x: Tensor) -> Tensor:
    """-inf is taken for -1e9, which is a probability like any other."""
    return x.clamp_min(-1e9).log_softmax(-1)


@mutant("log_softmax", "gradient_of_masked_rows")
def with_an_entropy(x: Tensor) -> Tensor:
    """An entropy term of weight zero, masked after the fact: 0 * -inf in the backward pass."""
    entropy = torch.where(x.isneginf(), 0.0, x.softmax(-1) * x).sum(-1, keepdim=True)
    return x.log_softmax(-1) + 0 * entropy


@mutant("log_softmax", "fully_masked_row")
def nothing_is_uniform(x: Tensor) -> Tensor:
    """Treats a fully masked row as the uniform distribution, without a declaration."""
    return torch.where(x.isneginf().all(-1, keepdim=True), torch.zeros_like(x), x).log_softmax(-1)


@mutant("log_softmax", "infinite_logit")
def infinity_wins(x: Tensor) -> Tensor:
    """Returns the limit at +inf, without a declaration."""
    infinite = x.isposinf()
    return torch.where(infinite.any(-1, keepdim=True), infinite.to(x.dtype).log(), x.log_softmax(-1))


@mutant("log_softmax", "value_on_extreme_numbers")
def shifted_by_the_mean(x: Tensor) -> Tensor:
    """The mean of the largest numbers overflows itself."""
    return (x - x.mean(-1, keepdim=True)).log_softmax(-1)


@mutant("log_softmax", "dominating_class_not_lost")
@mutant("log_softmax", "value_on_long_rows", dtype="float16")
def by_torch(x: Tensor) -> Tensor:
    """What torch does: zero from a gap of 16.6, and -inf for 65,520 equal classes in float16."""
    return x.log_softmax(-1)


@loses("log_softmax", "value", "underflow exp", float32=logits(0.0, 120.0), float64=logits(0.0, 800.0))
def log_of_a_shifted_softmax(x: Tensor) -> Tensor:
    """Takes the logarithm of an underflowed number."""
    exponentials = (x - x.amax(-1, keepdim=True)).exp()  # here
    return (exponentials / exponentials.sum(-1, keepdim=True)).log()


@loses("log_softmax", "dominating_class_not_lost", "cancellation log", float32={"logits": [[0.0, 20.0]]})
@loses("log_softmax", "dominating_class_not_lost", "cancellation log", float64={"logits": [[0.0, 40.0]]})
def log_of_a_dominating_class(x: Tensor) -> Tensor:
    """Takes the logarithm of a number that was rounded to 1."""
    p = x.softmax(-1)
    return p.log()  # here


@loses("log_softmax", "dominating_class_not_lost", "absorption sum", float32={"logits": [[0.0, 20.0]]})
@loses("log_softmax", "dominating_class_not_lost", "absorption sum", float64={"logits": [[0.0, 40.0]]})
def shifted_log_softmax(x: Tensor) -> Tensor:
    """One plus a small exponential."""
    shifted = x - x.amax(-1, keepdim=True)
    total = shifted.exp().sum(-1, keepdim=True)  # here
    return shifted - total.log()


@loses("log_softmax", "gradient", "underflow softmax", float64={"logits": [[0.0, 800.0]], "cotangent": [[1.0, 0.0]]})
def log_softmax_of_softmax(x: Tensor) -> Tensor:
    """The gradient divides by an underflowed number."""
    return torch.log(torch.nn.functional.softmax(x, dim=-1))  # here
