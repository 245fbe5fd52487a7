"""Binary classification from scratch: each operation by its definition and in a numerically stable form."""

import torch
from jaxtyping import Float
from torch import Tensor

# The operations


def sigmoid(x: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """``1 / (1 + exp(-x))``: the definition.

    Notes
    -----
    ``exp(-x)`` overflows below ``-ln(max)``, -88.72 in float32. The result is zero, but the exact value is a subnormal
    number, and the gradient is ``0 * inf``, which is NaN.
    """
    return 1 / (1 + torch.exp(-x))


def _exp_of_minus_abs(x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """``exp(-|x|)``, never above one. At zero, its derivative is that from the right, -1; that of ``x.abs()`` is 0."""
    return torch.exp(torch.where(x < 0, x, -x))


def stable_sigmoid(x: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """``1 / (1 + z)`` or ``z / (1 + z)`` with ``z = exp(-|x|)``: value and gradient are accurate to a few ulp."""
    z = _exp_of_minus_abs(x)
    return torch.where(x < 0, z, 1.0) / (1 + z)


def softplus(x: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """``ln(1 + exp(x))``: the definition; infinite above ``ln(max)``, zero below ``-p ln 2``, -16.6 in float32."""
    return torch.log(1 + torch.exp(x))


def stable_softplus(x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """``max(x, 0) + log1p(exp(-|x|))``: both terms have the same sign, so it is accurate to a few ulp.

    Notes
    -----
    The gradient at zero is 1/2 only if both terms are differentiated from the same side. The mask does so. The
    derivative of ``x.clamp(min=0)`` at zero is 1 up to torch 2.13, and 0 from 2.14 on.
    """
    return x.masked_fill(x < 0, 0.0) + torch.log1p(_exp_of_minus_abs(x))


def logsigmoid(x: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Logarithm of the sigmoid: -inf if the sigmoid underflows, zero if it rounds to one."""
    return torch.log(sigmoid(x))


def stable_logsigmoid(x: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """``-softplus(-x)``."""
    return -stable_softplus(-x)


# The loss


def binary_cross_entropy(logits: Float[Tensor, " n"], targets: Float[Tensor, " n"]) -> Float[Tensor, ""]:
    """Mean of ``-(y ln p + (1 - y) ln(1 - p))`` with ``p = sigmoid(x)``: the definition.

    Notes
    -----
    ``1 - p`` is zero from ``x = p ln 2`` (16.6 in float32, precision ``p`` bits), and ``0 * ln 0`` is NaN.
    """
    p = sigmoid(logits)
    return -(targets * torch.log(p) + (1 - targets) * torch.log(1 - p)).mean()


def cross_entropy_of_max(logits: Float[Tensor, " n"], targets: Float[Tensor, " n"]) -> Float[Tensor, ""]:
    """Mean of ``max(x, 0) - x y + log1p(exp(-|x|))``: the usual stable form; the first two terms cancel.

    Notes
    -----
    The loss is smooth, but two of its terms have a kink at zero, where torch chooses their derivatives: the gradient is
    ``1 - y`` up to torch 2.13 and ``-y`` from 2.14 on. The exact one is ``1/2 - y``.
    """
    rows = logits.clamp(min=0) - logits * targets + torch.log1p(torch.exp(-logits.abs()))
    return rows.mean()


def accurate_binary_cross_entropy(logits: Float[Tensor, " n"], targets: Float[Tensor, " n"]) -> Float[Tensor, ""]:
    """Mean of ``|x|`` times the weight of the wrong class, plus ``log1p(exp(-|x|))``: nothing cancels."""
    wrong = torch.where(logits < 0, -logits * targets, logits * (1 - targets))
    return (wrong + torch.log1p(_exp_of_minus_abs(logits))).mean()
