"""Wrong implementations of formulas: a floor or an epsilon in a logarithm."""

import torch
from diagnosis.wrong import wrong
from torch import Tensor

from harness.formula.spelling import written


def _of(formula: str, **inputs: str) -> str:
    """Return the contract of a formula."""
    return written(formula, None, inputs).text


ENTROPY = _of("-sum(x * log(x))", x="distribution")
KL = _of("sum(p * (log(p) - log(q)))", p="distribution", q="distribution")
BINARY = _of("-(t * log(p) + (1 - t) * log(1 - p))", p="0..1", t="0..1 constant")


def _log(t: Tensor, eps: float = 1e-5) -> Tensor:
    return t.clamp(min=eps).log()


@wrong(ENTROPY, "clamp")
def entropy_of_a_library(prob: Tensor) -> Tensor:
    """The logarithm is a function with a floor, as in vector_quantize_pytorch."""
    return (-prob * _log(prob)).sum(dim=-1)


@wrong(ENTROPY, "clamp")
def entropy_with_a_floor(p: Tensor) -> Tensor:
    """The same in one line."""
    return -(p * torch.log(p.clamp(min=1e-5))).sum(-1)


@wrong(ENTROPY, "clamp")
def entropy_with_a_low_floor(p: Tensor) -> Tensor:
    """A floor near the end of float32's digits."""
    return -(p * torch.log(torch.clamp(p, min=1e-12))).sum(-1)


@wrong(ENTROPY, "eps")
def entropy_with_an_epsilon(p: Tensor) -> Tensor:
    """An epsilon is added."""
    return -(p * torch.log(p + 1e-8)).sum(-1)


@wrong(_of("-sum(where(p > 0, p * log(p), 0))", p="distribution"), "clamp")
def entropy_of_shares_with_a_floor(p: Tensor) -> Tensor:
    """Shares of zero have no term."""
    return -(p * p.clamp(min=1e-6).log()).sum(-1)


@wrong(_of("exp(-sum(x * log(x)))", x="distribution"), "eps")
def perplexity_with_an_epsilon(p: Tensor) -> Tensor:
    """The number of equally likely codes, with the usual epsilon."""
    return torch.exp(-torch.sum(p * torch.log(p + 1e-10), dim=-1))


@wrong(_of("log(x)", x="positive"), "clamp")
def logarithm_with_a_floor(x: Tensor) -> Tensor:
    """No sum."""
    return x.clamp(min=1e-5).log()


@wrong(_of("mean(log(x))", x="positive"), "eps")
def mean_logarithm_with_an_epsilon(x: Tensor) -> Tensor:
    """The logarithm of the geometric mean."""
    return torch.log(x + 1e-6).mean(-1)


@wrong(KL, "eps")
def kl_with_epsilons(p: Tensor, q: Tensor) -> Tensor:
    """Both logarithms have an epsilon."""
    return (p * (torch.log(p + 1e-8) - torch.log(q + 1e-8))).sum(-1)


@wrong(KL, "clamp")
def kl_with_a_floor_of_q(p: Tensor, q: Tensor) -> Tensor:
    """Only the divisor has a floor."""
    return (p * (p.log() - q.clamp(min=1e-7).log())).sum(-1)


@wrong(BINARY, "clamp")
def binary_loss_with_a_floor(p: Tensor, t: Tensor) -> Tensor:
    """Both logarithms have a floor."""
    return -(t * _log(p, 1e-7) + (1 - t) * _log(1 - p, 1e-7))


@wrong(BINARY, "clamp")
def binary_loss_between_two_ends(p: Tensor, t: Tensor) -> Tensor:
    """The probability stays away from 0 and 1."""
    p = p.clamp(1e-6, 1 - 1e-6)
    return -(t * torch.log(p) + (1 - t) * torch.log(1 - p))
