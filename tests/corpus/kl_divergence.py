"""Deliberately wrong implementations of the divergence."""

import torch
from corpus.specimen import loses, mutant
from torch import Tensor


def sound(log_q: Tensor, p: Tensor) -> Tensor:
    """Return the reference for the mutants."""
    possible = p > 0
    return (p.where(possible, 1.0) * (p.where(possible, 1.0).log() - log_q.where(possible, 0.0))).sum(-1)


@mutant("kl_divergence", "value")
def epsilon_in_both(log_q: Tensor, p: Tensor) -> Tensor:
    """1e-8 in both logarithms: a class that is unlikely under q costs at most ln 1e8."""
    return (p * ((p + 1e-8) / (log_q.exp() + 1e-8)).log()).sum(-1)


@mutant("kl_divergence", "infinite_where_only_q_is_zero")
def probabilities_exponentiated(log_q: Tensor, p: Tensor) -> Tensor:
    """The logarithm of exp(log_q), which underflows. Infinite terms are then dropped."""
    q = log_q.exp()
    return (p * (p / q).log()).where(q > 0, 0.0).sum(-1)


@mutant("kl_divergence", "not_below_gibbs")
def expectation_under_q(log_q: Tensor, p: Tensor) -> Tensor:
    """The other direction: the expectation under q."""
    q = log_q.exp()
    return (q.where(q > 0, 0.0) * (p.log() - log_q).where(q > 0, 0.0)).sum(-1)


@mutant("kl_divergence", "zero_for_equal_distributions")
def epsilon_in_one(log_q: Tensor, p: Tensor) -> Tensor:
    """An epsilon in the logarithm of p only."""
    return (p * ((p + 1e-3).log() - log_q)).sum(-1)


@mutant("kl_divergence", "class_order_invariant")
def last_is_one_minus_the_others(log_q: Tensor, p: Tensor) -> Tensor:
    """The last probability is computed from the others, and cancels."""
    last = (1 - p[:, :-1].sum(-1, keepdim=True)).clamp_min(0.0)
    return sound(log_q, torch.cat([p[:, :-1], last], -1))


@mutant("kl_divergence", "gradient")
def normalised_again(log_q: Tensor, p: Tensor) -> Tensor:
    """log_q goes through a log_softmax again: the value is the same, the gradient is q - p."""
    return sound(log_q.log_softmax(-1), p)


@mutant("kl_divergence", "gradient_in_p")
def constant_entropy(log_q: Tensor, p: Tensor) -> Tensor:
    """The entropy of p is a constant to autograd."""
    return (p * (p.detach().log() - log_q)).sum(-1)


@mutant("kl_divergence", "zero_probability_adds_nothing")
@loses(
    "kl_divergence",
    "zero_probability_adds_nothing",
    "invalid mul",
    float32={"log_q": [[-0.6931472, -0.6931472]], "p": [[1.0, 0.0]]},
    float64={"log_q": [[-0.6931471805599453, -0.6931471805599453]], "p": [[1.0, 0.0]]},
)
def zero_times_infinity(log_q: Tensor, p: Tensor) -> Tensor:
    """The term p ln p at p = 0."""
    return (p * (p.log() - log_q)).sum(-1)  # here


@mutant("kl_divergence", "impossible_for_both_adds_nothing")
def one_side_guarded(log_q: Tensor, p: Tensor) -> Tensor:
    """Guards p ln p by xlogy, but not p log_q, like torch's kl_div."""
    return (torch.xlogy(p, p) - p * log_q).sum(-1)


@mutant("kl_divergence", "infinite_where_only_q_is_zero")
def left_out_of_q(log_q: Tensor, p: Tensor) -> Tensor:
    """Drops classes that q excludes."""
    return sound(log_q.where(~log_q.isneginf(), 0.0), p.where(~log_q.isneginf(), 0.0))


@mutant("kl_divergence", "gradient_of_impossible_classes")
def mended_in_the_value(log_q: Tensor, p: Tensor) -> Tensor:
    """ln(p / q) of probabilities: NaN is replaced in the value, and stays in the backward pass."""
    terms = p * (p / log_q.exp()).log()
    return terms.where(p > 0, 0.0).sum(-1)


@mutant("kl_divergence", "value_on_extreme_numbers")
def largest_number_clamped(log_q: Tensor, p: Tensor) -> Tensor:
    """Limits log_q to at least -1e4."""
    return sound(log_q.clamp_min(-1e4), p)


@mutant("kl_divergence", "value_on_long_rows", dtype="float16")
def mean_times_count(log_q: Tensor, p: Tensor) -> Tensor:
    """The mean times the number of classes, which float16 does not have beyond 65,504."""
    possible = p > 0
    terms = p * (p.where(possible, 1.0).log() - log_q.where(possible, 0.0))
    return terms.float().mean(-1).to(p.dtype) * torch.tensor(p.shape[-1], dtype=p.dtype)
