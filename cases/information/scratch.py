"""Entropy and divergence by their definitions, and in forms that stay accurate for certain rows."""

import torch
from jaxtyping import Float
from torch import Tensor

# Entropy


def entropy(logits: Float[Tensor, "n k"]) -> Float[Tensor, " n"]:
    """``-sum p ln p``: the definition.

    Notes
    -----
    A zero probability gives ``0 * -inf``, which is NaN, and ``exp`` is not shifted.
    """
    p = logits.exp() / logits.exp().sum(dim=-1, keepdim=True)
    return -(p * p.log()).sum(dim=-1)


def accurate_entropy(logits: Float[Tensor, "n k"]) -> Float[Tensor, " n"]:
    """``ln(1 + R) + sum p g`` with the gaps ``g`` to the maximum: both terms are nonnegative.

    Notes
    -----
    ``R`` sums ``exp(-g)`` over all classes except the maximum, so ``log1p`` keeps tiny terms. The relative error is a
    few ``u`` even for certain rows. The gradient is ``p (g - sum p g)``. Classes with a logit of -inf are excluded
    *before* their gap enters a product.
    """
    wide = logits.float() if logits.itemsize < 4 else logits
    maximum, argmax = wide.max(dim=-1, keepdim=True)
    gap = maximum - logits
    weight = (-gap).exp()
    others = weight.scatter(-1, argmax, 0.0).sum(dim=-1)
    weighted = weight * gap.where(weight > 0, 0.0)
    return (others.log1p() + weighted.sum(dim=-1) / (1 + others)).to(logits.dtype)


# Divergence


def kl_divergence(log_q: Float[Tensor, "n k"], p: Float[Tensor, "n k"]) -> Float[Tensor, " n"]:
    """``sum p (ln p - ln q)``: the definition. A zero probability gives ``0 * -inf``, which is NaN."""
    return (p * (p.log() - log_q)).sum(dim=-1)


def accurate_kl_divergence(log_q: Float[Tensor, "n k"], p: Float[Tensor, "n k"]) -> Float[Tensor, " n"]:
    """The definition over the classes with ``p > 0``; other entries are replaced before any logarithm.

    Notes
    -----
    Absolute error of a few ``u sum p (|ln p| + |ln q|)``: the terms have both signs.
    """
    possible = p > 0
    safe_p, safe_log_q = p.where(possible, 1.0), log_q.where(possible, 0.0)
    return (safe_p * (safe_p.log() - safe_log_q)).sum(dim=-1)


def kl_divergence_of_probabilities(p: Float[Tensor, "n k"], q: Float[Tensor, "n k"]) -> Float[Tensor, " n"]:
    """``sum p (ln p - ln q)`` of two vectors of probabilities; a product is zero if ``p`` is zero.

    Notes
    -----
    Absolute error of a few ``u sum p (|ln p| + |ln q|)``: the terms have both signs. The gradient is
    ``ln p + 1 - ln q`` in ``p`` and ``-p / q`` in ``q``.
    """
    return (torch.xlogy(p, p) - torch.xlogy(p, q)).sum(dim=-1)
