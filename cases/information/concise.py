"""Entropy and divergence with what torch provides."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, distributions
from torch.distributions import Categorical


def entropy(logits: Float[Tensor, "n k"]) -> Float[Tensor, " n"]:
    """``torch.distributions.Categorical``, without the validation that rejects NaN."""
    entropies: Tensor = Categorical(logits=logits, validate_args=False).entropy()
    return entropies


def entropy_of_log_softmax(logits: Float[Tensor, "n k"]) -> Float[Tensor, " n"]:
    """``F.log_softmax`` and its exponential: the usual code, stable except for certain rows and masks."""
    log_p = F.log_softmax(logits, dim=-1)
    return -(log_p.exp() * log_p).sum(dim=-1)


def kl_divergence(log_q: Float[Tensor, "n k"], p: Float[Tensor, "n k"]) -> Float[Tensor, " n"]:
    """``F.kl_div``, which takes the logarithm of ``q`` first, summed over the classes."""
    return F.kl_div(log_q, p, reduction="none").sum(dim=-1)


def kl_divergence_of_categoricals(log_q: Float[Tensor, "n k"], p: Float[Tensor, "n k"]) -> Float[Tensor, " n"]:
    """``torch.distributions.kl_divergence``, which normalizes both arguments and clamps the probabilities."""
    divergences: Tensor = distributions.kl_divergence(
        Categorical(probs=p, validate_args=False), Categorical(logits=log_q, validate_args=False)
    )
    return divergences
