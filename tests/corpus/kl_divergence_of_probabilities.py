"""Deliberately wrong implementations of the divergence of two vectors of probabilities."""

import torch
from corpus.specimen import mutant
from torch import Tensor


@mutant("kl_divergence_of_probabilities", "gradient", declares={"normalised": "yes"})
def sound(p: Tensor, q: Tensor) -> Tensor:
    """Return the reference for the mutants."""
    possible = p > 0
    return (p.where(possible, 1.0) * (p.where(possible, 1.0).log() - q.where(possible, 1.0).log())).sum(-1)


@mutant("kl_divergence_of_probabilities", "value", declares={"normalised": "yes"})
@mutant("kl_divergence_of_probabilities", "value")
def epsilon_in_both(p: Tensor, q: Tensor) -> Tensor:
    """1e-8 in both logarithms: a class that is unlikely under q costs at most ln 1e8."""
    return (p * ((p + 1e-8) / (q + 1e-8)).log()).sum(-1)


@mutant("kl_divergence_of_probabilities", "zero_for_equal_distributions")
def epsilon_in_one(p: Tensor, q: Tensor) -> Tensor:
    """An epsilon in one logarithm alone."""
    return (p * ((p + 1e-3).log() - q.log())).sum(-1)


@mutant("kl_divergence_of_probabilities", "class_order_invariant")
def last_is_one_minus_the_others(p: Tensor, q: Tensor) -> Tensor:
    """The last probability is computed from the others, and cancels."""
    last = (1 - p[:, :-1].sum(-1, keepdim=True)).clamp_min(0.0)
    return sound(torch.cat([p[:, :-1], last], -1), q)


@mutant("kl_divergence_of_probabilities", "gradient")
def constant_entropy(p: Tensor, q: Tensor) -> Tensor:
    """The entropy of p is a constant to autograd."""
    return (p * (p.detach().log() - q.log())).sum(-1)


@mutant("kl_divergence_of_probabilities", "gradient_in_q")
def normalised_again(p: Tensor, q: Tensor) -> Tensor:
    """Normalizes q again: the value is right, but the gradient is 1 - p / q."""
    return sound(p, q / q.sum(-1, keepdim=True))


@mutant("kl_divergence_of_probabilities", "zero_probability_adds_nothing")
def zero_times_infinity(p: Tensor, q: Tensor) -> Tensor:
    """The term p ln p at p = 0."""
    return (p * (p.log() - q.log())).sum(-1)


@mutant("kl_divergence_of_probabilities", "impossible_for_both_adds_nothing")
def one_side_guarded(p: Tensor, q: Tensor) -> Tensor:
    """Guarded p ln p by xlogy, and nothing guards p ln q."""
    return (torch.xlogy(p, p) - p * q.log()).sum(-1)


@mutant("kl_divergence_of_probabilities", "infinite_where_only_q_is_zero")
def left_out_of_q(p: Tensor, q: Tensor) -> Tensor:
    """Drops classes that q excludes."""
    return sound(p.where(q > 0, 0.0), q)


@mutant("kl_divergence_of_probabilities", "value_on_extreme_numbers")
def ratio_overflows(p: Tensor, q: Tensor) -> Tensor:
    """The logarithm of the ratio, which overflows for a subnormal q."""
    return (p * (p / q).log()).sum(-1)


@mutant("kl_divergence_of_probabilities", "value_on_extreme_numbers", declares={"normalised": "yes"})
def normalised_ratio_overflows(p: Tensor, q: Tensor) -> Tensor:
    """Divides both by their sums, and takes the logarithm of the ratio, as torchmetrics 1.8 does."""
    p, q = p / p.sum(-1, keepdim=True), q / q.sum(-1, keepdim=True)
    return torch.xlogy(p, p / q).sum(-1)


@mutant("kl_divergence_of_probabilities", "value_on_long_rows", dtype="float16")
def mean_times_count(p: Tensor, q: Tensor) -> Tensor:
    """The mean times the number of classes, which float16 does not have beyond 65,504."""
    terms = p * (p.log() - q.log())
    return terms.float().mean(-1).to(p.dtype) * torch.tensor(p.shape[-1], dtype=p.dtype)


@mutant("kl_divergence_of_probabilities", "gradient_in_q", declares={"normalised": "yes"})
def normalised_in_q(p: Tensor, q: Tensor) -> Tensor:
    """Divides only q by its sum, which is a constant for autograd."""
    return sound(p, q / q.sum(-1, keepdim=True).detach())
